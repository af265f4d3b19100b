//! Clients that are turned away: each is told so, whatever it has sent already, and nothing is left of it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;

use duet_core::{ConnId, Directory, ErrorCode};
use duet_gateway::{Gateway, ListenerOptions, MemoryMarks, OpenError, Protocol, Refusal, Sessions};
use duet_transport::{GuardOptions, KcpOptions, Networks, TlsIdentity, WsOptions};

use crate::{Echo, Gate, GatewayOptions, PATIENCE, Routes, ended, generous, receive_error, send, timeouts, wait_until};

/// Rounds of each test: a reset takes the answer away from some clients, not from all.
const ROUNDS: usize = 50;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client that has sent a lot before it could be refused.
fn eager(gate: &Gate, first: &[u8]) -> TcpStream {
    let mut client = gate.connect();
    // The server may be done with it before all of this is written.
    let _ = client.write_all(&[first, &[0; 20_000]].concat());
    client
}

fn read_all(client: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    client.read_to_end(&mut all).expect("no reset");
    all
}

fn busy(client: &mut TcpStream) {
    assert_eq!(receive_error(client), (0, 0, ErrorCode::BUSY.0, "busy".to_owned()));
    assert!(ended(client));
}

fn full() -> GatewayOptions {
    GatewayOptions { connections_max: 0, ..generous() }
}

fn ws(listener: &mut ListenerOptions) {
    listener.protocol = Protocol::Ws(WsOptions::default());
}

fn with_tls(listener: &mut ListenerOptions) {
    let folder = tempfile::tempdir().expect("folder");
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("certificate");
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, issued.cert.pem()).expect("file");
    std::fs::write(&key, issued.signing_key.serialize_pem()).expect("file");
    listener.tls = Some(Arc::new(TlsIdentity::load(certificate, key).expect("identity")));
}

#[test]
fn one_connection_too_many_is_told_busy_even_if_it_has_sent_already() {
    let gate = Gate::with(full(), |_| {});
    for _ in 0..ROUNDS {
        busy(&mut eager(&gate, b""));
    }
    assert_eq!(gate.echo.sessions.stats().open(), 0);
}

