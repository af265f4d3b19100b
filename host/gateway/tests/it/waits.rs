//! Deadlines, and who is to blame for them.

use std::io::Write;
use std::time::Duration;

use duet_codec::Carrier;
use duet_core::ErrorCode;
use duet_gateway::{GatewayOptions, Rates};
use duet_transport::Rate;

use crate::sessions::{SESSION, logged_in};
use crate::{Gate, format, generous, receive, send, wait_until};

const SHORT: Duration = Duration::from_millis(300);

/// A gate whose clients have little time.
fn impatient(options: GatewayOptions) -> Gate {
    Gate::with(options, |listener| {
        listener.timeouts.first_packet = SHORT;
        listener.timeouts.packet = SHORT;
        listener.timeouts.heartbeat_interval = SHORT / 2;
    })
}

#[test]
fn a_client_whose_requests_find_no_room_keeps_its_connection() {
    let gate = impatient(generous());
    let mut client = gate.connect();
    gate.echo.set_full(true);
    // Most of these are not read, and one perhaps only in part, for longer than any of the client's deadlines.
    let mut packets = Vec::new();
    for seq in 1..=100 {
        format().encode(Carrier::Stream, 1, seq, &[7; 1_000], &mut packets).expect("encode");
    }
    client.write_all(&packets).expect("write");
    std::thread::park_timeout(SHORT * 4);
    gate.echo.set_full(false);
    for seq in 1..=100 {
        assert_eq!(receive(&mut client).2, seq);
    }
}

#[test]
fn a_client_that_has_as_many_requests_in_flight_as_it_may_keeps_its_connection() {
    let gate = impatient(GatewayOptions { write_queue_packets: 8, ..generous() });
    let mut client = gate.connect();
    gate.echo.state.lock().expect("state").keeps = true;
    let mut packets = Vec::new();
    for seq in 1..=100 {
        format().encode(Carrier::Stream, 1, seq, &[7; 1_000], &mut packets).expect("encode");
    }
    client.write_all(&packets).expect("write");
    wait_until("requests", || gate.echo.kept() == 8);
    std::thread::park_timeout(SHORT * 4);
    gate.echo.release();
    for seq in 1..=100 {
        assert_eq!(receive(&mut client).2, seq);
    }
}

#[test]
fn a_body_that_takes_longer_than_a_packet_may_because_of_its_rate_arrives() {
    let rates = Rates { bytes: Rate { per_second: 50_000.0, burst: 10_000.0 }, ..generous().rates };
    let gate = impatient(GatewayOptions { rates, ..generous() });
    let mut client = gate.connect();
    send(&mut client, 1, 1, &[7; 60_000]);
    assert_eq!(receive(&mut client), (0, 1, 1, vec![7; 60_000]));
}

#[test]
fn a_session_goes_on_if_it_is_resumed_when_its_new_connection_has_to_be_bound() {
    let time = Duration::from_secs(2);
    let gate = Gate::with(generous(), |listener| listener.timeouts.authorize = time);
    let (lost, conn, token) = logged_in(&gate, 9);
    drop(lost);
    gate.echo.wait_for(&format!("suspend {conn}"));
    for _ in 0..5 {
        let (mut client, _) = gate.client();
        // Its task stands still with a request. When it goes on, the question is there, and the time for a login is up.
        let stands_still = gate.echo.state.lock().expect("state");
        send(&mut client, 1, 2, b"first");
        std::thread::park_timeout(SHORT);
        send(&mut client, SESSION, 3, format!(r#"{{"token":"{token}"}}"#).as_bytes());
        std::thread::park_timeout(time);
        drop(stands_still);
        assert_eq!(receive(&mut client).3, b"first");
        let (extcode, route, _, body) = receive(&mut client);
        if (extcode, route) == (1, SESSION) {
            assert_eq!(body[..2], ErrorCode::BAD_REQUEST.0.to_be_bytes(), "both came in one read");
            continue;
        }
        assert_eq!((extcode, route), (0, SESSION), "resumed");
        send(&mut client, 2, 4, b"still bound");
        assert_eq!(receive(&mut client), (0, 2, 4, b"still bound".to_vec()));
        return;
    }
    panic!("the two are always read together");
}

#[test]
fn a_client_that_is_read_again_still_has_its_deadlines() {
    let gate = impatient(generous());
    let (mut client, conn) = gate.client();
    gate.echo.set_full(true);
    send(&mut client, 1, 1, b"waits");
    std::thread::park_timeout(SHORT * 2);
    gate.echo.set_full(false);
    receive(&mut client);
    client.write_all(&[0, 0, 0]).expect("a part of a packet");
    let ended = gate.echo.wait_for(&format!("disconnect {conn} "));
    assert!(ended.ends_with("packet_timeout") || ended.ends_with("silence"), "{ended}");
}
