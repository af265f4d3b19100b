//! A gate with a stand-in for the plugins: what it does when they are busy, and what it sends for their effects.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use duet_codec::{ByteOrder, Carrier, Cut, Format, Packet, Profile};
use duet_core::{
    ConnId, Dispatch, Effect, Egress, Full, PluginEntry, PublishError, Registry, Requests, Route, RouteEntry, RouteTable, Seq,
};
use duet_gateway::{CloseReason, Connections, Gateway, GatewayOptions, ListenerOptions, Protocol};
use duet_session::{Heartbeat, Timeouts};

/// Echoes what it takes; takes nothing while it is full.
#[derive(Default)]
struct Echo {
    connections: Arc<Connections>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    full: bool,
    offers: usize,
    waiting: Option<Waker>,
    seen: Vec<ConnId>,
}

impl Echo {
    fn set_full(&self, full: bool) {
        let mut state = self.state.lock().expect("state");
        state.full = full;
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    /// Waits until the gate has offered something in vain.
    fn wait_for_an_offer(&self) {
        while self.state.lock().expect("state").offers == 0 {
            std::thread::yield_now();
        }
    }
}

impl Dispatch for Echo {
    fn dispatch(&self, requests: Requests, waker: &Waker) -> Result<(), Full> {
        {
            let mut state = self.state.lock().expect("state");
            state.offers += 1;
            if state.full {
                state.waiting = Some(waker.clone());
                return Err(Full(requests));
            }
            state.seen.extend(requests.iter().map(|r| r.conn));
        }
        let effects: Vec<_> = requests.iter().map(|r| Effect::Send { conn: r.conn, route: r.route, seq: r.seq, body: r.body }).collect();
        self.connections.apply(&effects);
        Ok(())
    }

    fn is_idle(&self) -> bool {
        true
    }
}

/// Serves route 1 to everybody, route 2 to those who are bound, route 3 to nobody outside.
struct Routes;

impl Registry for Routes {
    fn publish(&self, _: PluginEntry) -> Result<(), PublishError> {
        Ok(())
    }

    fn withdraw(&self, _: &str) {}

    fn routes(&self) -> Arc<RouteTable> {
        let entry = |route, authorized, internal| RouteEntry { route: Route(route), authorized, internal };
        let routes = vec![entry(1, false, false), entry(2, true, false), entry(3, false, true)];
        Arc::new(RouteTable::new([&PluginEntry { name: "echo".into(), version: "1".into(), routes }]))
    }
}

fn format() -> Format {
    Format::new(Profile::Due2, ByteOrder::Big, 2, 2, 65_536).expect("format")
}

struct Gate {
    echo: Arc<Echo>,
    gateway: Option<Gateway>,
    runtime: tokio::runtime::Runtime,
}

impl Gate {
    fn open() -> Self {
        let second = Duration::from_secs(1);
        let listener = ListenerOptions {
            protocol: Protocol::Tcp,
            address: "127.0.0.1:0".parse().expect("address"),
            format: format(),
            timeouts: Timeouts {
                first_packet: second * 15,
                packet: second * 5,
                write: second * 10,
                heartbeat: Heartbeat::Respond,
                heartbeat_interval: second * 10,
            },
            heartbeat_time: false,
            error_packets: true,
        };
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        let echo = Arc::new(Echo::default());
        let gateway = runtime.block_on(async {
            let connections = Arc::clone(&echo.connections);
            Gateway::open(&[listener], GatewayOptions::default(), connections, Arc::clone(&echo) as _, Arc::new(Routes)).expect("port")
        });
        Self { echo, gateway: Some(gateway), runtime }
    }

    fn connect(&self) -> TcpStream {
        let address = self.gateway.as_ref().expect("open").addresses()[0];
        let socket = TcpStream::connect(address).expect("connect");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        socket
    }
}

fn send(socket: &mut TcpStream, route: i32, seq: i32, body: &[u8]) {
    let mut packet = Vec::new();
    format().encode(Carrier::Stream, route, seq, body, &mut packet).expect("encode");
    socket.write_all(&packet).expect("write");
}

/// Extcode, route, seq and body of the next packet.
fn receive(socket: &mut TcpStream) -> (u8, i32, i32, Vec<u8>) {
    let mut packet = vec![0; 4];
    socket.read_exact(&mut packet).expect("size");
    if let Cut::Need(bytes) = format().cut(&packet).expect("size") {
        packet.resize(bytes, 0);
        socket.read_exact(&mut packet[4..]).expect("packet");
    }
    match format().decode(Carrier::Stream, &packet).expect("packet") {
        Packet::Data { extcode, route, seq, body } => (extcode, route, seq, body.to_vec()),
        other => panic!("expected data, got {other:?}"),
    }
}

#[test]
fn requests_for_which_there_is_no_room_wait_and_keep_their_order() {
    let gate = Gate::open();
    gate.echo.set_full(true);
    let mut client = gate.connect();
    for seq in 1..=50 {
        send(&mut client, 1, seq, b"waits");
    }
    gate.echo.wait_for_an_offer();
    for seq in 51..=100 {
        send(&mut client, 1, seq, b"waits");
    }
    gate.echo.set_full(false);
    for seq in 1..=100 {
        assert_eq!(receive(&mut client), (0, 1, seq, b"waits".to_vec()));
    }
}

#[test]
fn route_flags_are_enforced_with_an_answer() {
    let gate = Gate::open();
    let mut client = gate.connect();
    for (route, code) in [(2, 4), (3, 4), (4, 3)] {
        send(&mut client, route, 7, b"x");
        let (extcode, answered, seq, body) = receive(&mut client);
        assert_eq!((extcode, answered, seq), (1, route, 7));
        assert_eq!(format().decode_error(&body).expect("error").0, code);
    }
    assert!(gate.echo.state.lock().expect("state").seen.is_empty());
}

#[test]
fn an_effect_for_a_connection_that_is_gone_does_nothing_and_a_large_one_is_an_error() {
    let gate = Gate::open();
    let mut client = gate.connect();
    send(&mut client, 1, 1, b"hello");
    receive(&mut client);
    let conn = gate.echo.state.lock().expect("state").seen[0];
    let to = |conn, body| Effect::Send { conn, route: Route(9), seq: Seq(5), body };
    gate.echo.connections.apply(&[to(ConnId(1 << 40), b"nobody"), to(conn, &[0; 65_537]), to(conn, b"after")]);
    let (extcode, route, seq, body) = receive(&mut client);
    assert_eq!((extcode, route, seq), (1, 9, 5));
    assert_eq!(format().decode_error(&body), Some((9, "too large")));
    assert_eq!(receive(&mut client), (0, 9, 5, b"after".to_vec()));
}

#[test]
fn a_drained_gate_says_goodbye_and_is_empty() {
    let mut gate = Gate::open();
    let mut client = gate.connect();
    send(&mut client, 1, 1, b"hello");
    receive(&mut client);
    let gateway = gate.gateway.take().expect("open");
    assert_eq!(gate.runtime.block_on(gateway.drain(Duration::from_secs(5))), 0, "an honest client is not cut off");
    let (extcode, route, _, body) = receive(&mut client);
    assert_eq!((extcode, route), (1, 0));
    assert_eq!(format().decode_error(&body), Some((10, "going away")));
    assert_eq!(client.read(&mut [0; 1]).expect("end"), 0);
    assert_eq!(gate.echo.connections.stats().closed(CloseReason::GoingAway), 1);
}
