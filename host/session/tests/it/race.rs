//! Many connections that want the same session.

use std::sync::{Barrier, Mutex};
use std::thread;

use duet_core::{ConnId, Presence, Uid};
use duet_session::{Book, DuplicateLogin, ResumeError, Resumed, SessionLimits, SessionState, Token};

const THREADS: u64 = 8;
const CONNECTIONS: u64 = 1_000;
/// The session that all want. The connections that want it have the ids after it.
const IT: ConnId = ConnId(0);

fn token(number: u64) -> Token {
    let mut bytes = [0; Token::BYTES];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Token::new(bytes)
}

/// Every connection comes with the token 0 and would get a token of its own number. Returns who succeeded.
fn race(suspended: bool) -> (Book, Vec<(u64, Resumed)>) {
    let mut book = Book::new(SessionLimits { channels_per_session: 1, channel_bytes: 1, suspended_max: 1 });
    book.open(IT);
    book.bind(IT, Uid(10), DuplicateLogin::Reject).unwrap();
    book.issue(IT, &token(0)).unwrap();
    if suspended {
        book.lose(IT);
    }
    for conn in 1..=CONNECTIONS {
        book.open(ConnId(conn));
    }
    let (book, start) = (Mutex::new(book), Barrier::new(THREADS as usize));
    let won = thread::scope(|scope| {
        let runners: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (book, start) = (&book, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut won = Vec::new();
                    for conn in (1..=CONNECTIONS).filter(|conn| conn % THREADS == thread) {
                        match book.lock().unwrap().resume(ConnId(conn), &token(0), &token(conn)) {
                            Ok(resumed) => won.push((conn, resumed)),
                            Err(error) => assert_eq!(error, ResumeError::Refused),
                        }
                        thread::yield_now();
                    }
                    won
                })
            })
            .collect();
        runners.into_iter().flat_map(|runner| runner.join().unwrap()).collect()
    });
    (book.into_inner().unwrap(), won)
}

#[test]
fn of_1000_connections_with_one_token_exactly_one_gets_the_session() {
    for (suspended, was) in [(true, Presence::Suspended), (false, Presence::Connected)] {
        let (mut book, won) = race(suspended);
        let [(winner, resumed)] = won[..] else {
            panic!("{} winners: {won:?}", won.len());
        };
        assert_eq!(resumed, Resumed { conn: IT, uid: Uid(10), was });
        assert_eq!((book.state(IT), book.state(ConnId(winner))), (Some(SessionState::Bound(Uid(10))), None));
        let counts = book.counts();
        assert_eq!((counts.connected, counts.bound, counts.suspended), (CONNECTIONS as usize, 1, 0));

        let losers: Vec<u64> = (1..=CONNECTIONS).filter(|conn| *conn != winner).collect();
        let refused = Err(ResumeError::Refused);
        for loser in &losers {
            assert_eq!(book.resume(ConnId(*loser), &token(*loser), &token(5_000)), refused, "nobody was given this token");
        }
        let asks = [losers[0], losers[1]].map(ConnId);
        assert_eq!(book.resume(asks[0], &token(winner), &token(6_000)), Ok(Resumed { was: Presence::Connected, ..resumed }));
        assert_eq!(book.resume(asks[1], &token(winner), &token(7_000)), refused, "the second token is single use too");
        assert_eq!(book.resume(asks[1], &token(0), &token(7_000)), refused);
    }
}
