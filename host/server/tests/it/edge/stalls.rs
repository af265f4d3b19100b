//! Clients that begin something and never finish it.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use duet_testkit::suite::{raise_file_limit, sized};
use duet_testkit::{Dial, Honest, Peer, Pki, Server, Wire, report, upgrade_request};

use super::tls::client_hello;
use super::{SOON, address, counted, lobby, lobby_server, wait_for_connections};

/// How much later than its deadline a connection may end, however busy the machine is. That it was this deadline, the server's own counts say.
const SLACK: Duration = Duration::from_secs(10);
/// How long a server that has said its last waits for the client to close its side.
const CLOSING: Duration = Duration::from_secs(1);
/// Sockets of one source address.
const PER_ADDRESS: usize = 1_000;

/// Where sockets stop.
struct Stage {
    name: &'static str,
    deadline: Duration,
    /// What counts them.
    reason: &'static str,
    begin: Box<dyn Fn(Ipv4Addr) -> Peer>,
}

/// A socket that waits for its end.
struct Stalled {
    begun: Instant,
    stage: usize,
    peer: Peer,
}

#[test]
fn stalled_sockets_of_every_stage_are_gone_at_their_deadline() {
    let count = sized(500, 5_000);
    // Longer than opening them takes.
    let (short, first) = (Duration::from_secs(sized(3, 10) as u64), Duration::from_secs(sized(4, 12) as u64));
    let files = raise_file_limit();
    let pki = Pki::new();
    let timeouts = format!("first_packet_timeout = \"{first:?}\"\npacket_timeout = \"{short:?}\"\nhandshake_timeout = \"{short:?}\"\n");
    let server = lobby_server()
        .settings(&format!("[gateway]\n{timeouts}connections_max = 100000\nhandshakes_max = 100000\n"))
        .settings("[limits]\ntrusted_proxies = [\"127.0.0.0/8\"]\n")
        .listener("protocol = \"tcp\"\n")
        .listener("protocol = \"ws\"\n")
        .listener(&format!("protocol = \"tcp\"\n{}", pki.settings()))
        .listener("protocol = \"tcp\"\nproxy_protocol = true\n")
        .start();
    let (tcp, ws) = (server.tcp(), server.ws());
    let files_before = server.open_files();
    let honest = Honest::start(2, || {
        let mut number = 0;
        Box::new(move || {
            number += 1;
            let (address, wire) = if number % 2 == 0 { (tcp, Wire::TCP) } else { (ws, Wire::WS) };
            let mut peer = Peer::connect(address, wire);
            assert_eq!(peer.call(lobby::ECHO, b"login"), Ok(b"login".to_vec()));
        })
    });

    let stages = stages(&server, short, first);
    // The one that trickles needs two descriptors for each socket.
    let at_once = (files.saturating_sub(2_000) / count).saturating_sub(1).clamp(1, stages.len());
    for (group, some) in stages.chunks(at_once).enumerate() {
        stall(some, count, group * at_once * count);
        // Nobody closes on our side: the server gets rid of the sockets by itself. A call is a round through the server.
        let mut peer = Peer::connect(tcp, Wire::TCP);
        let last = Instant::now() + CLOSING + SLACK;
        // The honest clients and this one have sockets of their own.
        while server.open_files() > files_before + 8 {
            assert!(Instant::now() < last, "{} files are open, {files_before} were before", server.open_files());
            assert!(peer.call(lobby::ECHO, b"how late is it").is_ok());
        }
    }
    let waits = honest.stop();
    let all = stages.len() * count;
    report!(
        "slowloris: {all} stalled, {} at once, all descriptors back, {} honest logins meanwhile, 0 failed, p99 {:.1} ms, worst {:.1} ms",
        count * at_once,
        waits.count(),
        waits.p99_ms(),
        waits.worst_ms()
    );
    // One that stood behind the stalled sockets would have waited for their deadline.
    assert!(waits.p99_ms() < short.as_secs_f64() * 1e3, "{waits:?}");
    let stopped = server.stop();
    for reason in ["first_packet_timeout", "packet_timeout", "handshake"] {
        let expected = stages.iter().filter(|stage| stage.reason == reason).count() * count;
        assert_eq!(counted(&stopped, reason), expected as u64, "{reason}: {stopped}");
    }
}

fn stages(server: &Server, short: Duration, first: Duration) -> Vec<Stage> {
    let [tcp, ws, tls, proxied] = server.addresses().try_into().expect("four listeners");
    let tcp_from = move |source| Dial::new(tcp, Wire::TCP).from(source);
    let ws_from = move |source| Dial::new(ws, Wire::WS).from(source);
    let stage = |name, deadline, reason, begin| Stage { name, deadline, reason, begin };
    vec![
        // Here nothing is sent at first: bytes come one by one, from elsewhere.
        stage("tcp, a byte every 200 ms", short, "packet_timeout", Box::new(move |source| tcp_from(source).preface(&[0]).bare())),
        stage(
            "tcp, half a packet",
            short,
            "packet_timeout",
            Box::new(move |source| {
                let packet = Wire::TCP.data(lobby::ECHO, 1, b"half");
                tcp_from(source).preface(&packet[..packet.len() / 2]).bare()
            }),
        ),
        stage(
            "ws, half an upgrade",
            short,
            "handshake",
            Box::new(move |source| {
                let request = upgrade_request("/");
                ws_from(source).preface(&request.as_bytes()[..request.len() / 2]).bare()
            }),
        ),
        stage(
            "TLS, half a handshake",
            short,
            "handshake",
            Box::new(move |source| {
                let hello = client_hello(0x0303);
                Dial::new(tls, Wire::TCP).from(source).preface(&hello[..hello.len() / 2]).bare()
            }),
        ),
        stage(
            "tcp, half a PROXY header",
            short,
            "handshake",
            Box::new(move |source| Dial::new(proxied, Wire::TCP).from(source).preface(b"PROXY TCP4 192.0.2.7 ").bare()),
        ),
        stage("tcp, silent", first, "first_packet_timeout", Box::new(move |source| tcp_from(source).bare())),
        stage("ws, upgraded and silent", first, "first_packet_timeout", Box::new(move |source| ws_from(source).connect())),
    ]
}

