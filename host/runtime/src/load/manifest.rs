//! What a plugin says of itself: the JSON that `lifecycle.describe` returns.

use std::collections::BTreeMap;

use duet_config::nearest;
use duet_core::{RequestKind, Route, RouteEntry};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::host::log::one_line;
use crate::load::world::Handlers;

/// Most routes of one plugin.
const ROUTES_MAX: usize = 4096;
/// Longest manifest in bytes.
const BYTES_MAX: usize = 64 << 10;
/// Most warnings about one manifest.
const WARNINGS_MAX: usize = 16;

/// Keys of a manifest.
const KEYS: [&str; 6] = ["name", "version", "packed", "routes", "events", "state"];
/// Keys of one of its routes.
const ROUTE_KEYS: [&str; 4] = ["route", "name", "authorized", "internal"];
/// Keys of `state`.
const STATE_KEYS: [&str; 2] = ["schema", "reads"];

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
    #[serde(default)]
    state: Option<ManifestState>,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// What a plugin says of the state that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing: what it has is lost with its code.
    Unsaid,
    /// That there is none.
    Nothing,
    /// That it can be saved and restored.
    State {
        /// The number of what it saves.
        schema: u32,
        /// The numbers of what it restores.
        reads: Vec<u32>,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "`state` is \"none\" or an object with a number `schema` and, if you like, numbers `reads`")]
enum ManifestState {
    Word(NoState),
    Kept {
        schema: u32,
        #[serde(default)]
        reads: Option<Vec<u32>>,
        #[serde(flatten)]
        unknown: BTreeMap<String, IgnoredAny>,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NoState {
    None,
}

#[derive(Clone, Debug, Deserialize)]
struct ManifestRoute {
    route: i32,
    /// For people; known so that it is not taken for a mistake.
    #[serde(default, rename = "name")]
    _name: IgnoredAny,
    #[serde(default)]
    authorized: bool,
    #[serde(default)]
    internal: bool,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
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
    #[error("it lists {} twice", listed(.0))]
    Twice(Vec<i32>),
    #[error("it lists the event `{0}`; events are connect, bind, disconnect, suspend, resume")]
    Event(String),
    #[error("it lists events, but a plugin with `handler` gets them only if it exports `event-handler`")]
    NoEventHandler,
    #[error("it has `state`, but does not export the interface `state`")]
    NoState,
    #[error("it exports `state`, but does not say which: `\"state\": {{ \"schema\": 1 }}`")]
    NoSchema,
    #[error("it saves state of schema {0}, which is missing in `state.reads`; what it saves it has to restore")]
    NotItsOwn(u32),
}

/// `route 1`, or `routes 1, 2` for several; as many as a log line has room for.
fn listed(routes: &[i32]) -> String {
    let shown: Vec<String> = routes.iter().take(32).map(ToString::to_string).collect();
    let more = if routes.len() > shown.len() { " and more" } else { "" };
    format!("route{} {}{more}", if routes.len() == 1 { "" } else { "s" }, shown.join(", "))
}

impl Manifest {
    /// Reads what `describe` of a plugin with these exports returned.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(text: &str, handlers: Handlers, exports_state: bool) -> Result<Self, Vec<ManifestError>> {
        if text.len() > BYTES_MAX {
            return Err(vec![ManifestError::TooLong(text.len())]);
        }
        let mut manifest: Self = serde_json::from_str(text).map_err(|e| vec![e.into()])?;
        let mut problems = Vec::new();
        if handlers == Handlers::Batch && manifest.packed != duet_core::packed::VERSION {
            problems.push(ManifestError::Packed(manifest.packed));
        }
        if manifest.routes.len() > ROUTES_MAX {
            problems.push(ManifestError::TooManyRoutes(manifest.routes.len()));
        }
        manifest.routes.sort_by_key(|r| r.route);
        let mut twice: Vec<i32> = manifest
            .routes
            .windows(2)
            .filter_map(|w| matches!(w, [a, b] if a.route == b.route).then(|| w.first())?)
            .map(|r| r.route)
            .collect();
        twice.dedup();
        if !twice.is_empty() {
            problems.push(ManifestError::Twice(twice));
        }
        problems.extend(
            manifest.events.iter().filter(|name| event(name).is_none()).map(|name| ManifestError::Event(name.chars().take(64).collect())),
        );
        if !manifest.events.is_empty() && handlers == (Handlers::Single { events: false }) {
            problems.push(ManifestError::NoEventHandler);
        }
        match manifest.keeps() {
            Keeps::State { schema, reads } if exports_state => {
                problems.extend((!reads.contains(&schema)).then_some(ManifestError::NotItsOwn(schema)));
            }
            Keeps::State { .. } => problems.push(ManifestError::NoState),
            _ if exports_state => problems.push(ManifestError::NoSchema),
            _ => {}
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        // Both are shown in logs and tables.
        for text in [&mut manifest.name, &mut manifest.version] {
            *text = text.chars().filter(|c| !c.is_control()).take(64).collect();
        }
        Ok(manifest)
    }

    /// What is probably a mistake, though it can be served: a slip in `authorized` opens a route to everybody.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.unknown.keys().map(|key| unknown_key("", key, &KEYS)).collect();
        for route in &self.routes {
            let of_route = format!("route {}: ", route.route);
            warnings.extend(route.unknown.keys().map(|key| unknown_key(&of_route, key, &ROUTE_KEYS)));
        }
        if let Some(ManifestState::Kept { unknown, .. }) = &self.state {
            warnings.extend(unknown.keys().map(|key| unknown_key("state: ", key, &STATE_KEYS)));
        }
        if self.routes.is_empty() && self.events.is_empty() {
            warnings.push("it has no routes and wants no events, so it is never called".to_owned());
        }
        if let Some(more) = warnings.len().checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
            warnings.truncate(WARNINGS_MAX);
            warnings.push(format!("{more} more of this sort"));
        }
        warnings
    }

