//! A gate with a stand-in for the plugins: what it does when they are busy, and what becomes of their effects.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use duet_codec::{ByteOrder, Carrier, Cut, Format, Packet, Profile};
use duet_core::{
    Action, ConnId, Dispatch, Effect, Egress, Full, Origin, PluginEntry, PublishError, Registry, RequestKind, Requests, Route, RouteEntry,
    RouteTable, Seq, Source,
};
use duet_gateway::{Gateway, GatewayOptions, ListenerOptions, Protocol, Rates, Sessions};
use duet_session::{Heartbeat, Timeouts};
use duet_transport::{GuardOptions, Networks, Rate};

mod effects;
mod events;
mod flow;
mod half_closed;
mod limits;
mod lost;
mod panics;
mod pipelines;
mod places;
mod races;
mod refused;
mod retention;
mod sessions;
mod waits;

/// No event may take longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Echoes messages and keeps events; takes nothing while it is full.
#[derive(Default)]
struct Echo {
    sessions: Arc<Sessions>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Panics at messages with this body, and at the last event of their connection.
    faulty: Option<(&'static [u8], ConnId)>,
    full: bool,
    /// Takes events, but no messages.
    full_of_messages: bool,
    /// Requests are kept until [`Echo::release`].
    keeps: bool,
    kept: Vec<Requests>,
    offers: usize,
    waiting: Option<Waker>,
    seen: Vec<ConnId>,
    /// Everything in its order, as text: `connect 1`, `message 1 uid 9`, `disconnect 1 uid 9 kicked`.
    log: Vec<String>,
}

impl Echo {
    fn set_full(&self, full: bool) {
        let mut state = self.state.lock().expect("state");
        (state.full, state.full_of_messages) = (full, false);
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    /// Answers what was kept, and keeps no more.
    fn release(&self) {
        let kept = {
            let mut state = self.state.lock().expect("state");
            state.keeps = false;
            std::mem::take(&mut state.kept)
        };
        kept.into_iter().for_each(|requests| self.answer(&requests));
    }

    /// How many requests are kept.
    fn kept(&self) -> usize {
        self.state.lock().expect("state").kept.iter().map(Requests::len).sum()
    }

    fn answer(&self, requests: &Requests) {
        let echo = |r: duet_core::Request<'_>| {
            // Borrowed from the list, which lives until the end.
            let source = Source::of(&r);
            source.is_answered().then_some(Origin { index: 0, source })
        };
        let effects: Vec<_> = requests.iter().filter_map(|r| Some(Effect { origin: echo(r)?, action: Action::Reply(r.body) })).collect();
        self.sessions.apply(&mut &effects[..]);
    }

    /// Waits until the state is as wanted.
    fn wait<T>(&self, what: &str, wanted: impl Fn(&State) -> Option<T>) -> T {
        let state = self.state.lock().expect("state");
        let wait = self.changed.wait_timeout_while(state, PATIENCE, |state| wanted(state).is_none()).expect("state");
        wanted(&wait.0).unwrap_or_else(|| panic!("{what} did not come: {:?}", wait.0.log))
    }

    /// Waits for a line of the log that begins like this, and returns it.
    fn wait_for(&self, line: &str) -> String {
        self.wait(line, |state| state.log.iter().find(|l| l.starts_with(line)).cloned())
    }

    fn log(&self) -> Vec<String> {
        self.state.lock().expect("state").log.clone()
    }
}

impl Dispatch for Echo {
    fn dispatch(&self, mut requests: Requests, waker: &Waker) -> Result<(), Full> {
        {
            let mut state = self.state.lock().expect("state");
            state.offers += 1;
            self.changed.notify_all();
            if state.full {
                state.waiting = Some(waker.clone());
                return Err(Full(requests));
            }
            if state.full_of_messages && requests.iter().any(|r| r.kind == RequestKind::Message) {
                state.waiting = Some(waker.clone());
                let mut left = Requests::new();
                for r in &requests {
                    if r.kind == RequestKind::Message { left.push(&r) } else { state.log.push(format!("{} {}", r.kind.name(), r.conn)) }
                }
                requests.take_in_flight().into_iter().for_each(|own| left.depart(own));
                return Err(Full(left));
            }
            if let Some((body, conn)) = state.faulty
                && requests.iter().any(|r| r.body == body || (r.conn == conn && r.kind == RequestKind::Disconnect))
            {
                drop(state);
                panic!("a fault of the test");
            }
            for r in &requests {
                let uid = r.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
                let cause = match r.kind {
                    RequestKind::Disconnect | RequestKind::Suspend => format!(" {}", String::from_utf8_lossy(r.body)),
                    _ => String::new(),
                };
                state.log.push(format!("{} {}{uid}{cause}", r.kind.name(), r.conn));
                if r.kind == RequestKind::Message {
                    state.seen.push(r.conn);
                }
            }
            if state.keeps && requests.iter().any(|r| r.kind == RequestKind::Message) {
                state.kept.push(requests);
                return Ok(());
            }
        }
        self.answer(&requests);
        Ok(())
    }

    fn is_idle(&self) -> bool {
        true
    }
}

/// Serves route 1 to everybody, route 2 to those who are bound, route 3 to nobody outside. Panics when it is asked, this many times.
#[derive(Default)]
struct Routes {
    panics: AtomicUsize,
}

impl Registry for Routes {
    fn expect_more(&self, _: bool) {}

