//! The way of a socket from accepting to its task: counted, limited by address, proxy header, TLS, WebSocket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use duet_core::{ErrorCode, Route, Seq};
use duet_transport::{
    KcpListener, Listener, ProxyError, Reader, Refusal as GuardRefusal, Stream, Tls, TlsAcceptError, TlsError, UpgradeError, Writer,
    read_proxy_header, upgrade,
};
use tokio::net::TcpStream;

use crate::connection::Connection;
use crate::gateway::Shared;
use crate::life::live;
use crate::outbox::OutboxLimits;
use crate::panics::survive;
use crate::place::Place;
use crate::profile::Profile;
use crate::throttle::Throttle;
use crate::{CloseReason, ListenerOptions, Protocol, Refusal};

/// A listener as its connections see it.
pub(crate) struct Door {
    protocol: Protocol,
    profile: Arc<Profile>,
    tls: Option<Tls>,
    proxy_protocol: bool,
    shared: Arc<Shared>,
}

impl Door {
    pub(crate) fn new(listener: &ListenerOptions, profile: Arc<Profile>, shared: Arc<Shared>) -> Result<Self, TlsError> {
        let tls = listener.tls.as_ref().map(|identity| Tls::new(Arc::clone(identity))).transpose()?;
        Ok(Self { protocol: listener.protocol.clone(), profile, tls, proxy_protocol: listener.proxy_protocol, shared })
    }
}

/// A handshake that counts.
struct Handshake(Arc<Shared>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.connections.stats().leave_handshake();
    }
}

/// Why a client did not become a connection.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Tls(#[from] TlsAcceptError),
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    #[error(transparent)]
    Address(#[from] GuardRefusal),
}

/// Accepts tcp connections until it is dropped.
pub(crate) async fn accept(mut listener: Listener, door: Arc<Door>) {
    loop {
        let step = async {
            let (stream, peer) = listener.accept().await;
            meet(stream, peer, &door);
        };
        survive("accepting connections", door.shared.connections.stats(), step).await;
    }
}

/// Accepts KCP sessions until it is dropped.
pub(crate) async fn accept_kcp(mut listener: KcpListener, door: Door) {
    loop {
        let step = async {
            let (reader, writer, peer) = listener.accept().await;
            if let Some(place) = enter(&door.shared, Some(peer.ip())) {
                start(Stream { reader: Reader::Kcp(reader), writer: Writer::Kcp(writer) }, peer, &door, place);
            }
        };
        survive("accepting kcp sessions", door.shared.connections.stats(), step).await;
    }
}

/// What becomes of a tcp connection: turned away, a connection at once, or a handshake.
fn meet(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>) {
    let shared = &door.shared;
    let trusted = shared.options().proxies.contains(peer.ip());
    let Some(place) = enter(shared, (!trusted).then_some(peer.ip())) else {
        turn_away(&stream, door);
        return;
    };
    let shakes_hands = door.tls.is_some() || matches!(door.protocol, Protocol::Ws { .. }) || (trusted && door.proxy_protocol);
    if !shakes_hands {
        start(stream.into(), peer, door, place);
        return;
    }
    if !shared.connections.stats().enter_handshake(shared.options().handshakes_max) {
        shared.connections.stats().refuse(Refusal::Handshakes);
        turn_away(&stream, door);
        return;
    }
    let handshake = Handshake(Arc::clone(shared));
    let door = Arc::clone(door);
    // A task of its own, so that the connection's task does not carry the handshake's memory.
    tokio::spawn(async move {
        let stats = door.shared.connections.stats();
        let mut place = place;
        let Some(shaken) = survive("a handshake", stats, shake_hands(stream, peer, trusted, &door, &mut place)).await else {
            stats.close(CloseReason::Internal);
            return;
        };
        drop(handshake);
        match shaken {
            Ok((stream, address)) => start(stream, address, &door, place),
            Err(error) => {
                if let HandshakeError::Address(refusal) = error {
                    refused(&door.shared, refusal);
                } else {
                    stats.close(CloseReason::Handshake);
                }
                tracing::debug!(%peer, "no connection: {error}");
            }
        }
    });
}

