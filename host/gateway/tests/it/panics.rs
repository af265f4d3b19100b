//! A panic ends one connection, and nothing of it is left.

use std::io::Write;
use std::sync::atomic::Ordering;

use duet_codec::Carrier;
use duet_core::{Action, ConnId, Directory, Presence, Route, Target, Uid};
use duet_gateway::CloseReason;
use duet_testkit::Log;
use tracing::Level;

use crate::sessions::{SESSION, logged_in, numbers, push, resume};
use crate::{Gate, ended, format, receive, send, wait_until};

/// Nothing is left of a session whose task panicked, and others are served.
fn is_cleaned_up(gate: &Gate, uid: i64, conn: ConnId) {
    let stats = gate.echo.sessions.stats();
    wait_until("the end", || stats.closed(CloseReason::Internal) == 1);
    let directory = &gate.echo.sessions;
    assert_eq!((directory.presence(Uid(uid)), directory.uid_of(conn), directory.address(conn)), (Presence::Offline, None, None));
    wait_until("the free place", || stats.open() == 0);
    assert_eq!((directory.counts().connections, directory.counts().suspended), (0, 0));
    let (mut client, conn, _) = logged_in(gate, uid);
    push(gate, conn, 7);
    assert_eq!(numbers(&mut client, 1)[0], 7);
}

#[test]
fn a_panic_in_the_task_of_a_connection_ends_it_with_all_it_had() {
    let gate = Gate::open();
    let (mut client, conn, _) = logged_in(&gate, 9);
    gate.act(conn, &[Action::Subscribe(Target::Conn(conn), "room")]);
    gate.echo.state.lock().expect("state").faulty = Some((b"fault", ConnId(0)));
    send(&mut client, 1, 1, b"fault");
    gate.echo.wait_for(&format!("disconnect {conn} uid 9 internal"));
    is_cleaned_up(&gate, 9, conn);
    assert_eq!((gate.echo.sessions.member_count("room"), gate.echo.sessions.stats().panics()), (0, 1));
}

#[test]
fn a_panic_right_behind_a_resume_ends_the_session_that_was_resumed() {
    let gate = Gate::open();
    let (client, conn, token) = logged_in(&gate, 9);
    drop(client);
    gate.echo.wait_for(&format!("suspend {conn}"));
    wait_until("the free place", || gate.echo.sessions.stats().open() == 0);
    gate.echo.state.lock().expect("state").faulty = Some((b"fault", ConnId(0)));
    let mut client = gate.connect();
    let mut both = Vec::new();
    for (route, body) in [(SESSION, format!(r#"{{"token":"{token}"}}"#).as_bytes()), (1, b"fault")] {
        format().encode(Carrier::Stream, route, 8, body, &mut both).expect("encode");
    }
    client.write_all(&both).expect("write");
    gate.echo.wait_for(&format!("disconnect {conn} uid 9 internal"));
    is_cleaned_up(&gate, 9, conn);
}

#[test]
fn a_panic_while_the_end_is_told_leaves_nothing_either() {
    let gate = Gate::open();
    let (client, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, Uid(9))]);
    gate.echo.state.lock().expect("state").faulty = Some((b"fault", conn));
    drop(client);
    is_cleaned_up(&gate, 9, conn);
}

#[test]
fn a_panic_while_a_connection_begins_does_not_end_the_listener() {
    let gate = Gate::open();
    let stats = gate.echo.sessions.stats();
    for count in 1..=2 {
        gate.routes.panics.store(1, Ordering::SeqCst);
        let mut client = gate.connect();
        assert!(ended(&mut client));
        wait_until("the end", || (stats.panics(), stats.closed(CloseReason::Internal)) == (count, count));
    }
    gate.client();
}

#[test]
fn a_panic_while_effects_are_applied_ends_the_connection_it_was_for_and_the_others_go_on() {
    let gate = Gate::open();
    let (mut client, conn, _) = logged_in(&gate, 9);
    let (mut other, second, _) = logged_in(&gate, 10);
    let too_large = vec![0; 70_000];
    // Panics at the log line about a message that is too large for its listener.
    let faulty = Log::new(Level::WARN, |line| assert!(!line.contains("cannot be sent"), "a fault of the test"));
    tracing::subscriber::with_default(faulty, || {
        gate.act(
            second,
            &[
                Action::Push { to: Target::Conn(second), route: Route(9), body: &1_u32.to_le_bytes() },
                Action::Push { to: Target::Uid(Uid(9)), route: Route(9), body: &too_large },
                Action::Push { to: Target::Conn(second), route: Route(9), body: &2_u32.to_le_bytes() },
            ],
        );
    });
    assert_eq!(numbers(&mut other, 2), [1, 2]);
    gate.echo.wait_for(&format!("disconnect {conn} uid 9 internal"));
    assert!(!matches!(std::io::Read::read(&mut client, &mut [0; 1]), Ok(1..)), "it is closed");
    assert_eq!(gate.echo.sessions.stats().panics(), 1);
    send(&mut other, 2, 5, b"still here");
    assert_eq!(receive(&mut other).3, b"still here");
    assert!(resume(&gate, &"0".repeat(32), 0).is_err());
}
