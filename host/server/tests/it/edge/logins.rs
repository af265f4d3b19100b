//! Connections that have to log in by a deadline.

use std::time::{Duration, Instant};

use duet_testkit::{Dial, Message, Peer, Wire, report};

use super::{ask, counted, lobby, lobby_server};

const DEADLINE: Duration = Duration::from_secs(1);
/// How much later the end may come, however busy the machine is. Nothing else ends a connection that calls all the time.
const SLACK: Duration = Duration::from_secs(10);
const NOT_AUTHORIZED: u16 = 4;

/// Keeps calling until the server ends the connection. Returns how long that took.
fn call_until_the_end(peer: &mut Peer, since: Instant) -> Duration {
    loop {
        match peer.call(lobby::ECHO, b"busy") {
            Ok(_) => assert!(since.elapsed() < DEADLINE + SLACK, "still served after {:?}", since.elapsed()),
            Err(Message::Error { route: 0, code: NOT_AUTHORIZED, .. }) => return since.elapsed(),
            Err(other) => panic!("{other:?}"),
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn whoever_does_not_log_in_by_the_deadline_is_ended_however_busy_it_is() {
    let listener = |protocol: &str| format!("protocol = \"{protocol}\"\nauthorize_timeout = \"{DEADLINE:?}\"\n");
    let server = lobby_server()
        .listener(&listener("tcp"))
        .listener(&listener("ws"))
        .listener(&listener("kcp"))
        .listener("protocol = \"tcp\"\n")
        .start();
    let dials = [Dial::new(server.tcp(), Wire::TCP), Dial::new(server.ws(), Wire::WS), Dial::kcp(server.kcp())];
    let mut never_asked = Peer::connect(server.addresses()[3], Wire::TCP);
    assert!(never_asked.call(lobby::ECHO, b"hello").is_ok());
    let mut worst = Duration::ZERO;
    let mut bound = Vec::new();
    for (uid, dial) in (1..).zip(&dials) {
        let begun = Instant::now();
        let mut anonymous = dial.connect();
        let mut player = dial.connect();
        ask(&mut player, lobby::LOGIN, &format!(r#"{{"uid":{uid}}}"#));
        let took = call_until_the_end(&mut anonymous, begun);
        assert!(took >= DEADLINE, "{took:?}");
        worst = worst.max(took);
        if anonymous.wire() == Wire::WS {
            assert_eq!(anonymous.closed(), Some(1008));
        }
        bound.push(player);
    }
    // Players have outlived the deadline; a logout starts it again.
    for player in &mut bound {
        assert_ne!(ask(player, lobby::WHOAMI, "{}")["uid"], 0);
    }
    for player in &mut bound {
        ask(player, lobby::LOGOUT, "{}");
        let took = call_until_the_end(player, Instant::now());
        worst = worst.max(took);
    }
    assert!(never_asked.call(lobby::ECHO, b"still here").is_ok());
    let stopped = server.stop();
    assert_eq!(counted(&stopped, "authorize_timeout"), 6, "{stopped}");
    report!(
        "authorize deadline {} s: 6 busy connections on tcp, ws and kcp without a login or after a logout, 6 ended with `not authorized`, worst \
         {:.2} s; logged in: 0 ended",
        DEADLINE.as_secs(),
        worst.as_secs_f64()
    );
}