/// A place for one more connection, if there is one and its address may have it.
fn enter(shared: &Arc<Shared>, address: Option<IpAddr>) -> Option<Place> {
    let stats = shared.connections.stats();
    let Some(mut place) = Place::take(shared) else {
        stats.close(CloseReason::TooManyConnections);
        return None;
    };
    if shared.load.is_high() {
        stats.refuse(Refusal::Memory);
        return None;
    }
    if let Some(address) = address {
        place.admit(address).map_err(|refusal| refused(shared, refusal)).ok()?;
    }
    Some(place)
}

fn refused(shared: &Shared, refusal: GuardRefusal) {
    shared.connections.stats().refuse(match refusal {
        GuardRefusal::TooManyOfAddress => Refusal::AddressConnections,
        GuardRefusal::TooFast => Refusal::AddressRate,
        GuardRefusal::TableFull => Refusal::AddressTable,
    });
}

/// Everything before the first packet, with one deadline. Says whose connection it is.
async fn shake_hands(
    mut stream: TcpStream,
    peer: SocketAddr,
    trusted: bool,
    door: &Door,
    place: &mut Place,
) -> Result<(Stream, SocketAddr), HandshakeError> {
    let options = door.shared.options();
    let deadline = Instant::now() + options.handshake_timeout;
    let mut address = peer;
    if trusted && door.proxy_protocol {
        address = read_proxy_header(&mut stream, deadline).await?.unwrap_or(peer);
    }
    let proxies = trusted.then_some(&options.proxies);
    let (stream, forwarded) = match (&door.tls, &door.protocol) {
        (None, Protocol::Ws { path, origins }) => {
            let upgraded = upgrade(stream, path, origins, proxies, deadline).await?;
            (Stream::from(upgraded.stream), upgraded.forwarded)
        }
        (Some(tls), Protocol::Ws { path, origins }) => {
            let upgraded = upgrade(tls.accept(stream, deadline).await?, path, origins, proxies, deadline).await?;
            (Stream::from(upgraded.stream), upgraded.forwarded)
        }
        (Some(tls), _) => (Stream::from(tls.accept(stream, deadline).await?), None),
        (None, _) => (Stream::from(stream), None),
    };
    if let Some(client) = forwarded {
        address = SocketAddr::new(client, 0);
    }
    if trusted && address != peer {
        place.admit(address.ip())?;
    }
    Ok((stream, address))
}

/// Tells a client that there is no place for it, if it can be told without waiting.
fn turn_away(stream: &TcpStream, door: &Door) {
    let mut farewell = Vec::new();
    match (&door.tls, &door.protocol) {
        (Some(_), _) => return,
        (None, Protocol::Ws { .. }) => farewell
            .extend_from_slice(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 5\r\n\r\n"),
        (None, _) => drop(door.profile.error(Route(0), Seq::PUSH, ErrorCode::BUSY, ErrorCode::BUSY.text(), &mut farewell)),
    }
    if let Err(error) = stream.try_write(&farewell) {
        tracing::trace!("could not be told: {error}");
    }
}

fn start(stream: Stream, address: SocketAddr, door: &Door, place: Place) {
    let shared = Arc::clone(&place.shared);
    let options = shared.options();
    let limits = OutboxLimits::new(options, door.profile.format.packet_bytes_max());
    let throttle = (!options.guard.exempt.contains(address.ip())).then(|| Box::new(Throttle::new(options.rates, Instant::now())));
    let id = shared.connections.next_id();
    let connection = Arc::new(Connection::new(id, Arc::clone(&door.profile), address, stream.writer, limits));
    tokio::spawn(live(connection, stream.reader, throttle, place));
}
