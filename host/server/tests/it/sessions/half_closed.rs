//! A client that has ended its side and waits for its answers, and one that comes back for its session meanwhile.

use std::time::{Duration, Instant};

use duet_testkit::frame::{frame, opcode};
use duet_testkit::{Message, Peer, Server, Wire, guest};
use serde_json::json;

use super::{ONLINE, SESSION_GONE, ask, logged_in, resume, token};

/// Waits as many milliseconds as its body says, then replies `awake`.
const SLEEP: i16 = 120;

fn server() -> Server {
    Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("lobby", guest("lobby")).plugin("sleeper", guest("sleeper")).start()
}

/// Waits until an account is nobody's.
fn is_offline(peer: &mut Peer, uid: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while ask(peer, ONLINE, &json!({"uid": uid})).unwrap()["online"] != 0 {
        assert!(Instant::now() < deadline, "{uid} stays online");
    }
}

#[test]
fn who_has_said_good_bye_cannot_come_back_while_its_last_answers_are_on_their_way() {
    let server = server();
    let (mut bob, _) = logged_in(&server, Wire::TCP, 1);
    let (mut ann, _) = logged_in(&server, Wire::WS, 2);
    let token = token(&mut ann);
    ann.send_data(SLEEP, 9, b"2500");
    ann.write(&frame(opcode::CLOSE, &1000_u16.to_be_bytes()));
    is_offline(&mut bob, 2);
    assert_eq!(resume(&server, Wire::WS, &token, 0).map(drop), Err(SESSION_GONE));
    // The account is free at once, and nobody has taken the answer away.
    logged_in(&server, Wire::WS, 2);
    assert!(ann.next_within(Duration::from_millis(1)).is_none(), "its answer came before anybody could come back");
    assert_eq!(ann.next(), Message::Data { route: SLEEP, seq: 9, body: b"awake".to_vec() });
    assert_eq!(ann.next(), Message::Closed(Some(1000)));
}
