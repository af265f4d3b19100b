//! The way of a socket from accepting to its task: counted, limited by address, proxy header, TLS, WebSocket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use duet_core::{ErrorCode, Route, Seq};
use duet_transport::{
    KcpAdmission, KcpListener, Listener, Networks, ProxyError, Reader, Refusal as GuardRefusal, Stream, Tls, TlsAcceptError, TlsError,
    Upgrade, UpgradeError, Upgraded, Writer, WsOptions, part, read_proxy_header,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::life::live;
use crate::panics::survive;
use crate::place::Place;
use crate::profile::Profile;
use crate::session::Session;
use crate::shared::Shared;
use crate::throttle::Throttle;
use crate::{CloseReason, ListenerOptions, Protocol, Refusal};

/// How many clients of a listener may be turned away at one time and still be given time to read why, at most a second. Each takes a file
/// descriptor besides those of the connections. Further ones are told only if that can be done at once.
pub const PARTINGS_MAX: usize = 128;

/// The answer to a WebSocket client for which there is no place.
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 5\r\n\r\n";
/// The answer to a TLS client for which there is no place, instead of a handshake: the fatal alert `internal_error`, which RFC 8446 has for
/// a server that is short of something. A handshake would cost more than a place.
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 80];

/// A listener as its connections see it.
pub(crate) struct Door {
    protocol: Protocol,
    profile: Arc<Profile>,
    tls: Option<Tls>,
    proxy_protocol: bool,
    /// The last bytes that are sent to a client that is turned away.
    refusal: Vec<u8>,
    partings: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl Door {
    pub(crate) fn new(listener: &ListenerOptions, profile: Arc<Profile>, shared: Arc<Shared>) -> Result<Self, TlsError> {
        let tls = listener.tls.as_ref().map(|identity| Tls::new(Arc::clone(identity))).transpose()?;
        let refusal = match (&tls, &listener.protocol) {
            (Some(_), _) => ALERT.to_vec(),
            (None, Protocol::Ws(_)) => UNAVAILABLE.to_vec(),
            (None, _) => busy(&profile),
        };
        Ok(Self {
            protocol: listener.protocol.clone(),
            profile,
            tls,
            refusal,
            proxy_protocol: listener.proxy_protocol,
            partings: Arc::new(Semaphore::new(PARTINGS_MAX)),
            shared,
        })
    }
}

/// The error packet for a client for which there is no place.
fn busy(profile: &Profile) -> Vec<u8> {
    let mut packet = Vec::new();
    profile.error(Route(0), Seq::PUSH, ErrorCode::BUSY, ErrorCode::BUSY.text(), &mut packet);
    packet
}

/// Counts a handshake until it is dropped.
struct Handshake(Arc<Shared>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.sessions.stats().leave_handshake();
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
        survive("accepting connections", door.shared.sessions.stats(), step).await;
    }
}

/// Decides who may have a KCP session, and what others are told.
pub(crate) fn kcp_admission(profile: &Profile, shared: &Arc<Shared>) -> KcpAdmission<Place> {
    // What a client has to acknowledge before anything is kept for it. Every client ignores it. It does not carry the time, because it must
    // be hardly longer than what it answers.
    let mut greeting = Vec::new();
    profile.format.encode_heartbeat(profile.carrier, None, &mut greeting);
    let shared = Arc::clone(shared);
    KcpAdmission { greeting, farewell: busy(profile), admit: Box::new(move |peer| enter(&shared, Some(peer.ip()))) }
}

/// Accepts KCP sessions until it is dropped.
pub(crate) async fn accept_kcp(mut listener: KcpListener<Place>, door: Door) {
    loop {
        let step = async {
            let kcp = listener.accept().await;
            let stream = Stream { reader: Reader::Kcp(kcp.reader), writer: Writer::Kcp(kcp.writer) };
            start(stream, kcp.peer, &door, kcp.admitted);
        };
        survive("accepting kcp sessions", door.shared.sessions.stats(), step).await;
    }
}

