//! Lost connections and those who come back.

use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Duration;

use duet_core::{Action, ConnId, Directory, ErrorCode, Presence, Route, Target, Uid};
use duet_gateway::{CloseReason, Refusal};

use crate::{Gate, ended, format, generous, receive, receive_error, send, wait_until};

pub(crate) const SESSION: i32 = -1;

/// What a client is told on the session route: token and packets the server took.
pub(crate) fn told(body: &[u8]) -> (String, u64) {
    let answer: serde_json::Value = serde_json::from_slice(body).expect("json");
    (answer["token"].as_str().expect("token").to_owned(), answer["received"].as_u64().expect("count"))
}

/// Asks for a token.
pub(crate) fn token(client: &mut TcpStream) -> String {
    send(client, SESSION, 5, b"{}");
    let (extcode, route, seq, body) = receive(client);
    assert_eq!((extcode, route, seq), (0, SESSION, 5));
    assert_eq!(told(&body).1, 0);
    told(&body).0
}

/// Tries to go on with a session.
pub(crate) fn resume(gate: &Gate, token: &str, received: u64) -> Result<(TcpStream, String, u64), u16> {
    resume_on(gate.connect(), token, received).map_err(|(code, _)| code)
}

/// The same on an open connection, with the text of the refusal.
pub(crate) fn resume_on(mut client: TcpStream, token: &str, received: u64) -> Result<(TcpStream, String, u64), (u16, String)> {
    send(&mut client, SESSION, 6, format!(r#"{{"token":"{token}","received":{received}}}"#).as_bytes());
    let (extcode, route, seq, body) = receive(&mut client);
    assert_eq!((route, seq), (SESSION, 6));
    if extcode == 1 {
        let (code, text) = format().decode_error(&body).expect("error");
        return Err((code, text.to_owned()));
    }
    let (token, taken) = told(&body);
    Ok((client, token, taken))
}

/// A client that is bound and has a token.
pub(crate) fn logged_in(gate: &Gate, uid: i64) -> (TcpStream, ConnId, String) {
    let (mut client, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, Uid(uid)), Action::Reply(b"in")]);
    receive(&mut client);
    let token = token(&mut client);
    (client, conn, token)
}

pub(crate) fn push(gate: &Gate, conn: ConnId, n: u32) {
    gate.act(conn, &[Action::Push { to: Target::Conn(conn), route: Route(9), body: &n.to_le_bytes() }]);
}

pub(crate) fn numbers(client: &mut TcpStream, count: usize) -> Vec<u32> {
    (0..count).map(|_| u32::from_le_bytes(receive(client).3[..4].try_into().expect("number"))).collect()
}

#[test]
fn a_lost_client_gets_what_it_missed_and_nothing_twice() {
    let gate = Gate::open();
    let (mut client, conn, token) = logged_in(&gate, 9);
    gate.act(conn, &[Action::Subscribe(Target::Conn(conn), "room")]);
    (0..10).for_each(|n| push(&gate, conn, n));
    assert_eq!(numbers(&mut client, 4), [0, 1, 2, 3]);
    send(&mut client, 1, 8, b"one");
    // Six pushes and the echo are on their way and never read.
    gate.echo.wait("the message", |state| (state.log.last()? == &format!("message {conn} uid 9")).then_some(()));
    drop(client);
    gate.echo.wait_for(&format!("suspend {conn} uid 9"));
    assert_eq!(gate.echo.sessions.presence(Uid(9)), Presence::Suspended);
    gate.act(conn, &[Action::Publish { channel: "room", route: Route(9), body: &10_u32.to_le_bytes() }]);
    let (mut client, second, taken) = resume(&gate, &token, 4).expect("resumed");
    assert_eq!(taken, 1, "the server took one message");
    assert_eq!(numbers(&mut client, 6), [4, 5, 6, 7, 8, 9]);
    assert_eq!(receive(&mut client), (0, 1, 8, b"one".to_vec()));
    assert_eq!(numbers(&mut client, 1), [10]);
    send(&mut client, 2, 9, b"still bound");
    assert_eq!(receive(&mut client), (0, 2, 9, b"still bound".to_vec()));
    gate.echo.wait_for(&format!("resume {conn} uid 9"));
    // The first token is used up; the second works once more, counted from the beginning.
    assert_eq!(resume(&gate, &token, 4).expect_err("used"), ErrorCode::SESSION_GONE.0);
    let (mut third, ..) = resume(&gate, &second, 13).expect("the old connection was still there");
    assert!(ended(&mut client), "it was taken over");
    push(&gate, conn, 99);
    assert_eq!(numbers(&mut third, 1), [99]);
    assert_eq!(gate.echo.sessions.counts().bound, 1);
    let log = gate.echo.log();
    let of_session: Vec<&str> =
        log.iter().filter(|l| l.split(' ').nth(1) == Some(&conn.to_string())).map(|l| l.split(' ').next().expect("kind")).collect();
    assert_eq!(of_session, ["connect", "message", "bind", "message", "suspend", "resume", "message", "resume"]);
}

