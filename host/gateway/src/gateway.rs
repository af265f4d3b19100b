//! A gate: its listeners, and the way of a socket from accepting to its task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use duet_core::{Dispatch, ErrorCode, Registry, Route, Seq};
use duet_transport::{BindError, Listener, upgrade};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::outbox::OutboxLimits;
use crate::profile::Profile;
use crate::task::serve;
use crate::{CloseReason, Connections, GatewayOptions, ListenerOptions, Protocol};

/// How often a gate that drains looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(5);

/// What the tasks of a gate share.
pub(crate) struct Shared {
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) registry: Arc<dyn Registry>,
    connections: Arc<Connections>,
    options: GatewayOptions,
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A gate whose ports are open.
pub struct Gateway {
    shared: Arc<Shared>,
    accepting: JoinSet<()>,
    addresses: Vec<SocketAddr>,
}

/// A connection that counts, from accepting to its end.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.stats().leave();
    }
}

impl Gateway {
    /// Opens all listeners, or none. Call it inside the runtime that shall do the I/O.
    ///
    /// # Errors
    /// [`BindError`] of the first address that cannot be listened on.
    pub fn open(
        listeners: &[ListenerOptions],
        options: GatewayOptions,
        connections: Arc<Connections>,
        dispatch: Arc<dyn Dispatch>,
        registry: Arc<dyn Registry>,
    ) -> Result<Self, BindError> {
        let sockets = listeners.iter().map(|l| Listener::bind(l.address)).collect::<Result<Vec<_>, _>>()?;
        let addresses = sockets.iter().zip(listeners).map(|(s, l)| s.local_addr().unwrap_or(l.address)).collect();
        let shared = Arc::new(Shared { dispatch, registry, connections, options, stopping: AtomicBool::new(false) });
        let mut accepting = JoinSet::new();
        for (socket, listener) in sockets.into_iter().zip(listeners) {
            accepting.spawn(accept(socket, listener.protocol.clone(), Arc::new(Profile::new(listener)), Arc::clone(&shared)));
        }
        Ok(Self { shared, accepting, addresses })
    }

    /// The addresses in the order of the listeners, with the ports that were really taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, finishes what is in flight, tells every client that the server goes away, and closes. What is not done
    /// after `timeout` is cut off. Returns how many connections were.
    pub async fn drain(mut self, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.accepting.shutdown().await;
        let stats = self.shared.connections.stats();
        while !self.shared.dispatch.is_idle() && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_STEP).await;
        }
        self.shared.connections.close_all(CloseReason::GoingAway);
        while stats.open() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_STEP).await;
        }
        stats.open()
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

async fn accept(mut listener: Listener, protocol: Protocol, profile: Arc<Profile>, shared: Arc<Shared>) {
    loop {
        let (stream, peer) = listener.accept().await;
        let stats = shared.connections.stats();
        if !stats.enter(shared.options.connections_max) {
            stats.close(CloseReason::TooManyConnections);
            turn_away(&stream, &protocol, &profile);
            continue;
        }
        let place = Place(Arc::clone(&shared));
        match &protocol {
            Protocol::Tcp => start(stream, peer, &profile, place),
            Protocol::Ws { path } => {
                let (path, profile) = (path.clone(), Arc::clone(&profile));
                // A task of its own, so that the connection's task does not carry the handshake's memory.
                tokio::spawn(async move {
                    match upgrade(stream, &path, place.0.options.handshake_timeout).await {
                        Ok(stream) => start(stream, peer, &profile, place),
                        Err(error) => {
                            place.0.connections.stats().close(CloseReason::Handshake);
                            tracing::debug!(%peer, "no WebSocket: {error}");
                        }
                    }
                });
            }
        }
    }
}

/// Tells a client that there is no place for it, if it can be told without waiting.
fn turn_away(stream: &TcpStream, protocol: &Protocol, profile: &Profile) {
    let mut farewell = Vec::new();
    match protocol {
        Protocol::Tcp => drop(profile.error(Route(0), Seq::PUSH, ErrorCode::BUSY, ErrorCode::BUSY.text(), &mut farewell)),
        Protocol::Ws { .. } => {
            farewell
                .extend_from_slice(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 5\r\n\r\n");
        }
    }
    if let Err(error) = stream.try_write(&farewell) {
        tracing::trace!("could not be told: {error}");
    }
}

fn start(stream: TcpStream, peer: SocketAddr, profile: &Arc<Profile>, place: Place) {
    let shared = Arc::clone(&place.0);
    let limits = OutboxLimits { packets: shared.options.write_queue_packets, bytes: shared.options.write_queue_bytes };
    let (read, write) = stream.into_split();
    let connection = Arc::new(Connection::new(shared.connections.next_id(), Arc::clone(profile), write, limits));
    shared.connections.insert(&connection);
    tokio::spawn(async move {
        let id = connection.id;
        let reason = serve(connection, read, Arc::clone(&shared)).await;
        shared.connections.remove(id);
        shared.connections.stats().close(reason);
        tracing::debug!(conn = %id, %peer, reason = reason.name(), "connection ended");
        drop(place);
    });
}