    fn publish(&self, _: PluginEntry) -> Result<(), PublishError> {
        Ok(())
    }

    fn withdraw(&self, _: &str) {}

    fn routes(&self) -> Arc<RouteTable> {
        let panics = self.panics.try_update(Ordering::SeqCst, Ordering::SeqCst, |panics| panics.checked_sub(1));
        assert!(panics.is_err(), "a fault of the test");
        let entry = |route, authorized, internal| RouteEntry { route: Route(route), authorized, internal };
        let routes = vec![entry(1, false, false), entry(2, true, false), entry(3, false, true)];
        Arc::new(RouteTable::new([&PluginEntry {
            name: "echo".into(),
            version: "1".into(),
            routes,
            events: RequestKind::events().collect(),
        }]))
    }
}

fn format() -> Format {
    Format::new(Profile::Due2, ByteOrder::Big, 2, 2, 65_536).expect("format")
}

fn timeouts() -> Timeouts {
    let second = Duration::from_secs(1);
    Timeouts {
        first_packet: second * 15,
        authorize: Duration::ZERO,
        packet: second * 5,
        write: second * 10,
        heartbeat: Heartbeat::Respond,
        heartbeat_interval: second * 10,
    }
}

/// The usual options without the limits on clients.
fn generous() -> GatewayOptions {
    let plenty = Rate { per_second: 1e9, burst: 1e9 };
    let guard = GuardOptions {
        connections_per_address: 10_000,
        connections_per_second: 1e9,
        burst: 1_000_000,
        exempt: Networks::default(),
        ..GuardOptions::default()
    };
    GatewayOptions { guard, rates: Rates { messages: plenty, bytes: plenty }, ..GatewayOptions::default() }
}

/// Waits until a number that no event announces is as wanted.
fn wait_until(what: &str, mut wanted: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

struct Gate {
    echo: Arc<Echo>,
    routes: Arc<Routes>,
    gateway: Option<Gateway>,
    runtime: tokio::runtime::Runtime,
}

impl Gate {
    fn open() -> Self {
        Self::with(generous(), |_| {})
    }

    fn with(options: GatewayOptions, change: impl FnOnce(&mut ListenerOptions)) -> Self {
        let mut listener = ListenerOptions::new(Protocol::Tcp, "127.0.0.1:0".parse().expect("address"), format(), timeouts());
        change(&mut listener);
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        let echo = Arc::new(Echo { sessions: Arc::new(Sessions::new(options)), ..Echo::default() });
        let routes = Arc::new(Routes::default());
        let gateway = runtime.block_on(async {
            Gateway::open(&[listener], Arc::clone(&echo.sessions), Arc::clone(&echo) as _, Arc::clone(&routes) as _).expect("port")
        });
        Self { echo, routes, gateway: Some(gateway), runtime }
    }

    fn connect(&self) -> TcpStream {
        let address = self.gateway.as_ref().expect("open").addresses()[0];
        let socket = TcpStream::connect(address).expect("connect");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        socket
    }

    /// A connection and its id.
    fn client(&self) -> (TcpStream, ConnId) {
        let mut socket = self.connect();
        send(&mut socket, 1, 1, b"who");
        receive(&mut socket);
        let conn = *self.echo.state.lock().expect("state").seen.last().expect("a message");
        (socket, conn)
    }

    /// Applies effects as if a request of this connection had made them.
    fn act(&self, conn: ConnId, actions: &[Action<'_>]) {
        let origin = Origin { index: 0, source: Source::Client { conn, route: Route(1), seq: Seq(77) } };
        let effects: Vec<_> = actions.iter().map(|action| Effect { origin, action: *action }).collect();
        self.echo.sessions.apply(&mut &effects[..]);
    }
}

fn send(socket: &mut TcpStream, route: i32, seq: i32, body: &[u8]) {
    let mut packet = Vec::new();
    format().encode(Carrier::Stream, route, seq, body, &mut packet).expect("encode");
    socket.write_all(&packet).expect("write");
}

/// Extcode, route, seq and body of the next packet.
fn receive(socket: &mut TcpStream) -> (u8, i32, i32, Vec<u8>) {
    try_receive(socket).expect("a packet")
}

/// The same; an error is the end of the connection.
fn try_receive(socket: &mut TcpStream) -> io::Result<(u8, i32, i32, Vec<u8>)> {
    let mut packet = vec![0; 4];
    socket.read_exact(&mut packet)?;
    if let Cut::Need(bytes) = format().cut(&packet).expect("size") {
        packet.resize(bytes, 0);
        socket.read_exact(&mut packet[4..])?;
    }
    match format().decode(Carrier::Stream, &packet).expect("packet") {
        Packet::Data { extcode, route, seq, body } => Ok((extcode, route, seq, body.to_vec())),
        other => panic!("expected data, got {other:?}"),
    }
}

/// The code and text of an error packet, which must be the next packet; with its route and seq.
fn receive_error(socket: &mut TcpStream) -> (i32, i32, u16, String) {
    let (extcode, route, seq, body) = receive(socket);
    assert_eq!(extcode, 1, "an error packet");
    let (code, text) = format().decode_error(&body).expect("error");
    (route, seq, code, text.to_owned())
}

/// The end of the connection must be next.
fn ended(socket: &mut TcpStream) -> bool {
    matches!(socket.read(&mut [0; 1]), Ok(0))
}
