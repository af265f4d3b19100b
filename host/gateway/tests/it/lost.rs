//! What a connection leaves behind and no plugin has room for: it is lost, logged and counted.

use std::io::Write;

use duet_codec::Carrier;
use duet_core::{Action, ErrorCode, Target, Uid};
use duet_gateway::Refusal;
use duet_testkit::Kept;

use crate::{Gate, format, receive, wait_until};

#[test]
fn requests_and_events_that_find_no_room_after_the_end_are_counted_and_logged() {
    let log = Kept::of_process();
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
    let line = log.wait_for("no room").remove(0);
    for text in [format!("conn={conn} ").as_str(), "uid=4711 ", "messages=3 ", "events=1 ", "runtime.queue_"] {
        assert!(line.contains(text), "{text} is not in {line}");
    }
    wait_until("the free place", || stats.open() == 0);
}