#[test]
fn a_session_nobody_comes_back_to_ends() {
    let gate = Gate::with(generous(), |listener| listener.sessions.resume_timeout = Duration::from_millis(200));
    let (client, conn, token) = logged_in(&gate, 9);
    drop(client);
    gate.echo.wait_for(&format!("disconnect {conn} uid 9 expired"));
    assert_eq!(resume(&gate, &token, 0).expect_err("expired"), ErrorCode::SESSION_GONE.0);
    assert_eq!(gate.echo.sessions.presence(Uid(9)), Presence::Offline);
    assert_eq!(gate.echo.sessions.stats().refused(Refusal::Resume), 1);
}

#[test]
fn whoever_did_not_ask_is_not_kept() {
    let gate = Gate::open();
    let (client, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, Uid(9))]);
    drop(client);
    gate.echo.wait_for(&format!("disconnect {conn} uid 9 client_left"));
    let mut anonymous = gate.connect();
    send(&mut anonymous, SESSION, 5, b"{}");
    let text = "not authorized: the session is not bound to a uid; bind it first";
    assert_eq!(receive_error(&mut anonymous), (SESSION, 5, 4, text.to_owned()));
    for (body, code) in [("", 2), ("[]", 2), ("{", 2), (r#"{"token":"0","more":1}"#, 2), (&"x".repeat(257), 9), (r#"{"token":"zz"}"#, 11)] {
        send(&mut anonymous, SESSION, 6, body.as_bytes());
        assert_eq!(receive_error(&mut anonymous).2, code, "{body}");
    }
}

