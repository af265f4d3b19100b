//! What a connection leaves behind and no plugin has room for: it is lost, logged and counted.

use std::fmt::Debug;
use std::io::Write;
use std::sync::Mutex;

use duet_codec::Carrier;
use duet_core::{Action, ErrorCode, Target, Uid};
use duet_gateway::Refusal;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::{Gate, format, receive, wait_until};

/// The warnings of this process, one text for each.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A log for every thread of the process, because the tasks of a gate write to it.
struct Log;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        WARNINGS.lock().expect("warnings").push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn requests_and_events_that_find_no_room_after_the_end_are_counted_and_logged() {
    tracing::subscriber::set_global_default(Log).expect("the only one");
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, Uid(4711)), Action::Reply(b"in")]);
    receive(&mut client);
    // The event of the login.
    gate.echo.wait_for(&format!("bind {conn}"));
    gate.echo.set_full(true);
    let mut packets = Vec::new();
    for seq in 1..=3 {
        format().encode(Carrier::Stream, 1, seq, b"waits", &mut packets).expect("encode");
    }
    client.write_all(&packets).expect("write");
    gate.echo.wait("an offer that is not taken", |state| state.waiting.as_ref().map(drop));
    gate.act(conn, &[Action::Kick { who: Target::Conn(conn), code: ErrorCode::KICKED, text: "", at_once: true }]);
    let stats = gate.echo.sessions.stats();
    wait_until("the loss", || stats.refused(Refusal::NoRoom) > 0);
    assert_eq!(stats.refused(Refusal::NoRoom), 4, "three messages and the event that tells of the end");
    let line = || WARNINGS.lock().expect("warnings").iter().find(|line| line.contains("no room")).cloned();
    wait_until("the line", || line().is_some());
    let line = line().expect("a line");
    for text in [format!("conn={conn} ").as_str(), "uid=4711 ", "messages=3 ", "events=1 ", "runtime.queue_"] {
        assert!(line.contains(text), "{text} is not in {line}");
    }
    wait_until("the free place", || stats.open() == 0);
}
