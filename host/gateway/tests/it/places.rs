//! What suspended sessions use up.

use std::time::Duration;

use duet_core::{Directory, ErrorCode, Presence, Uid};
use duet_transport::GuardOptions;

use crate::sessions::{logged_in, resume};
use crate::{Gate, GatewayOptions, ended, generous, receive_error, wait_until};

/// This many lost clients, by their tokens.
fn lost(gate: &Gate, uids: std::ops::Range<i64>) -> Vec<String> {
    let all: Vec<_> = uids.map(|uid| logged_in(gate, uid)).collect();
    let lose = |(client, conn, token)| {
        drop(client);
        gate.echo.wait_for(&format!("suspend {conn}"));
        token
    };
    let tokens = all.into_iter().map(lose).collect();
    wait_until("the free places", || gate.echo.sessions.stats().open() == 0);
    tokens
}

#[test]
fn suspended_sessions_leave_the_places_to_clients_that_come_back() {
    let gate = Gate::with(GatewayOptions { connections_max: 3, ..generous() }, |_| {});
    let tokens = lost(&gate, 1..4);
    let mut back: Vec<_> = tokens.iter().map(|token| resume(&gate, token, 0).expect("resumed").0).collect();
    assert_eq!(gate.echo.sessions.stats().open(), 3);
    let mut more = gate.connect();
    assert_eq!(receive_error(&mut more).2, ErrorCode::BUSY.0);
    assert!(ended(&mut more));
    // The places are theirs as if nothing had happened.
    back.clear();
    wait_until("the free places", || gate.echo.sessions.stats().open() == 0);
}

#[test]
fn players_behind_one_address_all_come_back() {
    let guard = GuardOptions { connections_per_address: 64, ..generous().guard };
    let gate = Gate::with(GatewayOptions { guard, ..generous() }, |_| {});
    let tokens = lost(&gate, 1..65);
    let back: Vec<_> = tokens.iter().map(|token| resume(&gate, token, 0).expect("resumed").0).collect();
    let mut more = gate.connect();
    assert_eq!(receive_error(&mut more).2, ErrorCode::BUSY.0);
    drop(back);
}

#[test]
fn a_loss_above_suspended_max_ends_its_session_and_a_resume_makes_room() {
    let mut options = generous();
    options.sessions.suspended_max = 1;
    let gate = Gate::with(options, |_| {});
    let tokens = lost(&gate, 1..2);
    let (second, conn, _) = logged_in(&gate, 2);
    drop(second);
    gate.echo.wait_for(&format!("disconnect {conn} uid 2 client_left"));
    let back = resume(&gate, &tokens[0], 0).expect("resumed");
    lost_again(&gate, 3);
    assert_eq!(gate.echo.sessions.presence(Uid(1)), Presence::Connected);
    drop(back);
}

fn lost_again(gate: &Gate, uid: i64) {
    let (client, conn, _) = logged_in(gate, uid);
    drop(client);
    gate.echo.wait_for(&format!("suspend {conn} uid {uid}"));
}

#[test]
fn a_drain_waits_for_the_last_event_of_suspended_sessions() {
    let mut gate = Gate::open();
    lost(&gate, 1..9);
    let gateway = gate.gateway.take().expect("open");
    assert_eq!(gate.runtime.block_on(gateway.drain(Duration::from_secs(10))), 0);
    let ends = gate.echo.log().iter().filter(|line| line.starts_with("disconnect") && line.ends_with("going_away")).count();
    assert_eq!(ends, 8);
}
