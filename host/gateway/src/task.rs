//! The task of one connection: reads when there is something, writes what could not be written at once, and watches the clock.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use duet_core::{Full, Requests};
use duet_session::{Due, Event, Session, State};
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Sleep;

use crate::CloseReason;
use crate::connection::Connection;
use crate::gateway::Shared;
use crate::inbound::{Fatal, Harvest, Inbound};
use crate::outbox::{Flushed, Sending};

/// What one read may bring: a little less than the 32 KiB that one call of a plugin takes, because request records have longer
/// headers than packets; so a read is a call, and nothing is cut or joined. Shared by all connections of a thread, so that an
/// idle one holds no buffer.
const READ_BYTES: usize = 31 << 10;
/// Reads before other connections get their turn.
const READS_PER_TURN: usize = 4;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Serves a connection until it ends, and says why it ended.
pub(crate) async fn serve(connection: Arc<Connection>, socket: OwnedReadHalf, shared: Arc<Shared>) -> CloseReason {
    let profile = &connection.profile;
    let now = Instant::now();
    let mut reader = Reader {
        inbound: Inbound::new(profile.ws_decoder()),
        session: Session::new(profile.timeouts, now),
        parked: None,
        ended: None,
        shut: false,
        socket,
    };
    let first = reader.session.next_deadline().unwrap_or_else(|| far(now));
    let mut clock = pin!(tokio::time::sleep_until(first.into()));
    poll_fn(|cx| reader.poll(cx, &connection, &shared, clock.as_mut())).await
}

fn far(now: Instant) -> Instant {
    now + std::time::Duration::from_secs(3600)
}

struct Reader {
    socket: OwnedReadHalf,
    inbound: Inbound,
    session: Session,
    /// Requests for which there was no room. Nothing is read before they are taken.
    parked: Option<Requests>,
    /// Why the connection ends, once it does.
    ended: Option<CloseReason>,
    /// Our side of the socket is shut; what the client still sends is thrown away.
    shut: bool,
}

impl Reader {
    fn poll(&mut self, cx: &mut Context<'_>, connection: &Connection, shared: &Shared, clock: Pin<&mut Sleep>) -> Poll<CloseReason> {
        connection.task.register(cx.waker());
        if let Poll::Ready(reason) = self.poll_read(cx, connection, shared) {
            return Poll::Ready(reason);
        }
        if let Poll::Ready(reason) = self.poll_write(cx, connection) {
            return Poll::Ready(reason);
        }
        self.poll_clock(cx, connection, clock)
    }