    /// The routes as the registry has them.
    pub fn routes(&self) -> Vec<RouteEntry> {
        let entry = |r: &ManifestRoute| RouteEntry { route: Route(r.route), authorized: r.authorized, internal: r.internal };
        self.routes.iter().map(entry).collect()
    }

    /// What becomes of its state when its code is replaced.
    pub fn keeps(&self) -> Keeps {
        match &self.state {
            None => Keeps::Unsaid,
            Some(ManifestState::Word(NoState::None)) => Keeps::Nothing,
            Some(ManifestState::Kept { schema, reads, .. }) => {
                Keeps::State { schema: *schema, reads: reads.clone().unwrap_or_else(|| vec![*schema]) }
            }
        }
    }

    /// The events as the registry has them.
    pub fn events(&self) -> Vec<RequestKind> {
        self.events.iter().filter_map(|name| event(name)).collect()
    }
}

fn unknown_key(place: &str, key: &str, known: &[&str]) -> String {
    let meant = nearest(key, known).map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default();
    let key: String = key.chars().take(64).collect();
    one_line(&format!("{place}the manifest's key `{key}` is unknown and ignored{meant}"))
}

fn event(name: &str) -> Option<RequestKind> {
    RequestKind::events().find(|kind| kind.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_ignored_with_a_warning_and_flags_default_to_open() {
        let text = r#"{"name":"a\u001b[1m","version":"1","packed":1,"later":[1],"routes":[{"route":-3,"name":"x"}]}"#;
        let manifest = Manifest::parse(text, Handlers::Batch, false).expect("valid");
        assert_eq!(manifest.name, "a[1m");
        assert_eq!(manifest.routes(), [RouteEntry { route: Route(-3), authorized: false, internal: false }]);
        assert_eq!(manifest.warnings(), ["the manifest's key `later` is unknown and ignored"]);
    }

    #[test]
    fn a_slip_in_a_key_is_told_with_what_was_probably_meant() {
        let text = r#"{"name":"a","version":"1","packed":1,"event":[],"routes":[{"route":1,"authorised":true},{"route":2,"internl":1}]}"#;
        let warnings = Manifest::parse(text, Handlers::Batch, false).expect("served all the same").warnings();
        assert_eq!(
            warnings,
            [
                "the manifest's key `event` is unknown and ignored, did you mean `events`?",
                "route 1: the manifest's key `authorised` is unknown and ignored, did you mean `authorized`?",
                "route 2: the manifest's key `internl` is unknown and ignored, did you mean `internal`?",
            ]
        );
    }

    #[test]
    fn a_plugin_without_routes_and_events_is_told_that_nobody_calls_it() {
        let warnings = |text: &str| Manifest::parse(text, Handlers::Batch, false).expect("valid").warnings();
        assert_eq!(warnings(r#"{"name":"a","version":"1","packed":1,"routes":[]}"#).len(), 1);
        assert_eq!(warnings(r#"{"name":"a","version":"1","packed":1,"routes":[],"events":["bind"]}"#), [""; 0]);
    }

    #[test]
    fn warnings_about_one_manifest_are_few_and_of_one_line_each() {
        let keys: Vec<String> = (0..100).map(|n| format!("\"k\\n{n}\":1")).collect();
        let text = format!(r#"{{"name":"a","version":"1","packed":1,"routes":[{{"route":1}}],{}}}"#, keys.join(","));
        let warnings = Manifest::parse(&text, Handlers::Batch, false).expect("valid").warnings();
        assert_eq!((warnings.len(), warnings.last().map(String::as_str)), (17, Some("84 more of this sort")));
        assert!(!warnings.iter().any(|w| w.contains(char::is_control)), "{warnings:?}");
    }

    #[test]
    fn all_mistakes_of_a_manifest_are_told_at_once() {
        let text = r#"{"name":"a","version":"1","routes":[{"route":1},{"route":1},{"route":2},{"route":2}],"events":["x","bind","y"]}"#;
        let problems: Vec<String> =
            Manifest::parse(text, Handlers::Batch, false).expect_err("refused").iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].contains("version 0 of the packed layout") && problems[1].contains("routes 1, 2 twice"), "{problems:?}");
        assert!(problems[2].contains("`x`") && problems[3].contains("`y`"), "{problems:?}");
    }

    #[test]
    fn the_example_in_the_contract_is_a_manifest() {
        let wit = include_str!("../../../../wit/lifecycle.wit");
        let (_, example) = wit.split_once("```json").expect("an example");
        let (example, _) = example.split_once("```").expect("its end");
        let json: String = example.lines().map(|l| l.trim().trim_start_matches("///")).collect();
        let manifest = Manifest::parse(&json, Handlers::Batch, false).expect("JSON that the host takes");
        assert_eq!((manifest.warnings(), manifest.routes().len(), manifest.events().len()), (Vec::new(), 1, 1));
    }

    #[test]
    fn events_are_known_by_name_and_need_somebody_who_takes_them() {
        let text = r#"{"name":"a","version":"1","packed":1,"routes":[],"events":["connect","resume"]}"#;
        let manifest = Manifest::parse(text, Handlers::Batch, false).expect("valid");
        assert_eq!(manifest.events(), [RequestKind::Connect, RequestKind::Resume]);
        assert!(Manifest::parse(text, Handlers::Single { events: true }, false).is_ok());
        assert!(matches!(
            Manifest::parse(text, Handlers::Single { events: false }, false).expect_err("refused")[..],
            [ManifestError::NoEventHandler]
        ));
        let wrong = text.replace("resume", "message");
        assert!(
            matches!(&Manifest::parse(&wrong, Handlers::Batch, false).expect_err("refused")[..], [ManifestError::Event(name)] if name == "message")
        );
    }

    #[test]
    fn state_is_what_is_exported_and_its_own_schema_is_read() {
        let of = |state: &str, exports| {
            let text = format!(r#"{{"name":"a","version":"1","packed":1,"routes":[{{"route":1}}]{state}}}"#);
            let manifest = Manifest::parse(&text, Handlers::Batch, exports);
            manifest.map(|manifest| (manifest.keeps(), manifest.warnings())).map_err(|problems| problems[0].to_string())
        };
        assert_eq!(of("", false), Ok((Keeps::Unsaid, vec![])));
        assert_eq!(of(r#","state":"none""#, false), Ok((Keeps::Nothing, vec![])));
        assert_eq!(of(r#","state":{"schema":2}"#, true), Ok((Keeps::State { schema: 2, reads: vec![2] }, vec![])));
        let (kept, warnings) = of(r#","state":{"schema":2,"reads":[1,2],"shema":1}"#, true).unwrap();
        assert_eq!(kept, Keeps::State { schema: 2, reads: vec![1, 2] });
        assert_eq!(warnings, ["state: the manifest's key `shema` is unknown and ignored, did you mean `schema`?"]);
        assert!(of(r#","state":{"schema":2,"reads":[1]}"#, true).unwrap_err().contains("schema 2, which is missing in `state.reads`"));
        assert!(of("", true).unwrap_err().contains("does not say which"));
        assert!(of(r#","state":"none""#, true).unwrap_err().contains("does not say which"));
        assert!(of(r#","state":{"schema":2}"#, false).unwrap_err().contains("does not export"));
        for wrong in [r#""some""#, "2", r#"{"reads":[1]}"#, r#"{"schema":-1}"#] {
            let error = of(&format!(r#","state":{wrong}"#), true).unwrap_err();
            assert!(error.contains("`state` is \"none\" or an object with a number `schema`"), "{error}");
        }
    }

    #[test]
    fn wrong_manifests_are_refused_with_their_reason() {
        let refused = |text: &str| Manifest::parse(text, Handlers::Batch, false).expect_err("refused")[0].to_string();
        assert!(refused("{").contains("cannot be read"));
        assert!(refused(r#"{"name":"a","version":"1","routes":[]}"#).contains("version 0 of the packed layout"));
        assert!(refused(r#"{"name":"a","version":"1","packed":1,"routes":[{"route":1},{"route":1}]}"#).contains("route 1 twice"));
        assert!(refused(r#"{"name":"a","version":"1","packed":1,"routes":[{"route":3000000000}]}"#).contains("cannot be read"));
        let many: Vec<String> = (0..4097).map(|r| format!("{{\"route\":{r}}}")).collect();
        assert!(refused(&format!(r#"{{"name":"a","version":"1","packed":1,"routes":[{}]}}"#, many.join(","))).contains("4097 routes"));
        assert!(refused(&" ".repeat(65_537)).contains("65537 bytes"));
    }
}