#[test]
fn a_resume_that_cannot_be_says_why_and_leaves_the_session_as_it_was() {
    let gate = Gate::with(generous(), |listener| listener.sessions.resume_packets = 5);
    for lost in [false, true] {
        let (client, conn, token) = logged_in(&gate, 9);
        let kept = (!lost).then(|| client.try_clone().expect("clone"));
        drop(client);
        if lost {
            gate.echo.wait_for(&format!("suspend {conn}"));
        }
        (0..6).for_each(|n| push(&gate, conn, n));
        let refused = |received| resume_on(gate.connect(), &token, received).expect_err("it cannot be");
        let (code, text) = refused(0);
        assert_eq!((code, &*text), (11, "session gone: received = 0, but packets are kept from number 1 on only"));
        let (code, text) = refused(7);
        assert_eq!((code, &*text), (11, "session gone: received = 7, but only 6 packets were sent"));
        let (code, text) = resume_on(gate.connect(), &token.replace(|_| true, "0"), 1).expect_err("unknown");
        assert_eq!((code, &*text), (11, "session gone: the token is unknown, used, void or too old; log in again"));
        for body in [format!(r#"["{token}",1]"#), format!(r#"{{"token":"{token}","received":"1"}}"#), String::new()] {
            let mut client = gate.connect();
            send(&mut client, SESSION, 6, body.as_bytes());
            assert_eq!(receive_error(&mut client).2, 2, "{body}");
        }
        assert_eq!(gate.echo.sessions.uid_of(conn), Some(Uid(9)));
        // The right client can still resume it.
        let (mut back, ..) = resume(&gate, &token, 1).expect("the token is not used up");
        assert_eq!(numbers(&mut back, 5), [1, 2, 3, 4, 5]);
        drop(kept);
        gate.act(conn, &[Action::Unbind(Target::Conn(conn))]);
    }
}

#[test]
fn a_client_with_a_login_or_with_requests_of_its_own_does_not_resume_and_stays() {
    let gate = Gate::open();
    let (lost, conn, token) = logged_in(&gate, 9);
    drop(lost);
    gate.echo.wait_for(&format!("suspend {conn}"));
    let (bound, ..) = logged_in(&gate, 10);
    let (code, text) = resume_on(bound.try_clone().expect("clone"), &token, 0).expect_err("it is bound");
    assert_eq!((code, &*text), (11, "session gone: only a connection without a login of its own can resume a session"));
    drop(bound);
    let mut client = gate.connect();
    let mut both = Vec::new();
    for (route, body) in [(1, "first".to_owned()), (SESSION, format!(r#"{{"token":"{token}"}}"#))] {
        format().encode(duet_codec::Carrier::Stream, route, 8, body.as_bytes(), &mut both).expect("encode");
    }
    std::io::Write::write_all(&mut client, &both).expect("write");
    let mut answers = [receive(&mut client), receive(&mut client)];
    answers.sort();
    assert_eq!((answers[0].3.as_slice(), answers[1].0, answers[1].1), (&b"first"[..], 1, SESSION));
    resume_once_answered(&client, &token);
}

/// Resumes as soon as the server knows that everything is answered, which may be a moment after the client knows.
fn resume_once_answered(client: &TcpStream, token: &str) {
    wait_until("the resume", || match resume_on(client.try_clone().expect("clone"), token, 0) {
        Ok(_) => true,
        Err((code, text)) => {
            assert_eq!(code, ErrorCode::BUSY.0, "{text}");
            false
        }
    });
}

#[test]
fn a_resume_behind_a_request_that_is_not_answered_yet_loses_neither() {
    let gate = Gate::open();
    let (lost, conn, token) = logged_in(&gate, 9);
    drop(lost);
    gate.echo.wait_for(&format!("suspend {conn}"));
    gate.echo.state.lock().expect("state").keeps = true;
    let mut client = gate.connect();
    send(&mut client, 1, 8, b"first");
    wait_until("the request", || gate.echo.kept() == 1);
    let (code, text) = resume_on(client.try_clone().expect("clone"), &token, 0).expect_err("its answer would be lost");
    assert_eq!((code, &*text), (5, "busy: requests of this connection are not answered yet; resume then, or first"));
    gate.echo.release();
    assert_eq!(receive(&mut client), (0, 1, 8, b"first".to_vec()));
    resume_once_answered(&client, &token);
}

#[test]
fn the_session_route_answers_where_there_are_no_error_packets() {
    let gate = Gate::with(generous(), |listener| listener.error_packets = false);
    let mut client = gate.connect();
    send(&mut client, 99, 1, b"nobody serves it");
    send(&mut client, SESSION, 2, b"{}");
    assert_eq!(receive_error(&mut client).1, 2, "and nothing before");
    assert_eq!(resume_on(client, "00", 0).expect_err("no token").0, 11);
}

#[test]
fn a_session_that_was_resumed_and_logged_out_can_go_on_as_another() {
    let gate = Gate::open();
    let (first, one, token_of_one) = logged_in(&gate, 1);
    let (second, two, token_of_two) = logged_in(&gate, 2);
    drop((first, second));
    for conn in [one, two] {
        gate.echo.wait_for(&format!("suspend {conn}"));
    }
    let (client, ..) = resume(&gate, &token_of_one, 0).expect("resumed");
    gate.act(one, &[Action::Unbind(Target::Conn(one))]);
    let (mut client, ..) = resume_on(client, &token_of_two, 0).expect("it is anonymous");
    push(&gate, two, 7);
    assert_eq!(numbers(&mut client, 1), [7]);
    send(&mut client, 2, 5, b"bound as two");
    assert_eq!(receive(&mut client).3, b"bound as two");
    drop(client);
    gate.echo.wait("the second loss", |state| {
        (state.log.iter().filter(|l| l.starts_with(&format!("suspend {two}"))).count() == 2).then_some(())
    });
}

#[test]
fn a_login_elsewhere_ends_a_suspended_session_under_either_policy() {
    for policy in [duet_session::DuplicateLogin::KickOld, duet_session::DuplicateLogin::Reject] {
        let gate = Gate::with(generous(), |listener| listener.sessions.duplicate_login = policy);
        let (client, conn, token) = logged_in(&gate, 9);
        drop(client);
        gate.echo.wait_for(&format!("suspend {conn}"));
        let (_client, second, _) = logged_in(&gate, 9);
        gate.echo.wait_for(&format!("disconnect {conn} uid 9 replaced"));
        assert_eq!(gate.echo.sessions.conn_of(Uid(9)), Some(second));
        assert_eq!(resume(&gate, &token, 0).expect_err("void"), ErrorCode::SESSION_GONE.0);
    }
}

#[test]
fn whoever_cannot_resume_logs_in_on_the_same_connection() {
    let gate = Gate::with(generous(), |listener| listener.sessions.resume_packets = 1);
    let (client, lost, token) = logged_in(&gate, 9);
    drop(client);
    gate.echo.wait_for(&format!("suspend {lost}"));
    (0..3).for_each(|n| push(&gate, lost, n));
    let (mut client, conn) = gate.client();
    send(&mut client, SESSION, 6, format!(r#"{{"token":"{token}","received":0}}"#).as_bytes());
    assert_eq!(receive_error(&mut client).2, ErrorCode::SESSION_GONE.0);
    gate.act(conn, &[Action::Bind(conn, Uid(9)), Action::Reply(b"in")]);
    assert_eq!(receive(&mut client), (0, 1, 77, b"in".to_vec()));
    send(&mut client, 2, 8, b"secret");
    assert_eq!(receive(&mut client), (0, 2, 8, b"secret".to_vec()));
}

#[test]
fn a_client_that_floods_does_not_get_away_by_resuming() {
    let mut options = generous();
    options.rates.messages = duet_transport::Rate { per_second: 0.001, burst: 10.0 };
    let gate = Gate::with(options, |_| {});
    let (mut client, conn, token) = logged_in(&gate, 9);
    for seq in 1..=200 {
        send(&mut client, 1, seq, b"flood");
    }
    while receive(&mut client).1 != 0 {}
    assert_eq!(resume(&gate, &token, 0).expect_err("it is being closed"), ErrorCode::SESSION_GONE.0);
    drop(client);
    gate.echo.wait_for(&format!("disconnect {conn} uid 9"));
}

#[test]
fn of_many_who_resume_at_once_one_wins() {
    let gate = Gate::open();
    let (client, conn, token) = logged_in(&gate, 9);
    push(&gate, conn, 7);
    drop(client);
    gate.echo.wait_for(&format!("suspend {conn}"));
    let many = 200;
    let barrier = Barrier::new(many);
    let won: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..many)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    resume(&gate, &token, 0)
                })
            })
            .collect();
        tries.into_iter().filter_map(|t| t.join().expect("no panic").ok()).collect()
    });
    let [(mut client, ..)] = <[_; 1]>::try_from(won).map_err(|won| won.len()).expect("exactly one winner");
    assert_eq!(numbers(&mut client, 1), [7]);
    assert_eq!(gate.echo.sessions.stats().refused(Refusal::Resume), many as u64 - 1);
    eprintln!("resume: {many} connections with one token, 1 winner");
}

