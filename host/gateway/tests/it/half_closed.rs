//! Clients that end their side before they have their answers.

use std::io::Read;
use std::net::Shutdown;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duet_core::{Action, ConnId, Route, Uid};
use duet_gateway::CloseReason;

use crate::{Gate, ended, receive, send, wait_until};

#[test]
fn requests_before_the_end_of_the_clients_side_are_answered() {
    let gate = Gate::open();
    for _ in 0..100 {
        let mut client = gate.connect();
        for seq in 1..=3 {
            send(&mut client, 1, seq, b"and good-bye");
        }
        client.shutdown(Shutdown::Write).expect("shutdown");
        for seq in 1..=3 {
            assert_eq!(receive(&mut client), (0, 1, seq, b"and good-bye".to_vec()));
        }
        assert!(ended(&mut client));
    }
    wait_until("all ends", || gate.echo.sessions.stats().closed(CloseReason::ClientLeft) == 100);
}

#[test]
fn the_end_waits_for_requests_in_flight_and_for_those_that_find_no_room() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    gate.echo.state.lock().expect("state").keeps = true;
    send(&mut client, 1, 1, b"kept");
    wait_until("a request", || gate.echo.kept() == 1);
    gate.echo.set_full(true);
    send(&mut client, 1, 2, b"parked");
    client.shutdown(Shutdown::Write).expect("shutdown");
    gate.echo.set_full(false);
    wait_until("both", || gate.echo.kept() == 2);
    assert!(!gate.echo.log().contains(&format!("disconnect {conn} client_left")));
    gate.echo.release();
    assert_eq!(receive(&mut client).3, b"kept");
    assert_eq!(receive(&mut client).3, b"parked");
    assert!(ended(&mut client));
    gate.echo.wait_for(&format!("disconnect {conn} client_left"));
}

#[test]
fn a_bound_client_that_ended_its_side_is_suspended_behind_its_answers() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, Uid(9)), Action::Reply(b"in")]);
    receive(&mut client);
    send(&mut client, -1, 1, b"{}");
    receive(&mut client);
    gate.echo.state.lock().expect("state").keeps = true;
    send(&mut client, 1, 2, b"last");
    client.shutdown(Shutdown::Write).expect("shutdown");
    wait_until("the request", || gate.echo.kept() == 1);
    gate.echo.release();
    assert_eq!(receive(&mut client).3, b"last");
    assert!(ended(&mut client));
    gate.echo.wait_for(&format!("suspend {conn} uid 9 client_left"));
}

#[test]
fn the_end_is_not_missed_while_others_push() {
    let gate = Gate::open();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                gate.act(ConnId(0), &[Action::Broadcast { bound_only: false, route: Route(9), body: b"news" }]);
            }
        });
        let rounds = std::panic::catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..300 {
                let mut client = gate.connect();
                client.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
                client.shutdown(Shutdown::Write).expect("shutdown");
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).expect("the end comes at once");
            }
        }));
        stop.store(true, Ordering::Relaxed);
        rounds.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}