/// Opens this many sockets of each stage and waits until the server has closed them all.
fn stall(stages: &[Stage], count: usize, first: usize) {
    let begun = Instant::now();
    let mut sockets = Vec::new();
    let mut trickles = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        let stalled = |at| {
            let peer = (stage.begin)(address((first + number * count + at) / PER_ADDRESS));
            Stalled { begun: Instant::now(), stage: number, peer }
        };
        let some: Vec<Stalled> = (0..count).map(stalled).collect();
        if stage.name.contains("every 200 ms") {
            trickles.push(trickle(&some));
        }
        sockets.extend(some);
    }
    let opened = begun.elapsed();
    let end = |socket: &Stalled| socket.begun + stages[socket.stage].deadline;
    sockets.sort_by_key(end);
    let mut worst = vec![Duration::ZERO; stages.len()];
    for socket in &mut sockets {
        let left = (end(socket) + SLACK).saturating_duration_since(Instant::now());
        let (name, begun) = (stages[socket.stage].name, socket.begun);
        assert!(socket.peer.closed_within(left).is_some(), "{name}: still open after {:?}", begun.elapsed());
        worst[socket.stage] = worst[socket.stage].max(begun.elapsed());
    }
    for (stop, thread) in trickles {
        drop(stop);
        thread.join().unwrap();
    }
    for (stage, worst) in stages.iter().zip(&worst) {
        report!(
            "slowloris, {}: {count} stalled, {count} reaped, deadline {} s, worst {:.2} s (all open after {:.2} s)",
            stage.name,
            stage.deadline.as_secs(),
            worst.as_secs_f64(),
            opened.as_secs_f64()
        );
    }
}

/// Sends each of the sockets a byte now and then, until it is told to stop.
fn trickle(sockets: &[Stalled]) -> (SyncSender<()>, JoinHandle<()>) {
    let streams: Vec<_> = sockets.iter().map(|socket| socket.peer.stream().try_clone().unwrap()).collect();
    let packet = Wire::TCP.data(lobby::ECHO, 1, &[0; 1_000]);
    let (stop, stopped) = sync_channel::<()>(0);
    let thread = std::thread::spawn(move || {
        for byte in packet.iter().skip(1) {
            if stopped.recv_timeout(Duration::from_millis(200)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            for mut stream in &streams {
                let _closed = stream.write_all(&[*byte]);
            }
        }
    });
    (stop, thread)
}

#[test]
fn kcp_sessions_that_prove_their_address_and_say_nothing_more_are_gone_at_their_deadline() {
    let (count, deadline) = (sized(500, 5_000), Duration::from_secs(sized(2, 10) as u64));
    raise_file_limit();
    let server = lobby_server()
        .settings(&format!("[gateway]\nfirst_packet_timeout = \"{deadline:?}\"\n"))
        .listener("protocol = \"kcp\"\n")
        .listener("protocol = \"tcp\"\n")
        .start();
    let kcp = server.kcp();
    let mut observer = Peer::connect(server.tcp(), Wire::TCP);
    wait_for_connections(&mut observer, 1, SOON);
    let honest =
        Honest::start(2, || Box::new(move || assert_eq!(Dial::kcp(kcp).connect().call(lobby::ECHO, b"login"), Ok(b"login".to_vec()))));
    let begun = Instant::now();
    let silent: Vec<Peer> = (0..count)
        .map(|number| {
            let mut peer = Dial::kcp(kcp).from(address(number / PER_ADDRESS)).bare();
            peer.prove();
            peer
        })
        .collect();
    let opened = begun.elapsed();
    // Clients of kcp leave without a word, so those of the honest ones are ended by their silence, much later.
    let waits = honest.stop();
    let seen = super::connections(&mut observer);
    assert!(opened >= deadline || seen > count as u64, "{seen} connections");
    let mut last = seen;
    // A listener waits for the client to close its side, which clients of kcp cannot.
    let until = begun + opened + deadline + CLOSING + SLACK;
    let logins = waits.count() as u64;
    while last > logins + 1 {
        assert!(Instant::now() < until, "{last} connections, {logins} of them honest");
        std::thread::park_timeout(Duration::from_millis(5));
        last = super::connections(&mut observer);
    }
    let worst = begun.elapsed();
    drop(silent);
    report!(
        "slowloris, kcp, proved and silent: {count} stalled (within {:.2} s), {count} reaped, deadline {} s, all gone after {:.2} s, \
         {} honest kcp logins meanwhile, 0 failed, p99 {:.1} ms",
        opened.as_secs_f64(),
        deadline.as_secs(),
        worst.as_secs_f64(),
        waits.count(),
        waits.p99_ms()
    );
    // As above.
    assert!(waits.p99_ms() < deadline.as_secs_f64() * 1e3, "{waits:?}");
    assert_eq!(counted(&server.stop(), "first_packet_timeout"), count as u64);
}
