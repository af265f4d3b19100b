//! Requests in, answers out, and the end.

use std::io::Read;
use std::time::Duration;

use duet_gateway::CloseReason;

use crate::{Gate, format, receive, send};

#[test]
fn requests_for_which_there_is_no_room_wait_and_keep_their_order() {
    let gate = Gate::open();
    let (mut client, _) = gate.client();
    gate.echo.set_full(true);
    let before = gate.echo.state.lock().expect("state").offers;
    for seq in 1..=50 {
        send(&mut client, 1, seq, b"waits");
    }
    gate.echo.wait("an offer", |state| (state.offers > before).then_some(()));
    for seq in 51..=100 {
        send(&mut client, 1, seq, b"waits");
    }
    gate.echo.set_full(false);
    for seq in 1..=100 {
        assert_eq!(receive(&mut client), (0, 1, seq, b"waits".to_vec()));
    }
}

#[test]
fn a_connection_whose_first_event_finds_no_room_is_served_later_and_in_order() {
    let gate = Gate::open();
    gate.echo.set_full(true);
    let mut client = gate.connect();
    send(&mut client, 1, 1, b"waits");
    gate.echo.wait("an offer", |state| (state.offers > 0).then_some(()));
    gate.echo.set_full(false);
    assert_eq!(receive(&mut client), (0, 1, 1, b"waits".to_vec()));
    assert_eq!(gate.echo.log(), ["connect 1", "message 1"]);
}

#[test]
fn route_flags_are_enforced_with_an_answer() {
    let gate = Gate::open();
    let mut client = gate.connect();
    for (route, code) in [(2, 4), (3, 4), (4, 3)] {
        send(&mut client, route, 7, b"x");
        let (extcode, answered, seq, body) = receive(&mut client);
        assert_eq!((extcode, answered, seq), (1, route, 7));
        assert_eq!(format().decode_error(&body).expect("error").0, code);
    }
    assert!(gate.echo.state.lock().expect("state").seen.is_empty());
}

#[test]
fn a_drained_gate_says_goodbye_and_is_empty() {
    let mut gate = Gate::open();
    let mut client = gate.connect();
    send(&mut client, 1, 1, b"hello");
    receive(&mut client);
    let gateway = gate.gateway.take().expect("open");
    assert_eq!(gate.runtime.block_on(gateway.drain(Duration::from_secs(5))), 0, "an honest client is not cut off");
    let (extcode, route, _, body) = receive(&mut client);
    assert_eq!((extcode, route), (1, 0));
    assert_eq!(format().decode_error(&body), Some((10, "going away; retry-after-ms=0")));
    assert_eq!(client.read(&mut [0; 1]).expect("end"), 0);
    assert_eq!(gate.echo.sessions.stats().closed(CloseReason::GoingAway), 1);
}
