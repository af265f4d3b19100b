//! The task of one connection: reads when there is something, writes what could not be written at once, and watches the clock.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use duet_core::{Full, Requests};
use duet_session::{Due, Event, Session, State};
use duet_transport::Reader as Socket;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::connection::Connection;
use crate::gateway::Shared;
use crate::inbound::{Fatal, Harvest, Inbound};
use crate::outbox::{Flushed, Sending};
use crate::throttle::Throttle;
use crate::{CloseReason, Refusal};

/// What one read may bring: a little less than the 32 KiB that one call of a plugin takes, because request records have longer
/// headers than packets; so a read is a call, and nothing is cut or joined. Shared by all connections of a thread, so that an
/// idle one holds no buffer.
const READ_BYTES: usize = 31 << 10;
/// Reads before other connections get their turn.
const READS_PER_TURN: usize = 4;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// How a connection ended for its task.
pub(crate) struct End {
    pub(crate) reason: CloseReason,
    /// The connection, which is another one after a resumption.
    pub(crate) connection: Arc<Connection>,
    /// Requests for which there was no room.
    pub(crate) parked: Option<Requests>,
    /// The name of the task that served it, as its owner.
    pub(crate) owner: u64,
}

/// Serves a connection until it ends, and says why it ended.
pub(crate) async fn serve(connection: Arc<Connection>, socket: Socket, throttle: Option<Box<Throttle>>, shared: &Shared) -> End {
    let profile = &connection.profile;
    let now = Instant::now();
    let mut reader = Reader {
        owner: connection.id.0,
        inbound: Inbound::new(profile.ws_decoder()),
        session: Session::new(profile.timeouts, now),
        throttle,
        paused: None,
        bound: false,
        parked: None,
        ended: None,
        blocked: false,
        shut: false,
        socket,
        connection,
    };
    let first = reader.session.next_deadline().unwrap_or_else(|| far(now));
    let mut clock = pin!(tokio::time::sleep_until(first.into()));
    let reason = poll_fn(|cx| reader.poll(cx, shared, clock.as_mut())).await;
    End { reason, connection: reader.connection, parked: reader.parked, owner: reader.owner }
}

fn far(now: Instant) -> Instant {
    now + std::time::Duration::from_secs(3600)
}

struct Reader {
    connection: Arc<Connection>,
    /// The name of this task as owner of the connection.
    owner: u64,
    socket: Socket,
    inbound: Inbound,
    session: Session,
    throttle: Option<Box<Throttle>>,
    /// Nothing is read before: the client sent too many bytes.
    paused: Option<Instant>,
    /// What `session` knows of the uid.
    bound: bool,
    /// Requests for which there was no room. Nothing is read before they are taken.
    parked: Option<Requests>,
    /// Why the connection ends, once it does.
    ended: Option<CloseReason>,
    /// What `session` knows of bytes that wait.
    blocked: bool,
    /// Our side of the socket is shut; what the client still sends is thrown away.
    shut: bool,
}

