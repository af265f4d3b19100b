//! What is special about some messages and some endings: `[[route]]`, `[[channel]]` and `[close_codes]`.

use std::collections::HashMap;

use duet_config::{Kind, Place, Report, Setting, Table, choice, integer, size, string};
use duet_core::Route;

use super::policy::{Overflow, RoutePolicy};
use crate::CloseReason;

/// The longest beginning of a channel's name, in bytes: as long as the longest name.
const PREFIX_BYTES_MAX: usize = 255;
const CODES: &str = "1000 to 1003, 1007 to 1014, 3000 to 4999";

/// Why the server closes a connection, where the client can still be told.
const TOLD: [(CloseReason, &str); 11] = [
    (CloseReason::AuthorizeTimeout, "It was not bound to a uid in time."),
    (CloseReason::FirstPacketTimeout, "No whole packet came in time."),
    (CloseReason::Flood, "It sent far more messages than it may."),
    (CloseReason::GoingAway, "The server is stopping."),
    (CloseReason::Kicked, "A plugin closed it."),
    (CloseReason::Oversize, "A packet was above the size limit."),
    (CloseReason::PacketTimeout, "A packet was begun and not finished in time."),
    (CloseReason::Protocol, "It sent bytes that are not a packet."),
    (CloseReason::Replaced, "Its account logged in on another connection."),
    (CloseReason::Silence, "Nothing came for two heartbeat intervals."),
    (CloseReason::Text, "It sent a text message, where only binary ones are packets."),
];

fn route() -> Kind<i32> {
    integer()
}

fn body_bytes_max() -> Kind<usize> {
    size()
}

fn prefix() -> Kind<String> {
    string().check("beginnings of names, up to 255 bytes", |prefix| prefix.len() <= PREFIX_BYTES_MAX)
}

fn overflow() -> Kind<Overflow> {
    choice(&[("close", Overflow::Close), ("drop-newest", Overflow::DropNewest), ("keep-latest", Overflow::KeepLatest)])
}

/// 1000 to 1014, but not those that are never sent, and those for applications.
fn close_code() -> Kind<u16> {
    integer().check(CODES, |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999))
}

/// The keys of a `[[route]]`.
pub fn describe_route() -> Vec<Setting> {
    vec![
        Setting::new("route", &["The route; one table for each."], &route(), None),
        Setting {
            allowed: "0 to codec.body_bytes_max".to_owned(),
            ..Setting::new(
                "body_bytes_max",
                &["The largest body of a client's message on it in bytes; a larger one is answered `too large`."],
                &body_bytes_max(),
                None,
            )
        },
        Setting::new("overflow", &[OVERFLOW], &overflow(), Some(&Overflow::default())),
    ]
}

/// The keys of a `[[channel]]`.
pub fn describe_channel() -> Vec<Setting> {
    let beginning = "The beginning of the names; an empty one fits all. The first table that fits counts, before the route's.";
    vec![Setting::new("prefix", &[beginning], &prefix(), None), Setting::new("overflow", &[OVERFLOW], &overflow(), None)]
}

const OVERFLOW: &str = "What is done with messages to a client that does not read: `close` closes it once its write queue is full, \
                        `drop-newest` drops what finds the queue full, and with `keep-latest` a message takes the place of the one on the \
                        same route that still waits.";

/// The keys of `[close_codes]`, each with the usual code as its default.
pub fn describe_close_codes() -> Vec<Setting> {
    let describe =
        |(reason, meaning): (CloseReason, &'static str)| Setting::new(reason.name(), &[meaning], &close_code(), Some(&reason.ws_code()));
    TOLD.into_iter().map(describe).collect()
}

/// Reads every `[[route]]`. `body` is where `codec.body_bytes_max` is set, and its value.
pub fn read_routes(root: &mut Table<'_>, body: &(Place, usize), report: &Report) -> HashMap<Route, RoutePolicy> {
    let mut routes: HashMap<Route, (RoutePolicy, Place)> = HashMap::new();
    for mut table in root.tables("route").unwrap_or_default() {
        let place = table.place("route");
        let route = table.get("route", &route()).required();
        let (_, most) = body;
        let fits = |bytes: &usize| bytes <= most || report.has(&body.0);
        let allowed = format!("0 to {most}, which is codec.body_bytes_max");
        let body_bytes_max = table.get("body_bytes_max", &body_bytes_max()).check(allowed, fits).optional();
        let overflow = table.get("overflow", &overflow()).or(Overflow::default());
        table.finish();
        let Some(route) = route else { continue };
        if let Some((_, first)) = routes.get(&Route(route)) {
            report.mistake(place.clone(), format!("taken by {}: only one table for each route is allowed", first.in_line()));
        }
        routes.insert(Route(route), (RoutePolicy { body_bytes_max, overflow }, place));
    }
    routes.into_iter().map(|(route, (policy, _))| (route, policy)).collect()
}

/// Reads every `[[channel]]`, in the order of the document.
pub fn read_channels(root: &mut Table<'_>, report: &Report) -> Vec<(String, Overflow)> {
    let mut channels: Vec<(String, Overflow, Place)> = Vec::new();
    for mut table in root.tables("channel").unwrap_or_default() {
        let place = table.place("prefix");
        let prefix = table.get("prefix", &prefix()).required();
        let overflow = table.get("overflow", &overflow()).required();
        table.finish();
        let (Some(prefix), Some(overflow)) = (prefix, overflow) else { continue };
        if let Some((_, _, first)) = channels.iter().find(|(other, ..)| prefix.starts_with(other)) {
            report.mistake(place.clone(), format!("never reached after {}: allowed only in front of it", first.in_line()));
        }
        channels.push((prefix, overflow, place));
    }
    channels.into_iter().map(|(prefix, overflow, _)| (prefix, overflow)).collect()
}

/// Reads the close codes that differ from the usual ones.
pub fn read_close_codes(mut table: Table<'_>) -> Vec<(CloseReason, u16)> {
    let mut codes = Vec::new();
    for (reason, _) in TOLD {
        codes.extend(table.get(reason.name(), &close_code()).optional().map(|code| (reason, code)));
    }
    table.finish();
    codes
}
