//! Which routes of a plugin no client can reach, because of the listeners' settings.

use duet_core::{Route, RouteEntry};

use crate::settings::{ListenerSettings, Settings};

/// Most routes that one warning names.
const NAMED_MAX: usize = 8;

/// One sentence for each sort of route that clients cannot reach on a listener. Internal routes are not for clients.
pub(crate) fn warnings(settings: &Settings, routes: &[RouteEntry]) -> Vec<String> {
    let routes: Vec<i32> = routes.iter().filter(|r| !r.internal).map(|r| r.route.0).collect();
    let wide = by_listener(settings, |l| routes.iter().copied().filter(|r| !fits(*r, l.codec.route_bytes)).collect());
    let wide = wide.into_iter().map(|(routes, place)| {
        let routes = named(&routes);
        format!("{routes}: too wide for the `route_bytes` of {place}, so no client there can send it; make `route_bytes` larger or the route smaller")
    });
    let session = |l: &ListenerSettings| routes.iter().copied().filter(|r| l.client.sessions.route() == Some(Route(*r))).collect();
    let session = by_listener(settings, session).into_iter().map(|(routes, place)| {
        let routes = named(&routes);
        format!("{routes}: the session route of {place}, which the gate answers itself; choose another route, or another `session_route`")
    });
    wide.chain(session).collect()
}

/// The routes for which something is true, for each listener that has any; only once, if they are the same for all.
fn by_listener(settings: &Settings, routes: impl Fn(&ListenerSettings) -> Vec<i32>) -> Vec<(Vec<i32>, String)> {
    let mut found: Vec<_> =
        settings.listeners.iter().map(|l| (routes(l), format!("the {} listener on {}", l.protocol.name(), l.address))).collect();
    if let Some(((first, place), others)) = found.split_first_mut()
        && others.iter().all(|(routes, _)| routes == first)
    {
        *place = "every listener".to_owned();
        found.truncate(1);
    }
    found.retain(|(routes, _)| !routes.is_empty());
    found
}

/// Whether the route fits into a signed number of this many bytes.
fn fits(route: i32, bytes: u8) -> bool {
    match bytes {
        1 => i8::try_from(route).is_ok(),
        2 => i16::try_from(route).is_ok(),
        _ => true,
    }
}

fn named(routes: &[i32]) -> String {
    let shown: Vec<String> = routes.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = routes.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("route{} {}{more}", if routes.len() == 1 { "" } else { "s" }, shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(text: &str, routes: &[i32]) -> Vec<String> {
        let settings = Settings::parse("duet.toml", text).unwrap();
        let routes: Vec<_> = routes.iter().map(|&r| RouteEntry { route: Route(r), authorized: false, internal: false }).collect();
        warnings(&settings, &routes)
    }

    #[test]
    fn routes_that_do_not_fit_or_are_the_session_route_are_told() {
        assert_eq!(warned("", &[1, 32_767, -32_768, -2]), [""; 0]);
        let wide = warned("", &[1, 32_768, -32_769]);
        assert!(
            wide.len() == 1 && wide[0].starts_with("routes 32768, -32769: too wide for the `route_bytes` of every listener"),
            "{wide:?}"
        );
        assert_eq!(warned("[codec]\nroute_bytes = 4", &[32_768]), [""; 0]);
        let session = warned("", &[-1]);
        assert!(session.len() == 1 && session[0].starts_with("route -1: the session route of every listener"), "{session:?}");
        assert_eq!(warned("[gateway]\nresume = false", &[-1]), [""; 0]);
        assert_eq!(warned("[gateway]\nsession_route = 5", &[-1, 5]).len(), 1);
    }

    #[test]
    fn only_the_listener_that_is_too_narrow_is_named() {
        let text = "[codec]\nroute_bytes = 4\n[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\n\
                    [[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:2\"\nroute_bytes = 1\n";
        let told = warned(text, &[127, 128]);
        assert!(
            told.len() == 1 && told[0].starts_with("route 128: too wide for the `route_bytes` of the ws listener on 127.0.0.1:2"),
            "{told:?}"
        );
    }

    #[test]
    fn internal_routes_are_not_for_clients() {
        let settings = Settings::default();
        assert_eq!(warnings(&settings, &[RouteEntry { route: Route(70_000), authorized: false, internal: true }]), [""; 0]);
    }
}
