//! Messages that are on their way when a session begins, is lost or goes on.

use duet_testkit::{Message, Peer, Server, Wire};
use serde_json::{Value, json};

use super::{ONLINE, PUSH, ask, lobby, logged_in, resume, token};

const ROUNDS: usize = 30;
const MESSAGES: u64 = 300;
/// The most that a client may miss in these tests.
const KEEPS_ALL: &str = "resume_packets = 65536\nresume_bytes = \"16MiB\"";

/// Packets that have numbers pushed to a connection.
fn pushes(to: u64, numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    let push = |n: u64| Wire::TCP.data(PUSH, 1, json!({"conn": to, "text": n.to_string()}).to_string().as_bytes());
    numbers.flat_map(push).collect()
}

/// The number of a push; `None` for other packets.
fn number(message: &Message) -> Option<u64> {
    let Message::Data { route: 100, seq: 0, body } = message else { return None };
    let body: Value = serde_json::from_slice(body).unwrap();
    Some(body["text"].as_str().unwrap().parse().unwrap())
}

/// Reads pushes up to the last number.
fn numbers(peer: &mut Peer, last: u64) -> Vec<u64> {
    let mut got = Vec::new();
    while got.last() != Some(&last) {
        let message = peer.next();
        assert!(!matches!(message, Message::Closed(_)), "closed behind {got:?}");
        got.extend(number(&message));
    }
    got
}

/// Reads the replies to this many pushes.
fn done(peer: &mut Peer, count: u64) {
    for _ in 0..count {
        assert_eq!(peer.next(), Message::Data { route: PUSH, seq: 1, body: b"{}".to_vec() });
    }
}

/// Ann asks for a token amid pushes of which she gets each once, with a loss at any place after it.
fn token_amid_pushes(server: &Server, round: usize) {
    let (mut bob, _) = logged_in(server, Wire::TCP, 8);
    let (mut ann, conn) = logged_in(server, Wire::TCP, 7);
    bob.write(&pushes(conn, 0..MESSAGES));
    ann.send_data(-1, 1, b"{}");
    let (mut all, mut since) = (Vec::new(), None);
    let token = loop {
        match ann.next() {
            Message::Data { route: -1, body, .. } => {
                let told: Value = serde_json::from_slice(&body).unwrap();
                break told["token"].as_str().unwrap().to_owned();
            }
            message => all.extend(number(&message)),
        }
    };
    // Some of the packets after the token are received before the loss.
    let keep = (round as u64 * 7) % 50;
    for _ in 0..keep {
        if all.last() == Some(&(MESSAGES - 1)) {
            break;
        }
        let message = ann.next();
        *since.get_or_insert(0_u64) += 1;
        all.extend(number(&message));
    }
    drop(ann);
    done(&mut bob, MESSAGES);
    let (mut ann, _) = resume(server, Wire::TCP, &token, since.unwrap_or(0)).expect("nothing was dropped");
    ask(&mut bob, PUSH, &json!({"conn": conn, "text": MESSAGES.to_string()})).unwrap();
    all.extend(numbers(&mut ann, MESSAGES));
    assert_eq!(all, (0..=MESSAGES).collect::<Vec<_>>(), "round {round}");
}

#[test]
fn a_token_asked_for_amid_pushes_counts_each_of_them() {
    let server = lobby(KEEPS_ALL);
    (0..ROUNDS).for_each(|round| token_amid_pushes(&server, round));
}

#[test]
fn what_was_sent_right_before_a_loss_is_handled_once_and_in_order() {
    let server = lobby(KEEPS_ALL);
    for round in 0..ROUNDS {
        let (mut bob, to) = logged_in(&server, Wire::TCP, 8);
        let (mut ann, _) = logged_in(&server, Wire::TCP, 7);
        let token = token(&mut ann);
        ann.write(&pushes(to, 0..MESSAGES));
        // The old connection may not even be read to its end.
        let (mut back, taken) = resume(&server, Wire::TCP, &token, 0).expect("its own token");
        drop(ann);
        assert!(taken <= MESSAGES);
        back.write(&pushes(to, taken..MESSAGES));
        assert_eq!(numbers(&mut bob, MESSAGES - 1), (0..MESSAGES).collect::<Vec<_>>(), "round {round}: {taken} were taken");
    }
}

#[test]
fn what_is_pushed_while_a_silent_client_is_given_up_is_kept() {
    let server = lobby(&format!("heartbeat_interval = \"100ms\"\n{KEEPS_ALL}"));
    let (mut bob, _) = logged_in(&server, Wire::TCP, 8);
    let (mut ann, conn) = logged_in(&server, Wire::TCP, 7);
    let token = token(&mut ann);
    let mut sent = 0;
    // Longer than all that the server waits for; the client is there, but says nothing.
    while ask(&mut bob, ONLINE, &json!({"uid": 7})).unwrap()["online"] != 2 {
        ask(&mut bob, PUSH, &json!({"conn": conn, "text": sent.to_string()})).unwrap();
        sent += 1;
    }
    ask(&mut bob, PUSH, &json!({"conn": conn, "text": sent.to_string()})).unwrap();
    let (mut back, _) = resume(&server, Wire::TCP, &token, 0).expect("it is waited for");
    assert_eq!(numbers(&mut back, sent), (0..=sent).collect::<Vec<_>>());
}
