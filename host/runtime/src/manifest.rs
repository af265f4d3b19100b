//! What a plugin says of itself: the JSON that `lifecycle.describe` returns.

use duet_core::{RequestKind, Route, RouteEntry};
use serde::Deserialize;

/// Most routes of one plugin.
const ROUTES_MAX: usize = 4096;
/// Longest manifest in bytes.
const BYTES_MAX: usize = 64 << 10;

/// A plugin's description of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// Name for people.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// Version of the packed layout it speaks; 0 if it has only plain handlers.
    #[serde(default)]
    pub packed: u32,
    /// Routes it handles.
    routes: Vec<ManifestRoute>,
    /// Events of connections it wants, by name.
    #[serde(default)]
    events: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct ManifestRoute {
    route: i32,
    #[serde(default)]
    authorized: bool,
    #[serde(default)]
    internal: bool,
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("`describe` returned {0} bytes, the limit is 65,536")]
    TooLong(usize),
    #[error("`describe` returned a manifest that cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it speaks version {0} of the packed layout, this host speaks {host}", host = duet_core::packed::VERSION)]
    Packed(u32),
    #[error("it lists {0} routes, the limit is 4,096")]
    TooManyRoutes(usize),
    #[error("it lists route {0} twice")]
    Twice(i32),
    #[error("it lists the event `{0}`; events are connect, bind, disconnect, suspend, resume")]
    Event(String),
    #[error("it lists events, but a plugin with `handler` gets them only if it exports `event-handler`")]
    NoEventHandler,
}

/// What a plugin exports to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handlers {
    /// `batch-handler`, which gets events, too.
    Batch,
    /// `handler`.
    Single {
        /// And `event-handler`.
        events: bool,
    },
}

impl Manifest {
    pub(crate) fn parse(text: &str, handlers: Handlers) -> Result<Self, ManifestError> {
        if text.len() > BYTES_MAX {
            return Err(ManifestError::TooLong(text.len()));
        }
        let mut manifest: Self = serde_json::from_str(text)?;
        if handlers == Handlers::Batch && manifest.packed != duet_core::packed::VERSION {
            return Err(ManifestError::Packed(manifest.packed));
        }
        if manifest.routes.len() > ROUTES_MAX {
            return Err(ManifestError::TooManyRoutes(manifest.routes.len()));
        }
        manifest.routes.sort_by_key(|r| r.route);
        if let Some(twice) = manifest.routes.windows(2).find_map(|w| matches!(w, [a, b] if a.route == b.route).then(|| w.first())?) {
            return Err(ManifestError::Twice(twice.route));
        }
        if let Some(unknown) = manifest.events.iter().find(|name| event(name).is_none()) {
            return Err(ManifestError::Event(unknown.chars().take(64).collect()));
        }
        if !manifest.events.is_empty() && handlers == (Handlers::Single { events: false }) {
            return Err(ManifestError::NoEventHandler);
        }
        // Both are shown in logs and tables.
        for text in [&mut manifest.name, &mut manifest.version] {
            *text = text.chars().filter(|c| !c.is_control()).take(64).collect();
        }
        Ok(manifest)
    }

    /// The routes as the registry has them.
    pub fn routes(&self) -> Vec<RouteEntry> {
        let entry = |r: &ManifestRoute| RouteEntry { route: Route(r.route), authorized: r.authorized, internal: r.internal };
        self.routes.iter().map(entry).collect()
    }

    /// The events as the registry has them.
    pub fn events(&self) -> Vec<RequestKind> {
        self.events.iter().filter_map(|name| event(name)).collect()
    }
}

fn event(name: &str) -> Option<RequestKind> {
    RequestKind::EVENTS.into_iter().find(|kind| kind.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_ignored_and_flags_default_to_open() {
        let text = r#"{"name":"a\u001b[1m","version":"1","packed":1,"later":[1],"routes":[{"route":-3,"name":"x"}]}"#;
        let manifest = Manifest::parse(text, Handlers::Batch).expect("valid");
        assert_eq!(manifest.name, "a[1m");
        assert_eq!(manifest.routes(), [RouteEntry { route: Route(-3), authorized: false, internal: false }]);
    }

    #[test]
    fn events_are_known_by_name_and_need_somebody_who_takes_them() {
        let text = r#"{"name":"a","version":"1","packed":1,"routes":[],"events":["connect","resume"]}"#;
        let manifest = Manifest::parse(text, Handlers::Batch).expect("valid");
        assert_eq!(manifest.events(), [RequestKind::Connect, RequestKind::Resume]);
        assert!(Manifest::parse(text, Handlers::Single { events: true }).is_ok());
        assert!(matches!(Manifest::parse(text, Handlers::Single { events: false }), Err(ManifestError::NoEventHandler)));
        let wrong = text.replace("resume", "message");
        assert!(matches!(Manifest::parse(&wrong, Handlers::Batch), Err(ManifestError::Event(name)) if name == "message"));
    }

    #[test]
    fn wrong_manifests_are_refused_with_their_reason() {
        let refused = |text: &str| Manifest::parse(text, Handlers::Batch).expect_err("refused").to_string();
        assert!(refused("{").contains("cannot be read"));
        assert!(refused(r#"{"name":"a","version":"1","routes":[]}"#).contains("version 0 of the packed layout"));
        assert!(refused(r#"{"name":"a","version":"1","packed":1,"routes":[{"route":1},{"route":1}]}"#).contains("route 1 twice"));
        assert!(refused(r#"{"name":"a","version":"1","packed":1,"routes":[{"route":3000000000}]}"#).contains("cannot be read"));
        let many: Vec<String> = (0..4097).map(|r| format!("{{\"route\":{r}}}")).collect();
        assert!(refused(&format!(r#"{{"name":"a","version":"1","packed":1,"routes":[{}]}}"#, many.join(","))).contains("4097 routes"));
        assert!(refused(&" ".repeat(65_537)).contains("65537 bytes"));
    }
}