#[test]
fn a_drain_ends_suspended_sessions_at_once() {
    let mut gate = Gate::open();
    let (client, conn, _token) = logged_in(&gate, 9);
    drop(client);
    gate.echo.wait_for(&format!("suspend {conn}"));
    let gateway = gate.gateway.take().expect("open");
    assert_eq!(gate.runtime.block_on(gateway.drain(Duration::from_secs(10))), 0);
    gate.echo.wait_for(&format!("disconnect {conn} uid 9 going_away"));
    assert_eq!(gate.echo.sessions.stats().closed(CloseReason::GoingAway), 1);
}

#[test]
fn what_found_no_room_before_a_resume_is_handed_on_before_what_came_after_it() {
    for lost in [false, true] {
        let gate = Gate::open();
        let (mut client, conn, token) = logged_in(&gate, 9);
        let offers = || gate.echo.state.lock().expect("state").offers;
        let waits = |last: i32, client: &mut TcpStream| {
            let before = offers();
            send(client, 1, last, b"waits");
            gate.echo.wait("an offer", |state| (state.offers > before).then_some(()));
        };
        gate.echo.state.lock().expect("state").full_of_messages = true;
        waits(1, &mut client);
        let kept = (!lost).then_some(client);
        if lost {
            // The loss of a client that is not read is noticed when it is written to.
            crate::wait_until("the loss", || {
                push(&gate, conn, 7);
                gate.echo.log().contains(&format!("suspend {conn}"))
            });
        }
        let (mut client, _, taken) = resume(&gate, &token, 0).expect("resumed");
        assert_eq!(taken, 1);
        gate.echo.wait_for(&format!("resume {conn}"));
        // The gate reads it only after the first has found room; the old task could be slower than that.
        send(&mut client, 1, 2, b"later");
        gate.echo.set_full(false);
        let answers = std::iter::from_fn(|| Some(receive(&mut client))).filter(|(_, route, ..)| *route == 1).map(|(_, _, seq, _)| seq);
        assert_eq!(answers.take(2).collect::<Vec<_>>(), [1, 2], "lost: {lost}");
        drop(kept);
    }
}

#[test]
fn requests_in_flight_before_a_resume_count_for_the_new_connection() {
    let gate = Gate::with(duet_gateway::GatewayOptions { write_queue_packets: 16, write_queue_bytes: 128 << 10, ..generous() }, |_| {});
    let (mut client, _, token) = logged_in(&gate, 9);
    gate.echo.state.lock().expect("state").keeps = true;
    (1..=10).for_each(|seq| send(&mut client, 1, seq, b"before"));
    crate::wait_until("ten requests", || gate.echo.kept() == 10);
    let (mut client, _, taken) = resume(&gate, &token, 0).expect("resumed");
    assert_eq!(taken, 10);
    (11..=40).for_each(|seq| send(&mut client, 1, seq, b"after"));
    // Sixteen may be in flight, whichever connection they came from.
    crate::wait_until("as many as may be", || gate.echo.kept() == 16);
    gate.echo.release();
    // The stand-in answers on two threads now.
    let mut answered: Vec<i32> = (1..=40).map(|_| receive(&mut client).2).collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=40).collect::<Vec<_>>());
}