/// What becomes of a tcp connection: turned away, a connection at once, or a handshake.
fn meet(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>) {
    let shared = &door.shared;
    let trusted = shared.options().proxies.contains(peer.ip());
    let Some(place) = enter(shared, (!trusted).then_some(peer.ip())) else {
        turn_away(stream, door);
        return;
    };
    let shakes_hands = door.tls.is_some() || matches!(door.protocol, Protocol::Ws(_)) || (trusted && door.proxy_protocol);
    if !shakes_hands {
        start(stream.into(), peer, door, place);
        return;
    }
    if !shared.sessions.stats().enter_handshake(shared.options().handshakes_max) {
        shared.sessions.stats().refuse(Refusal::Handshakes);
        turn_away(stream, door);
        return;
    }
    let handshake = Handshake(Arc::clone(shared));
    let door = Arc::clone(door);
    // A task of its own, so that the connection's task does not carry the handshake's memory.
    tokio::spawn(async move {
        let stats = door.shared.sessions.stats();
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
    let stats = shared.sessions.stats();
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
    shared.sessions.stats().refuse(match refusal {
        GuardRefusal::TooManyOfAddress => Refusal::AddressConnections,
        GuardRefusal::TooFast => Refusal::AddressRate,
        GuardRefusal::TableFull => Refusal::AddressTable,
    });
}

/// Everything before the first packet, with one deadline for all of it. Returns whose connection it is.
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
    // Behind a proxy that only passes bytes on, the client itself writes the headers, so they are not believed.
    let trusted = options.proxies.contains(address.ip());
    if address != peer
        && !trusted
        && let Err(refusal) = place.admit(address.ip())
    {
        part(stream, &door.refusal).await;
        return Err(refusal.into());
    }
    let proxies = trusted.then_some(&options.proxies);
    let (stream, forwarded) = match (&door.tls, &door.protocol) {
        (None, Protocol::Ws(ws)) => upgrade(stream, ws, proxies, deadline, place).await?,
        (Some(tls), Protocol::Ws(ws)) => upgrade(tls.accept(stream, deadline).await?, ws, proxies, deadline, place).await?,
        (Some(tls), _) => (tls.accept(stream, deadline).await?.into(), None),
        (None, _) => (stream.into(), None),
    };
    Ok((stream, forwarded.map_or(address, |client| SocketAddr::new(client, 0))))
}

/// The WebSocket handshake, and the client that a proxy speaks for.
async fn upgrade<S>(
    stream: S,
    ws: &WsOptions,
    proxies: Option<&Networks>,
    deadline: Instant,
    place: &mut Place,
) -> Result<(Stream, Option<IpAddr>), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    Stream: From<S>,
{
    let asked = Upgrade::read(stream, ws, proxies, deadline).await?;
    let forwarded = asked.forwarded;
    if let Some(client) = forwarded
        && let Err(refusal) = place.admit(client)
    {
        asked.refuse(UNAVAILABLE).await;
        return Err(refusal.into());
    }
    let Upgraded { stream, ahead } = asked.agree(deadline).await?;
    Ok((Stream::from(stream).with_ahead(ahead), forwarded))
}

/// Tells a client that there is no place for it.
fn turn_away(stream: TcpStream, door: &Arc<Door>) {
    match Arc::clone(&door.partings).try_acquire_owned() {
        Ok(parting) => {
            let door = Arc::clone(door);
            tokio::spawn(async move {
                part(stream, &door.refusal).await;
                drop(parting);
            });
        }
        Err(_) => {
            if let Err(error) = stream.try_write(&door.refusal) {
                tracing::trace!("could not be told: {error}");
            }
        }
    }
}

fn start(stream: Stream, address: SocketAddr, door: &Door, place: Place) {
    let shared = Arc::clone(&place.shared);
    let options = shared.options();
    let throttle = (!options.guard.exempt.contains(address.ip())).then(|| Box::new(Throttle::new(options.rates, Instant::now())));
    let id = shared.sessions.next_id();
    let session = Arc::new(Session::new(id, Arc::clone(&door.profile), address, stream.writer));
    tokio::spawn(live(session, stream.reader, throttle, place));
}
