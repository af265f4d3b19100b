//! A server that stands still while somebody comes back: what was asked in time counts.

use std::time::{Duration, Instant};

use duet_testkit::{Message, Peer, Server, Wire, guest};
use serde_json::json;

use super::{COUNTS, SESSION, SESSION_GONE, ask, logged_in, token};

/// How long a session waits for its client.
const WAITS: Duration = Duration::from_secs(2);

/// Waits until this many sessions are suspended.
fn suspended(peer: &mut Peer, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(peer, COUNTS, &json!({})).unwrap()["suspended"] != wanted {
        assert!(Instant::now() < deadline, "there are never {wanted} suspended");
    }
}

#[test]
fn a_resume_that_waits_to_be_accepted_while_the_server_is_stopped_is_in_time() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("lobby", guest("lobby"))
        .listener(&format!("protocol = \"tcp\"\nresume_timeout = \"{WAITS:?}\"\n"))
        .start();
    // Its own deadlines are checked late, too.
    let (mut bob, _) = logged_in(&server, Wire::TCP, 100);
    let clients: Vec<(Peer, String)> = (1..=11)
        .map(|uid| {
            let (mut ann, _) = logged_in(&server, Wire::TCP, uid);
            let token = token(&mut ann);
            (ann, token)
        })
        .collect();
    let tokens: Vec<String> = clients.into_iter().map(|(_lost, token)| token).collect();
    suspended(&mut bob, 11);
    server.freeze();
    // Ten are in the accept queue, with what they ask for; one is not.
    let (last, others) = tokens.split_last().unwrap();
    let mut returned: Vec<Peer> = others
        .iter()
        .map(|token| {
            let mut ann = Peer::connect(server.tcp(), Wire::TCP);
            ann.send_data(SESSION, 1, json!({"token": token, "received": 0}).to_string().as_bytes());
            ann
        })
        .collect();
    std::thread::park_timeout(WAITS * 2);
    server.thaw();
    for ann in &mut returned {
        let answer = ann.next();
        assert!(matches!(answer, Message::Data { route: SESSION, seq: 1, .. }), "{answer:?}");
    }
    // Whoever did not come has a little longer, as with every deadline that is checked late; then it is over.
    suspended(&mut bob, 0);
    let mut late = Peer::connect(server.tcp(), Wire::TCP);
    let refused = ask(&mut late, SESSION, &json!({"token": last, "received": 0})).unwrap_err();
    assert!(matches!(refused, Message::Error { code: SESSION_GONE, .. }), "{refused:?}");
}
