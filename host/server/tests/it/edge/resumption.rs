//! Coming back to a session: who may, who may not, and what the log says about it.

use std::sync::Barrier;
use std::time::Instant;

use duet_testkit::suite::sized;
use duet_testkit::{Message, Peer, Random, Server, Wire, report};
use serde_json::Value;

use super::{SOON, ask, connections, counted, lobby, lobby_server};

/// Where clients ask for a token and resume.
const SESSION: i16 = -1;
const SESSION_GONE: u16 = 11;
/// Clients that come back with the same token.
const CLIENTS: usize = 1_000;
const THREADS: usize = 8;

/// A client that is bound and has a token.
fn logged_in(server: &Server, uid: i64) -> (Peer, String) {
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    ask(&mut peer, lobby::LOGIN, &format!(r#"{{"uid":{uid}}}"#));
    let token = token(&ask(&mut peer, SESSION, "{}"));
    (peer, token)
}

fn token(answer: &Value) -> String {
    answer["token"].as_str().expect("a token").to_owned()
}

/// The request for a session of which this many packets were received.
fn question(token: &str, received: usize) -> String {
    format!(r#"{{"token":"{token}","received":{received}}}"#)
}

/// All of them at the same time with one token. Returns the answers of those who won.
fn race(server: &Server, token: &str) -> Vec<(Peer, Value)> {
    let (barrier, question, address) = (Barrier::new(THREADS), question(token, 0), server.tcp());
    let racing = || {
        let mut peers: Vec<Peer> = (0..CLIENTS / THREADS).map(|_| Peer::connect(address, Wire::TCP)).collect();
        barrier.wait();
        for peer in &mut peers {
            peer.send_data(SESSION, 1, question.as_bytes());
        }
        let mut won = Vec::new();
        for mut peer in peers {
            match peer.next() {
                Message::Data { route: SESSION, seq: 1, body } => won.push((peer, serde_json::from_slice(&body).expect("json"))),
                Message::Error { code: SESSION_GONE, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        won
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(racing)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no wrong answers")).collect()
    })
}

#[test]
fn of_a_thousand_who_resume_with_one_token_exactly_one_wins_and_no_log_knows_a_token() {
    let server = lobby_server().settings("[log]\nlevel = \"trace\"\n").start();
    let mut tokens = Vec::new();
    let rounds = sized(2, 10);
    for round in 0..rounds {
        let uid = 100 + round as i64;
        let (mut peer, first) = logged_in(&server, uid);
        // Every other time the connection is still there and is taken over.
        let lost = round % 2 == 0;
        if lost {
            drop(peer);
            let mut observer = Peer::connect(server.tcp(), Wire::TCP);
            let begun = Instant::now();
            while ask(&mut observer, lobby::COUNTS, "{}")["suspended"] != 1 {
                assert!(begun.elapsed() < SOON, "the session is not suspended");
            }
            peer = observer;
        }
        let won = race(&server, &first);
        let [(mut winner, answer)] = won.try_into().unwrap_or_else(|all: Vec<_>| panic!("{} have won", all.len()));
        assert_eq!(ask(&mut winner, lobby::WHOAMI, "{}")["uid"], uid);
        assert!(lost || matches!(peer.next(), Message::Closed(_)), "it was taken over");
        // The token that won is used up; the new one works once.
        let second = token(&answer);
        assert_ne!(first, second);
        let mut again = Peer::connect(server.tcp(), Wire::TCP);
        assert!(matches!(again.call(SESSION, question(&first, 0).as_bytes()), Err(Message::Error { code: SESSION_GONE, .. })));
        assert!(again.call(SESSION, question(&second, 1).as_bytes()).is_ok());
        assert_eq!(ask(&mut again, lobby::WHOAMI, "{}")["uid"], uid);
        tokens.extend([first, second]);
        ask(&mut again, lobby::LOGOUT, "{}");
    }
    let stopped = server.stop();
    let refused = (CLIENTS / THREADS * THREADS * rounds) as u64;
    assert_eq!(counted(&stopped, "resume"), refused, "{stopped}");
    let log = server.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log has no details");
    let leaks = tokens.iter().filter(|token| log.to_lowercase().contains(token.as_str())).count();
    assert_eq!(leaks, 0);
    report!(
        "resumption: {rounds} x {CLIENTS} clients at once with one token, {rounds} x 1 winner, {refused} refused; 0 of {} tokens in {} lines of \
         trace log",
        tokens.len(),
        log.lines().count()
    );
}

#[test]
fn tokens_that_were_guessed_never_open_a_session() {
    let count = sized(10_000, 1_000_000);
    let server = lobby_server().start();
    // Sessions to be found: some lost, some connected.
    let mut online: Vec<(Peer, String)> = (1..=50).map(|uid| logged_in(&server, uid)).collect();
    online.truncate(25);
    let mut random = Random::new(42);
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    let mut guesses = 0;
    while guesses < count {
        let batch = 100.min(count - guesses);
        for _ in 0..batch {
            let guess = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
            peer.send_data(SESSION, 1, question(&guess, 0).as_bytes());
        }
        for _ in 0..batch {
            let answer = peer.next();
            assert!(matches!(answer, Message::Error { route: SESSION, code: SESSION_GONE, .. }), "{answer:?}");
        }
        guesses += batch;
    }
    // Near misses are no better: a token with one digit changed, in capitals it is the same one.
    let (_, token) = &online[0];
    let (mut near, mut tried) = (token.clone().into_bytes(), 0);
    for at in 0..near.len() {
        let digit = near[at];
        near[at] = if digit == b'0' { b'1' } else { b'0' };
        let guess = question(std::str::from_utf8(&near).expect("digits"), 0);
        assert!(matches!(peer.call(SESSION, guess.as_bytes()), Err(Message::Error { code: SESSION_GONE, .. })));
        near[at] = digit;
        tried += 1;
    }
    assert!(connections(&mut peer) >= 26);
    assert_eq!(ask(&mut peer, lobby::WHOAMI, "{}")["uid"], 0, "still nobody");
    for (peer, _) in &mut online {
        assert_ne!(ask(peer, lobby::WHOAMI, "{}")["uid"], 0);
    }
    assert_eq!(counted(&server.stop(), "resume"), (count + tried) as u64);
    report!(
        "resumption: {count} random tokens and {tried} near misses against 50 sessions, 0 opened one, 0 of 25 connected clients noticed"
    );
}