#[test]
fn one_websocket_too_many_is_answered_503_even_if_it_has_sent_already() {
    let gate = Gate::with(full(), ws);
    for _ in 0..ROUNDS {
        let answer = read_all(&mut eager(&gate, format!("{UPGRADE}\r\n").as_bytes()));
        assert!(answer.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn one_tls_connection_too_many_gets_an_alert_even_if_it_has_sent_already() {
    let gate = Gate::with(full(), with_tls);
    for _ in 0..ROUNDS {
        assert_eq!(read_all(&mut eager(&gate, b"")), [21, 3, 3, 0, 2, 2, 80], "the alert `internal_error`");
    }
}

#[test]
fn a_failed_tls_handshake_ends_with_its_alert_even_if_the_client_has_sent_more() {
    let gate = Gate::with(generous(), with_tls);
    for _ in 0..ROUNDS {
        let alert = read_all(&mut eager(&gate, b"no TLS at all"));
        assert_eq!(alert.first(), Some(&21), "{alert:?}");
    }
}

#[test]
fn addresses_memory_and_handshakes_that_are_full_are_told_as_well() {
    let one = GuardOptions { connections_per_address: 0, ..generous().guard };
    let address = Gate::with(GatewayOptions { guard: one, ..generous() }, |_| {});
    let slow = GuardOptions { burst: 0, connections_per_second: 0.001, ..generous().guard };
    let rate = Gate::with(GatewayOptions { guard: slow, ..generous() }, |_| {});
    let memory = Gate::with(GatewayOptions { memory: Some(MemoryMarks { high: 1, critical: u64::MAX }), ..generous() }, |_| {});
    for (gate, refusal) in [(&address, Refusal::AddressConnections), (&rate, Refusal::AddressRate), (&memory, Refusal::Memory)] {
        let stats = gate.echo.sessions.stats();
        if refusal == Refusal::Memory {
            // Memory is checked from time to time.
            wait_until("the first refusal", || {
                let mut client = gate.connect();
                send(&mut client, 1, 1, b"who");
                stats.refused(refusal) > 0
            });
        }
        for _ in 0..ROUNDS {
            busy(&mut eager(gate, b""));
        }
        assert!(stats.refused(refusal) >= ROUNDS as u64);
    }
    let handshakes = Gate::with(GatewayOptions { handshakes_max: 0, ..generous() }, ws);
    for _ in 0..ROUNDS {
        assert!(read_all(&mut eager(&handshakes, format!("{UPGRADE}\r\n").as_bytes())).starts_with(b"HTTP/1.1 503 "));
    }
    assert_eq!(handshakes.echo.sessions.stats().refused(Refusal::Handshakes), ROUNDS as u64);
}

#[test]
fn a_client_behind_a_proxy_is_told_in_its_own_protocol() {
    let options = || {
        let guard = GuardOptions { connections_per_address: 0, ..generous().guard };
        GatewayOptions { guard, proxies: Networks::parse(["127.0.0.0/8"]).expect("network"), ..generous() }
    };
    let tcp = Gate::with(options(), |listener| listener.proxy_protocol = true);
    let web = Gate::with(options(), ws);
    for _ in 0..ROUNDS {
        busy(&mut eager(&tcp, b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\n"));
        let request = format!("{UPGRADE}X-Forwarded-For: 192.0.2.7\r\n\r\n");
        assert!(read_all(&mut eager(&web, request.as_bytes())).starts_with(b"HTTP/1.1 503 "));
    }
    for gate in [tcp, web] {
        wait_until("the places are free", || gate.echo.sessions.stats().open() == 0);
        assert_eq!(gate.echo.sessions.stats().refused(Refusal::AddressConnections), ROUNDS as u64);
    }
}

#[test]
fn a_client_behind_a_proxy_that_only_passes_bytes_on_cannot_say_who_it_is() {
    let options = GatewayOptions { proxies: Networks::parse(["127.0.0.0/8"]).expect("network"), ..generous() };
    let gate = Gate::with(options, |listener| {
        ws(listener);
        listener.proxy_protocol = true;
    });
    let mut client = gate.connect();
    let request = format!("PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\n{UPGRADE}X-Forwarded-For: 6.6.6.6\r\n\r\n");
    client.write_all(request.as_bytes()).expect("written");
    assert_eq!(first_address(&gate).to_string(), "192.0.2.7:1234");
}

#[test]
fn a_refused_address_leaves_no_kcp_session_behind_and_is_told_busy() {
    let guard = GuardOptions { connections_per_address: 1, ..generous().guard };
    let gate = Gate::with(GatewayOptions { guard, ..generous() }, |listener| {
        listener.protocol = Protocol::Kcp(KcpOptions { sessions_max: 3, ..KcpOptions::default() });
    });
    let address = gate.gateway.as_ref().expect("open").addresses()[0];
    let _held = begin(address, 1);
    first_address(&gate);
    for conv in 2..20 {
        let refused = begin(address, conv);
        let mut last = [0; 200];
        let length = refused.recv(&mut last).expect("an answer");
        // Number 1: size, header with extcode 1, route 0, seq 0, code 5.
        assert_eq!(last[12..16], 1_u32.to_le_bytes());
        assert_eq!(last[24..length], *b"\0\0\0\x0b\x01\0\0\0\0\0\x05busy");
    }
    let stats = gate.echo.sessions.stats();
    assert_eq!((stats.open(), stats.refused(Refusal::AddressConnections)), (1, 18));
}

/// The address of the first connection, as plugins get it.
fn first_address(gate: &Gate) -> SocketAddr {
    let id = |line: &String| line.strip_prefix("connect ")?.parse().ok();
    let id = gate.echo.wait("a connect", |state| state.log.iter().find_map(id));
    gate.echo.sessions.address(ConnId(id)).expect("an address")
}

/// A client of KCP that has proved its address.
fn begin(server: SocketAddr, conv: u32) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    socket.connect(server).expect("connected");
    let segment = |command: u8, time: u32, expected: u32, data: &[u8]| {
        let head = [conv, u32::from(command) | 128 << 16, time, 0, expected, data.len() as u32];
        [head.map(u32::to_le_bytes).as_flattened(), data].concat()
    };
    socket.send(&segment(81, 1, 0, b"hello")).expect("sent");
    let mut greeting = [0; 200];
    socket.recv(&mut greeting).expect("a greeting");
    let cookie = u32::from_le_bytes(greeting[8..12].try_into().expect("4 bytes"));
    socket.send(&segment(82, cookie, 1, b"")).expect("sent");
    socket
}

#[test]
fn both_families_can_have_the_same_port_in_one_gate_and_alone_ipv6_takes_both() {
    let kinds: [fn() -> Protocol; 3] = [|| Protocol::Tcp, || Protocol::Ws(WsOptions::default()), || Protocol::Kcp(KcpOptions::default())];
    for kind in kinds {
        let listener = |address: &str, port| {
            let address = SocketAddr::new(address.parse::<IpAddr>().expect("address"), port);
            ListenerOptions::new(kind(), address, crate::format(), timeouts())
        };
        let open = |listeners: &[ListenerOptions]| {
            let echo = Arc::new(Echo { sessions: Arc::new(Sessions::new(generous())), ..Echo::default() });
            Gateway::open(listeners, Arc::clone(&echo.sessions), echo as _, Arc::new(Routes::default()))
        };
        // The last one leaves a port of udp a moment after it was drained.
        let open_when_free = |listeners: &[ListenerOptions]| {
            let mut opened = open(listeners);
            wait_until("the port of the last one", || {
                if matches!(&opened, Err(OpenError::Bind(error)) if error.is_in_use()) {
                    opened = open(listeners);
                }
                !matches!(opened, Err(OpenError::Bind(_)))
            });
            opened
        };
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        let _inside = runtime.enter();
        let free = open(&[listener("0.0.0.0", 0)]).expect("a free port");
        let port = free.addresses()[0].port();
        runtime.block_on(free.drain(PATIENCE));
        for addresses in [["0.0.0.0", "::"], ["::", "0.0.0.0"], ["127.0.0.1", "::"]] {
            let both = open_when_free(&addresses.map(|address| listener(address, port))).expect("both");
            runtime.block_on(both.drain(PATIENCE));
        }
        let three = [listener("127.0.0.1", port), listener("127.0.0.2", port), listener("::ffff:127.0.0.1", port)];
        let error = open_when_free(&three).expect_err("taken");
        assert!(matches!(error, OpenError::Shared { .. }), "{error}");
        assert!(error.to_string().starts_with("listener[2] cannot listen on ") && error.to_string().contains("listener[0]"), "{error}");
        // Another program is in the way, not the listener of the other family.
        let other_program = open_when_free(&[listener("::1", port)]).expect("free");
        let error = open(&[listener("0.0.0.0", port), listener("::", port)]).expect_err("taken");
        assert!(matches!(&error, OpenError::Bind(error) if error.is_in_use()), "{error}");
        runtime.block_on(other_program.drain(PATIENCE));
    }
}

#[test]
fn a_client_of_ipv4_is_one_of_ipv4_at_a_listener_for_both() {
    // The only network that is not limited is that of IPv4.
    let guard = GuardOptions { connections_per_address: 0, exempt: Networks::parse(["127.0.0.0/8"]).expect("network"), ..generous().guard };
    let gate = Gate::with(GatewayOptions { guard, ..generous() }, |listener| listener.address = "[::]:0".parse().expect("address"));
    let port = gate.gateway.as_ref().expect("open").addresses()[0].port();
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    send(&mut client, 1, 1, b"who");
    assert_eq!(first_address(&gate), client.local_addr().expect("connected"));
    let mut other = TcpStream::connect(("::1", port)).expect("connected");
    other.set_read_timeout(Some(PATIENCE)).expect("timeout");
    busy(&mut other);
}
