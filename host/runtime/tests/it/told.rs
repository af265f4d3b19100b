//! A native handler that tells its gate what it was called with.

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, Request, Route, Target};
use duet_runtime::{NativeHandler, PluginOptions};

use crate::rig::{Rig, Sent};

/// One request as a handler had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The kind, the uid and the body; for a message the seq instead of the body.
    pub(crate) what: String,
    /// The thread it was handled on.
    pub(crate) thread: String,
}

/// Pushes a line for each request on route `AS` to its connection, and answers nothing.
pub(crate) fn tell<const AS: i32>(list: &mut [u8], effects: &mut Vec<u8>) {
    let thread = std::thread::current();
    for (request, asked) in RequestIter::new(list).enumerate() {
        let line = format!("{}\n{}", what(&asked), thread.name().unwrap_or_default());
        let action = Action::Push { to: Target::Conn(asked.conn), route: Route(AS), body: line.as_bytes() };
        put_effect(effects, &EffectRecord { request, action });
    }
}

/// A handler that tells, too, but reports its first call and returns only when it may.
macro_rules! gated {
    ($entered:ident, $open:ident, $handler:ident, $tells_as:literal) => {
        static $entered: crate::rig::Flag = crate::rig::Flag::new();
        static $open: crate::rig::Flag = crate::rig::Flag::new();
        fn $handler(list: &mut [u8], effects: &mut Vec<u8>) {
            $entered.raise();
            $open.wait_for(1);
            crate::told::tell::<$tells_as>(list, effects);
        }
    };
}
pub(crate) use gated;

fn what(asked: &Request<'_>) -> String {
    let uid = asked.uid.map_or(0, |uid| uid.0);
    let detail = String::from_utf8_lossy(asked.body);
    match asked.kind.is_event() {
        // The gate writes both as 0, so a handler must see 0.
        true if asked.route.0 != 0 || asked.seq.0 != 0 => format!("an event with route {} and seq {}", asked.route, asked.seq),
        true => format!("{} {uid} {detail}", asked.kind.name()),
        false => format!("{} {uid} {}", asked.kind.name(), asked.seq),
    }
}

/// What the handler `AS` told of a connection.
pub(crate) fn told_of(sent: &[Sent], told_as: i32, of: u64) -> Vec<Told> {
    let lines = sent.iter().filter_map(|sent| match sent {
        Sent::Message { conn, route, seq: 0, body } if (*conn, *route) == (of, told_as) => Some(String::from_utf8(body.clone()).unwrap()),
        _ => None,
    });
    lines
        .map(|line| {
            let (what, thread) = line.split_once('\n').unwrap();
            Told { what: what.to_owned(), thread: thread.to_owned() }
        })
        .collect()
}

/// The same without threads.
pub(crate) fn whats(sent: &[Sent], told_as: i32, of: u64) -> Vec<String> {
    told_of(sent, told_as, of).into_iter().map(|told| told.what).collect()
}

/// Serves a handler for one route and these events.
pub(crate) fn serve(rig: &Rig, route: i32, events: &[&str], handler: NativeHandler, options: PluginOptions) {
    let name = format!("plugin-{route}");
    let manifest = format!(r#"{{"name":"{name}","version":"1","packed":1,"events":{events:?},"routes":[{{"route":{route}}}]}}"#);
    rig.runtime.serve_native(&name, &manifest, handler, options).unwrap();
}
