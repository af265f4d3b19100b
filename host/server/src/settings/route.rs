//! `[[route]]` and `[[channel]]`: what is special about some messages.

use duet_config::{Field, Place, Report, Table, choice, integer, size, string};
use duet_gateway::Overflow;

/// The longest beginning of a channel's name, in bytes: as long as the longest name.
const PREFIX_BYTES_MAX: usize = 255;

/// What is special about a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteSettings {
    /// The route. Has no default; one table for each route.
    pub(crate) route: i32,
    /// The largest body of a client's message on it in bytes, 0 to `codec.body_bytes_max`. Default: that. A message with more
    /// is answered `too large` and goes no further.
    pub(crate) body_bytes_max: Option<usize>,
    /// What is done with messages to a client that does not read. Default `close`.
    pub(crate) overflow: Overflow,
}

/// What is special about channels whose names begin alike. The first that fits counts, before `[[route]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelSettings {
    /// The beginning of the names, up to 255 bytes; an empty one fits all. Has no default.
    pub(crate) prefix: String,
    /// What is done with messages to a client that does not read. Has no default.
    pub(crate) overflow: Overflow,
}

/// Reads every `[[route]]`. `body` is where `codec.body_bytes_max` stands, and its value.
pub(super) fn read_routes(root: &mut Table<'_>, body: &(Place, usize), report: &Report) -> Vec<RouteSettings> {
    let mut routes: Vec<(RouteSettings, Place)> = Vec::new();
    for mut table in root.tables("route").unwrap_or_default() {
        let place = table.place("route");
        let route = table.get("route", &integer()).required();
        let (_, most) = body;
        let fits = |bytes: &usize| bytes <= most || report.has(&body.0);
        let body_bytes_max =
            table.get("body_bytes_max", &size()).check(format!("0 to {most}, which is codec.body_bytes_max"), fits).optional();
        let overflow = overflow(&mut table).or(Overflow::Close);
        table.finish();
        let Some(route) = route else { continue };
        if let Some((_, first)) = routes.iter().find(|(other, _)| other.route == route) {
            report.mistake(place.clone(), format!("taken by {}: allowed is one table for each route", in_line(first)));
        }
        routes.push((RouteSettings { route, body_bytes_max, overflow }, place));
    }
    routes.into_iter().map(|(route, _)| route).collect()
}

/// Reads every `[[channel]]`, in the order of the file.
pub(super) fn read_channels(root: &mut Table<'_>, report: &Report) -> Vec<ChannelSettings> {
    let mut channels: Vec<(ChannelSettings, Place)> = Vec::new();
    for mut table in root.tables("channel").unwrap_or_default() {
        let place = table.place("prefix");
        let short = |prefix: &String| prefix.len() <= PREFIX_BYTES_MAX;
        let prefix = table.get("prefix", &string()).check("beginnings of names, up to 255 bytes", short).required();
        let overflow = overflow(&mut table).required();
        table.finish();
        let (Some(prefix), Some(overflow)) = (prefix, overflow) else { continue };
        if let Some((_, first)) = channels.iter().find(|(other, _)| prefix.starts_with(&other.prefix)) {
            report.mistake(place.clone(), format!("never reached behind {}: allowed are longer ones first", in_line(first)));
        }
        channels.push((ChannelSettings { prefix, overflow }, place));
    }
    channels.into_iter().map(|(channel, _)| channel).collect()
}

fn overflow<'d>(table: &mut Table<'d>) -> Field<'d, Overflow> {
    table.get(
        "overflow",
        &choice(&[("close", Overflow::Close), ("drop-newest", Overflow::DropNewest), ("keep-latest", Overflow::KeepLatest)]),
    )
}

/// A place as another mistake refers to it.
pub(super) fn in_line(place: &Place) -> String {
    place.line.map_or_else(|| place.key.clone(), |line| format!("{} in line {line}", place.key))
}