    /// Writes what waits. Ready when the connection is over.
    fn poll_write(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<CloseReason> {
        loop {
            let (flushed, state) = {
                let mut outbox = connection.outbox();
                (outbox.flush(connection.socket()), outbox.state())
            };
            if let Sending::Closing(reason) | Sending::Closed(reason) = state {
                self.ended.get_or_insert(reason);
                self.session.on(Event::Drain, Instant::now());
            }
            let ended = self.ended.unwrap_or(CloseReason::Lost);
            match (flushed, state) {
                (Err(_), _) | (_, Sending::Closed(_)) => return Poll::Ready(ended),
                (Ok(Flushed::All), Sending::Open) => {
                    self.session.on(Event::WriteDone, Instant::now());
                    return Poll::Pending;
                }
                (Ok(Flushed::All), Sending::Closing(_)) => {
                    // Closing a socket with unread bytes resets it, and the client would lose our last ones. So only our
                    // side is shut, and the rest is read until the client is done or the time is up.
                    if self.shut {
                        return Poll::Pending;
                    }
                    if ended == CloseReason::ClientLeft || SockRef::from(connection.socket()).shutdown(std::net::Shutdown::Write).is_err() {
                        return Poll::Ready(ended);
                    }
                    self.shut = true;
                    return Poll::Pending;
                }
                (Ok(Flushed::Blocked { progress }), _) => {
                    self.session.on(if progress { Event::WriteProgress } else { Event::WriteBlocked }, Instant::now());
                    match connection.socket().poll_write_ready(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return Poll::Ready(CloseReason::Lost),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
        }
    }

    /// Reads what is there. Ready when the connection is over.
    fn poll_read(&mut self, cx: &mut Context<'_>, connection: &Connection, shared: &Shared) -> Poll<CloseReason> {
        for _ in 0..READS_PER_TURN {
            if let Some(parked) = self.parked.take()
                && let Err(Full(parked)) = shared.dispatch.dispatch(parked, cx.waker())
            {
                self.parked = Some(parked);
                return Poll::Pending;
            }
            let read = READ.with_borrow_mut(|buffer| {
                let mut into = ReadBuf::new(buffer);
                match Pin::new(&mut self.socket).poll_read(cx, &mut into) {
                    Poll::Pending => return None,
                    Poll::Ready(Err(_)) => return Some(Err(CloseReason::Lost)),
                    Poll::Ready(Ok(())) => {}
                }
                let input = into.filled_mut();
                if input.is_empty() {
                    return Some(Err(CloseReason::ClientLeft));
                }
                if self.session.state() != State::Draining {
                    self.take(cx, input, connection, shared);
                }
                Some(Ok(()))
            });
            match read {
                None => return Poll::Pending,
                Some(Err(reason)) => return Poll::Ready(self.ended.unwrap_or(reason)),
                Some(Ok(())) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Handles the bytes of one read.
    fn take(&mut self, cx: &mut Context<'_>, input: &mut [u8], connection: &Connection, shared: &Shared) {
        let routes = shared.registry.routes();
        let mut harvest = Harvest {
            connection,
            routes: &routes,
            going_away: shared.is_stopping(),
            requests: Requests::with_capacity(input.len() + input.len() / 8 + 64),
            answers: Vec::new(),
            answers_count: 0,
            packets: 0,
        };
        let taken = self.inbound.take(input, &mut harvest);
        let Harvest { requests, answers, answers_count, packets, .. } = harvest;
        let now = Instant::now();
        if packets > 0 {
            self.session.on(Event::Packet, now);
            // A packet was finished: what is left over was begun by this read.
            self.session.on(Event::PartialDone, now);
        }
        self.session.on(if self.inbound.is_partial() { Event::PartialBegun } else { Event::PartialDone }, now);
        connection.send(&answers, answers_count);
        if !requests.is_empty()
            && let Err(Full(requests)) = shared.dispatch.dispatch(requests, cx.waker())
        {
            self.parked = Some(requests);
        }
        if let Err(Fatal { reason, text }) = taken {
            self.end(reason, text, connection);
        }
    }

    fn end(&mut self, reason: CloseReason, text: &str, connection: &Connection) {
        self.ended.get_or_insert(reason);
        self.session.on(Event::Drain, Instant::now());
        match reason {
            // The answer to its close frame was sent already.
            CloseReason::ClientLeft => connection.outbox().close(reason, Vec::new()),
            _ => connection.close(reason, text),
        }
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>, connection: &Connection, mut clock: Pin<&mut Sleep>) -> Poll<CloseReason> {
        loop {
            let next = self.session.next_deadline();
            // Deadlines move with every packet; the timer is only moved when it would come too late.
            if let Some(next) = next.filter(|next| *next < clock.deadline().into_std()) {
                clock.as_mut().reset(next.into());
            }
            if clock.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match self.session.due(now) {
                None => {}
                Some(Due::Heartbeat) => {
                    let mut packet = Vec::new();
                    connection.profile.heartbeat(&mut packet);
                    connection.send(&packet, 1);
                    self.session.on(Event::HeartbeatSent, now);
                }
                Some(Due::Closing) => return Poll::Ready(self.ended.unwrap_or(CloseReason::Lost)),
                Some(Due::Write) => return Poll::Ready(CloseReason::WriteTimeout),
                Some(due) => {
                    let reason = match due {
                        Due::FirstPacket => CloseReason::FirstPacketTimeout,
                        Due::Packet => CloseReason::PacketTimeout,
                        _ => CloseReason::Silence,
                    };
                    self.end(reason, "", connection);
                    if let Poll::Ready(reason) = self.poll_write(cx, connection) {
                        return Poll::Ready(reason);
                    }
                }
            }
            clock.as_mut().reset(self.session.next_deadline().unwrap_or_else(|| far(now)).into());
        }
    }
}
