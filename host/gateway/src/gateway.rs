//! A gate: its listeners, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duet_core::{Dispatch, ErrorCode, Registry, grace};
use duet_transport::{BindError, KcpListener, Listener, TlsError};
use tokio::task::JoinSet;

use crate::accept::{Door, accept, accept_kcp, kcp_admission};
use crate::overload::watch;
use crate::panics::survive;
use crate::place::Place;
use crate::profile::Profile;
use crate::session::Session;
use crate::shared::Shared;
use crate::{CloseReason, ListenerOptions, Protocol, Sessions};

/// How often a gate that drains checks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(5);
/// Longest time between two connections that a draining gate closes: at least a thousand go in a second.
const CLOSING_STEP: Duration = Duration::from_millis(1);

/// Why a gate could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Two listeners want the same port.
    #[error("listener[{later}] cannot listen on {address}: listener[{earlier}] has the port")]
    Shared {
        /// The one that could not be opened, by its place in the list.
        later: usize,
        /// The address that both want.
        address: SocketAddr,
        /// The one that was opened before.
        earlier: usize,
    },
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A gate whose ports are open.
pub struct Gateway {
    shared: Arc<Shared>,
    accepting: JoinSet<()>,
    addresses: Vec<SocketAddr>,
}

enum Socket {
    Stream(Listener),
    Kcp(KcpListener<Place>),
}

impl Socket {
    fn bind(listener: &ListenerOptions, v6_only: bool, profile: &Profile, shared: &Arc<Shared>) -> Result<Self, BindError> {
        match &listener.protocol {
            Protocol::Kcp(options) => KcpListener::bind(listener.address, v6_only, *options, kcp_admission(profile, shared)).map(Self::Kcp),
            Protocol::Tcp | Protocol::Ws(_) => Listener::bind(listener.address, v6_only).map(Self::Stream),
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        match self {
            Self::Stream(listener) => listener.local_addr(),
            Self::Kcp(listener) => listener.local_addr(),
        }
    }

    /// Whether this one is why a listener cannot have its address. Listeners that share a port keep to their own address family, see
    /// [`leaves_ipv4`].
    fn is_in_the_way_of(&self, listener: &ListenerOptions) -> bool {
        let is_udp = matches!(self, Self::Kcp(_));
        is_udp == listener.protocol.is_udp() && self.local_addr().is_ok_and(|own| overlap(own, listener.address))
    }
}

/// Whether two addresses want the same clients. An IPv6 address leaves IPv4 alone.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let same_ip = a == b || a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified());
    same_ip && one.port() == other.port()
}

/// Whether a listener on an IPv6 address has to leave IPv4 to another one on the same port. Otherwise `[::]` takes both.
fn leaves_ipv4(listener: &ListenerOptions, all: &[ListenerOptions]) -> bool {
    let (port, is_udp) = (listener.address.port(), listener.protocol.is_udp());
    let same = |other: &&ListenerOptions| other.address.port() == port && other.protocol.is_udp() == is_udp;
    port != 0 && all.iter().filter(same).any(|other| other.address.ip().to_canonical().is_ipv4())
}

impl Gateway {
    /// Opens all listeners, or none. Call it inside the runtime that is to do the I/O.
    ///
    /// # Errors
    /// [`OpenError`] for the first listener that cannot be opened.
    pub fn open(
        listeners: &[ListenerOptions],
        sessions: Arc<Sessions>,
        dispatch: Arc<dyn Dispatch>,
        registry: Arc<dyn Registry>,
    ) -> Result<Self, OpenError> {
        sessions.set_registry(Arc::clone(&registry));
        let shared = Arc::new(Shared::new(sessions, dispatch, registry));
        let mut opened: Vec<(Socket, Door)> = Vec::new();
        for (at, listener) in listeners.iter().enumerate() {
            let profile = Arc::new(Profile::new(listener, shared.options()));
            let socket = Socket::bind(listener, leaves_ipv4(listener, listeners), &profile, &shared).map_err(|error| {
                let in_the_way = |(socket, _): &(Socket, Door)| socket.is_in_the_way_of(listener);
                match opened.iter().position(in_the_way).filter(|_| error.is_in_use()) {
                    Some(earlier) => OpenError::Shared { later: at, address: listener.address, earlier },
                    None => error.into(),
                }
            })?;
            opened.push((socket, Door::new(listener, profile, Arc::clone(&shared))?));
        }
        let addresses = opened.iter().zip(listeners).map(|((s, _), l)| s.local_addr().unwrap_or(l.address)).collect();
        let mut accepting = JoinSet::new();
        for (socket, door) in opened {
            match socket {
                Socket::Stream(listener) => accepting.spawn(accept(listener, Arc::new(door))),
                Socket::Kcp(listener) => accepting.spawn(accept_kcp(listener, door)),
            };
        }
        if let Some(marks) = shared.options().memory {
            let shared = Arc::clone(&shared);
            accepting.spawn(async move {
                while survive("watching memory", shared.sessions.stats(), watch(&shared.load, marks)).await.is_none() {}
            });
        }
        Ok(Self { shared, accepting, addresses })
    }

    /// The addresses in the order of the listeners, with the ports that they really got.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, finishes what is in flight, tells every client that the server is going away, and closes. What is not done after
    /// `timeout` is cut off. Returns how many connections that were.
    pub async fn drain(mut self, timeout: Duration) -> usize {
        let mut deadline = Instant::now() + timeout;
        self.shared.stop();
        self.accepting.shutdown().await;
        let stats = self.shared.sessions.stats();
        wait_for(|| self.shared.dispatch.is_idle() && self.shared.sessions.are_answered(), &mut deadline).await;
        self.close_all(deadline).await;
        wait_for(|| stats.alive() == 0, &mut deadline).await;
        // The events of their ends.
        wait_for(|| self.shared.dispatch.is_idle(), &mut deadline).await;
        let cut = stats.alive();
        (0..cut).for_each(|_| stats.close(CloseReason::GoingAway));
        cut
    }

    /// Asks every client to come back later, each at another time.
    async fn close_all(&self, deadline: Instant) {
        let options = self.shared.options();
        let all = self.shared.sessions.all();
        let spread = options.drain_spread.min(CLOSING_STEP.saturating_mul(u32::try_from(all.len()).unwrap_or(u32::MAX)));
        let begun = Instant::now();
        let share = |time: Duration, at: usize| time.mul_f64(at as f64 / all.len().max(1) as f64);
        for (at, session) in all.iter().enumerate() {
            let due = begun + share(spread, at);
            if due > Instant::now() && due < deadline {
                tokio::time::sleep_until(due.into()).await;
            }
            let later = share(options.reconnect_spread, shuffled(at, all.len()));
            ask_back(session, later);
        }
    }
}

/// Waits for something until a deadline, which moves if the process was stopped meanwhile.
async fn wait_for(is_done: impl Fn() -> bool, deadline: &mut Instant) {
    while !is_done() {
        let now = Instant::now();
        if now >= *deadline {
            let Some(later) = grace(*deadline, now) else { return };
            *deadline = later;
        }
        tokio::time::sleep(DRAIN_STEP).await;
    }
}

/// Another place in the same range, so that clients that are closed together do not come back together.
const fn shuffled(at: usize, len: usize) -> usize {
    if len == 0 { 0 } else { at.wrapping_mul(0x9e37_79b1) % len }
}

fn ask_back(session: &Session, later: Duration) {
    let text = format!("{}; retry-after-ms={}", ErrorCode::GOING_AWAY.text(), later.as_millis());
    session.close(CloseReason::GoingAway, &text);
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