impl Reader {
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared, clock: Pin<&mut Sleep>) -> Poll<CloseReason> {
        // Writing comes first: a connection that is to end must not be read any more.
        if let Poll::Ready(reason) = self.poll_write(cx) {
            return Poll::Ready(reason);
        }
        let bound = self.connection.uid().is_some();
        if bound != self.bound {
            self.bound = bound;
            self.session.on(if bound { Event::Bound } else { Event::Unbound }, Instant::now());
        }
        if let Poll::Ready(reason) = self.poll_read(cx, shared) {
            return Poll::Ready(reason);
        }
        if self.ended.is_some()
            && let Poll::Ready(reason) = self.poll_write(cx)
        {
            return Poll::Ready(reason);
        }
        self.poll_clock(cx, clock)
    }

    /// Writes what waits. Ready when the connection is over.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            let mut outbox = self.connection.outbox();
            // The owner changes under this lock: a task that is no longer the owner neither writes nor takes the new one's waker away.
            if !self.connection.is_owned_by(self.owner) {
                return Poll::Ready(CloseReason::Resumed);
            }
            self.connection.task.register(cx.waker());
            let (flushed, state) = (outbox.flush(), outbox.state());
            if let Sending::Closing(reason) | Sending::Closed(reason) = state {
                self.ended.get_or_insert(reason);
                self.session.on(Event::Drain, Instant::now());
            }
            let ended = self.ended.unwrap_or(CloseReason::Lost);
            match (flushed, state) {
                (Err(_), _) | (_, Sending::Closed(_)) => return Poll::Ready(ended),
                (Ok(Flushed::All), Sending::Open) => {
                    if std::mem::take(&mut self.blocked) {
                        self.session.on(Event::WriteDone, Instant::now());
                    }
                    return Poll::Pending;
                }
                (Ok(Flushed::All), Sending::Closing(_)) => {
                    // Closing a socket with unread bytes resets it, and the client would lose our last ones. So only our
                    // side is shut, and the rest is read until the client is done or the time is up.
                    if self.shut {
                        return Poll::Pending;
                    }
                    match outbox.shutdown() {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        // A kcp client cannot end its side, and the rest is delivered without us.
                        Ok(())
                            if !matches!(self.socket, Socket::Kcp(_))
                                && !matches!(ended, CloseReason::ClientLeft | CloseReason::Goodbye) =>
                        {
                            self.shut = true;
                            return Poll::Pending;
                        }
                        _ => return Poll::Ready(ended),
                    }
                }
                (Ok(Flushed::Blocked { progress }), _) => {
                    self.blocked = true;
                    self.session.on(if progress { Event::WriteProgress } else { Event::WriteBlocked }, Instant::now());
                }
            }
            match outbox.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(ended),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads what is there. Ready when the connection is over.
    fn poll_read(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<CloseReason> {
        for _ in 0..READS_PER_TURN {
            if !self.connection.deliver_events(&*shared.dispatch, cx.waker()) {
                return Poll::Pending;
            }
            if let Some(parked) = self.parked.take()
                && let Err(Full(parked)) = shared.dispatch.dispatch(parked, cx.waker())
            {
                self.parked = Some(parked);
                return Poll::Pending;
            }
            if self.paused.is_some() {
                return Poll::Pending;
            }
            let read = READ.with_borrow_mut(|buffer| {
                let mut into = ReadBuf::new(buffer);
                match self.socket.poll_read(cx, &mut into) {
                    Poll::Pending => return None,
                    Poll::Ready(Err(_)) => return Some(Err(CloseReason::Lost)),
                    Poll::Ready(Ok(())) => {}
                }
                let input = into.filled_mut();
                if input.is_empty() {
                    return Some(Err(CloseReason::ClientLeft));
                }
                if self.session.state() != State::Draining {
                    self.take(cx, input, shared);
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
    fn take(&mut self, cx: &mut Context<'_>, input: &mut [u8], shared: &Shared) {
        let routes = shared.registry.routes();
        let now = Instant::now();
        if let Some(throttle) = &mut self.throttle
            && let Some(wait) = throttle.read(input.len(), now)
        {
            shared.connections.stats().refuse(Refusal::ByteRate);
            self.paused = Some(now + wait);
        }
        let mut harvest = Harvest {
            connections: &shared.connections,
            connection: &self.connection,
            routes: &routes,
            throttle: self.throttle.as_deref_mut(),
            closed: shared.closed(),
            conn: self.connection.id,
            uid: self.connection.uid(),
            requests: Requests::with_capacity(input.len() + input.len() / 8 + 64),
            answers: Vec::new(),
            answers_count: 0,
            packets: 0,
            messages: 0,
            resumed: None,
        };
        let taken = self.inbound.take(input, &mut harvest);
        let Harvest { requests, answers, answers_count, packets, messages, resumed, .. } = harvest;
        if packets > 0 {
            self.session.on(Event::Packet, now);
            // A packet was finished: what is left over was begun by this read.
            self.session.on(Event::PartialDone, now);
        }
        self.session.on(if self.inbound.is_partial() { Event::PartialBegun } else { Event::PartialDone }, now);
        if let Some(resumed) = resumed {
            // This is the task of that session now.
            self.connection = resumed;
            cx.waker().wake_by_ref();
        }
        let connection = &self.connection;
        if connection.retains() && !connection.add_taken(messages, self.owner) {
            return;
        }
        connection.send(&answers, answers_count);
        if !requests.is_empty() {
            // Events that were noted meanwhile come first: the requests may carry the uid of one.
            let room = connection.deliver_events(&*shared.dispatch, cx.waker());
            self.parked = match room {
                false => Some(requests),
                true => shared.dispatch.dispatch(requests, cx.waker()).err().map(|Full(requests)| requests),
            };
        }
        if let Err(Fatal { reason, text }) = taken {
            self.end(reason, text);
        }
    }

    fn end(&mut self, reason: CloseReason, text: &str) {
        if !self.connection.is_owned_by(self.owner) {
            return;
        }
        self.ended.get_or_insert(reason);
        self.session.on(Event::Drain, Instant::now());
        match reason {
            // The answer to its close frame was sent already.
            CloseReason::ClientLeft | CloseReason::Goodbye => self.connection.outbox().close(reason, Vec::new()),
            _ => self.connection.close(reason, text),
        }
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>, mut clock: Pin<&mut Sleep>) -> Poll<CloseReason> {
        loop {
            let next = [self.session.next_deadline(), self.paused].into_iter().flatten().min();
            // Deadlines move with every packet; the timer is only moved when it would come too late.
            if let Some(next) = next.filter(|next| *next < clock.deadline().into_std()) {
                clock.as_mut().reset(next.into());
            }
            if clock.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if self.paused.is_some_and(|until| until <= now) {
                self.paused = None;
                cx.waker().wake_by_ref();
            }
            match self.session.due(now) {
                None => {}
                Some(Due::Heartbeat) => {
                    let mut packet = Vec::new();
                    self.connection.profile.heartbeat(&mut packet);
                    self.connection.send(&packet, 1);
                    self.session.on(Event::HeartbeatSent, now);
                }
                Some(Due::Closing) => return Poll::Ready(self.ended.unwrap_or(CloseReason::Lost)),
                Some(Due::Write) => return Poll::Ready(self.ended.unwrap_or(CloseReason::WriteTimeout)),
                Some(due) => {
                    let reason = match due {
                        Due::FirstPacket => CloseReason::FirstPacketTimeout,
                        Due::Packet => CloseReason::PacketTimeout,
                        Due::Authorize => CloseReason::AuthorizeTimeout,
                        _ => CloseReason::Silence,
                    };
                    self.end(reason, "");
                    if let Poll::Ready(reason) = self.poll_write(cx) {
                        return Poll::Ready(reason);
                    }
                }
            }
            let next = [self.session.next_deadline(), self.paused].into_iter().flatten().min();
            clock.as_mut().reset(next.unwrap_or_else(|| far(now)).into());
        }
    }
}
