//! Clients that begin something and never finish it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use duet_testkit::{Honest, Peer, Wire, upgrade_request};

use crate::{ECHO, echo_server};

/// Sockets at each stage.
const STALLED: usize = 500;
const FIRST_PACKET: Duration = Duration::from_secs(2);
/// `packet_timeout` and `handshake_timeout`.
const SHORT: Duration = Duration::from_secs(1);
/// How much later than its deadline a connection may end, on a busy machine.
const SLACK: Duration = Duration::from_secs(1);
/// How long a server that has said its last waits for the client to close its side.
const CLOSING: Duration = Duration::from_secs(1);

struct Stage {
    name: &'static str,
    deadline: Duration,
    /// With the time from which its deadline counts.
    sockets: Vec<(Instant, Peer)>,
}

#[test]
fn five_hundred_stalled_sockets_at_each_stage_are_gone_at_their_deadline() {
    let settings = "[gateway]\nfirst_packet_timeout = \"2s\"\npacket_timeout = \"1s\"\nhandshake_timeout = \"1s\"\n";
    let server = echo_server().settings(settings).start();
    let (tcp, ws) = (server.tcp(), server.ws());
    let files_before = server.open_files();
    let honest = Honest::start(2, || {
        let mut number = 0;
        Box::new(move || {
            number += 1;
            let (address, wire) = if number % 2 == 0 { (tcp, Wire::TCP) } else { (ws, Wire::WS) };
            let mut peer = Peer::connect(address, wire);
            assert_eq!(peer.call(ECHO, b"login"), Ok(b"login".to_vec()));
        })
    });

    let begun = Instant::now();
    let half = Wire::TCP.data(ECHO, 1, b"never finished");
    let mut trickling = stall("tcp, a byte every 200 ms", SHORT, tcp, Wire::TCP, |peer| peer.write(&half[..1]));
    let streams: Vec<_> = trickling.sockets.iter().map(|(_, peer)| peer.stream().try_clone().unwrap()).collect();
    let (stop, stopped) = sync_channel::<()>(0);
    let trickle = std::thread::spawn(move || {
        for byte in half.iter().skip(1) {
            if stopped.recv_timeout(Duration::from_millis(200)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            for mut stream in &streams {
                let _closed = stream.write_all(&[*byte]);
            }
        }
    });
    let mut stages = [
        stall("tcp, half a packet", SHORT, tcp, Wire::TCP, |peer| {
            let packet = Wire::TCP.data(ECHO, 1, b"half");
            peer.write(&packet[..packet.len() / 2]);
        }),
        stall("ws, half an upgrade", SHORT, ws, Wire::WS, |peer| {
            let request = upgrade_request("/");
            peer.write(&request.as_bytes()[..request.len() / 2]);
        }),
        stall("tcp, silent", FIRST_PACKET, tcp, Wire::TCP, |_| {}),
        stall("ws, upgraded and silent", FIRST_PACKET, ws, Wire::WS, |peer| {
            peer.write(upgrade_request("/").as_bytes());
            assert!(peer.http_answer().starts_with("HTTP/1.1 101 "));
        }),
    ];
    let opened = begun.elapsed();

    let mut worst = vec![told(&mut trickling)];
    drop(stop);
    trickle.join().unwrap();
    worst.extend(stages.iter_mut().map(told));
    // Nobody closes on our side: the server gets rid of the sockets by itself. A call is a round through the server.
    let mut peer = Peer::connect(tcp, Wire::TCP);
    let last = Instant::now() + CLOSING + SLACK;
    // The honest clients and this one have sockets of their own.
    while server.open_files() > files_before + 8 {
        assert!(Instant::now() < last, "{} files are open, {files_before} were before", server.open_files());
        assert!(peer.call(ECHO, b"how late is it").is_ok());
    }
    let gone = begun.elapsed();
    let waits = honest.stop();
    for (stage, worst) in [&trickling].into_iter().chain(&stages).zip(&worst) {
        eprintln!(
            "slowloris, {}: {STALLED} stalled, {STALLED} reaped, deadline {} s, worst {:.2} s",
            stage.name,
            stage.deadline.as_secs(),
            worst.as_secs_f64()
        );
    }
    eprintln!(
        "slowloris: {} stalled at once (opened within {:.2} s), all descriptors back after {:.2} s, {} honest logins, 0 failed, p99 {:.1} ms, \
         worst {:.1} ms",
        STALLED * 5,
        opened.as_secs_f64(),
        gone.as_secs_f64(),
        waits.count(),
        waits.p99_ms(),
        waits.worst_ms()
    );
    drop((trickling, stages, peer));
    assert!(server.terminate().0.success());
    let stopped = server.wait_for_log("stopped", Duration::ZERO);
    for counted in ["first_packet_timeout=1000", "packet_timeout=1000", "handshake=500"] {
        assert!(stopped.contains(counted), "{counted} is missing: {stopped}");
    }
}

fn stall(name: &'static str, deadline: Duration, address: SocketAddr, wire: Wire, begin: impl Fn(&mut Peer)) -> Stage {
    let socket = |_| {
        let mut peer = Peer::bare(address, wire);
        begin(&mut peer);
        (Instant::now(), peer)
    };
    Stage { name, deadline, sockets: (0..STALLED).map(socket).collect() }
}

/// Waits until each socket was told its end, and says how long the slowest had to wait.
fn told(stage: &mut Stage) -> Duration {
    let mut worst = Duration::ZERO;
    for (since, peer) in &mut stage.sockets {
        let last = *since + stage.deadline + SLACK;
        let end = peer.closed_within(last.saturating_duration_since(Instant::now()));
        assert!(end.is_some(), "{}: still open after {:?}", stage.name, since.elapsed());
        worst = worst.max(since.elapsed());
    }
    worst
}
