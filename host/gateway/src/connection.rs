//! The task of one connection: reads when there is something, writes what could not be written at once, and watches the clock.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use duet_core::Requests;
use duet_session::{Deadlines, Due, Event, State};
use duet_transport::Reader as Socket;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::inbound::{Fatal, Harvest, Inbound};
use crate::outbox::{Flushed, Load, Sending};
use crate::session::Session;
use crate::shared::Shared;
use crate::throttle::Throttle;
use crate::{CloseReason, Refusal};

/// What one read may bring: a little less than the 32 KiB that one call of a plugin takes, because request records have longer
/// headers than packets; so a read is a call, and nothing is cut or joined. Shared by all connections of a thread, so that an
/// idle one holds no buffer.
const READ_BYTES: usize = 31 << 10;
/// Reads before other connections get their turn.
const READS_PER_TURN: usize = 4;
/// How soon a deadline is looked at again if something has arrived that is not read yet.
const ARRIVING: Duration = Duration::from_millis(5);

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// How a connection ended for its task.
pub(crate) struct End {
    pub(crate) reason: CloseReason,
    /// The session it served last, which is another one after a resumption.
    pub(crate) session: Arc<Session>,
    /// The name of the task that served it, as its owner.
    pub(crate) owner: u64,
}

/// Serves a connection until it ends, and says why it ended.
pub(crate) async fn serve(session: Arc<Session>, socket: Socket, throttle: Option<Box<Throttle>>, shared: &Shared) -> End {
    let profile = &session.profile;
    let now = Instant::now();
    let mut connection = Connection {
        owner: session.id.0,
        inbound: Inbound::new(profile.ws_decoder()),
        deadlines: Deadlines::new(profile.timeouts, now),
        throttle,
        paused: None,
        bound: false,
        ended: None,
        farewell: Vec::new(),
        blocked: false,
        full: false,
        held: false,
        accepted: 0,
        shut: false,
        socket,
        session,
    };
    let first = connection.deadlines.earliest().unwrap_or_else(|| far(now));
    let mut clock = pin!(tokio::time::sleep_until(first.into()));
    let reason = poll_fn(|cx| connection.poll(cx, shared, clock.as_mut())).await;
    End { reason, session: connection.session, owner: connection.owner }
}

fn far(now: Instant) -> Instant {
    now + Duration::from_secs(3600)
}

/// One socket. Where it is in its life say the `deadlines`: opened, active, half-closed, draining. In the first two it reads, unless
/// something holds it: an event or requests that find no room, its rate of bytes, its write queue, its requests in flight. What ends the
/// hold wakes the task.
struct Connection {
    session: Arc<Session>,
    /// The name of this task as owner of the session.
    owner: u64,
    socket: Socket,
    inbound: Inbound,
    deadlines: Deadlines,
    throttle: Option<Box<Throttle>>,
    /// Nothing is read before: the client sent too many bytes.
    paused: Option<Instant>,
    /// What `deadlines` know of the uid.
    bound: bool,
    /// Why the connection ends, once it does.
    ended: Option<CloseReason>,
    /// The last bytes for a client that sends no more.
    farewell: Vec<u8>,
    /// What `deadlines` know of bytes that wait.
    blocked: bool,
    /// So much waits to be written that nothing is read.
    full: bool,
    /// What `deadlines` know of whether the client is read.
    held: bool,
    /// What the socket had taken when this was last looked at.
    accepted: u64,
    /// Our side of the socket is shut; what the client still sends is thrown away.
    shut: bool,
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared, clock: Pin<&mut Sleep>) -> Poll<CloseReason> {
        // Writing comes first: a connection that is to end must not be read any more.
        if let Poll::Ready(reason) = self.poll_write(cx) {
            return Poll::Ready(reason);
        }
        let bound = self.session.uid().is_some();
        if bound != self.bound {
            self.bound = bound;
            self.deadlines.on(if bound { Event::Bound } else { Event::Unbound }, Instant::now());
        }
        if let Poll::Ready(reason) = self.poll_read(cx, shared) {
            return Poll::Ready(reason);
        }
        if self.deadlines.state() == State::Draining
            && let Poll::Ready(reason) = self.poll_write(cx)
        {
            return Poll::Ready(reason);
        }
        self.poll_clock(cx, clock)
    }

    /// Writes what waits. Ready when the connection is over.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            let mut outbox = self.session.outbox();
            // The owner changes under this lock: a task that is no longer the owner neither writes nor takes the new one's waker away.
            if !self.session.is_owned_by(self.owner) {
                return Poll::Ready(CloseReason::Resumed);
            }
            self.session.task.register(cx.waker());
            let (flushed, state) = (outbox.flush(), outbox.state());
            if let Sending::Closing(reason) | Sending::Closed(reason) = state {
                self.ended.get_or_insert(reason);
                self.deadlines.on(Event::Drain, Instant::now());
            }
            self.full = self.session.limits().is_full(outbox.asked(), self.full);
            let ended = self.ended.unwrap_or(CloseReason::Lost);
            match (flushed, state) {
                (Err(_), _) | (_, Sending::Closed(_)) => return Poll::Ready(ended),
                (Ok(Flushed::All), Sending::Open) => {
                    if std::mem::take(&mut self.blocked) {
                        self.deadlines.on(Event::WriteDone, Instant::now());
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
                (Ok(Flushed::Blocked), _) => {
                    self.blocked = true;
                    // Whoever wrote: what counts is what the socket took.
                    let accepted = outbox.accepted();
                    let event = if accepted == self.accepted { Event::WriteBlocked } else { Event::WriteProgress };
                    self.accepted = accepted;
                    self.deadlines.on(event, Instant::now());
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
            match self.deadlines.state() {
                State::HalfClosed => {
                    self.finish(cx, shared);
                    return Poll::Pending;
                }
                // What comes is thrown away: nothing may hold it up.
                State::Draining => {
                    self.hand_on(cx, shared);
                }
                State::Opened | State::Active => {
                    let reads = self.may_read(cx, shared);
                    self.note(reads);
                    if !reads {
                        return Poll::Pending;
                    }
                }
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
                if self.deadlines.state() != State::Draining {
                    self.take(cx, input, shared);
                }
                Some(Ok(()))
            });
            match read {
                None => return Poll::Pending,
                Some(Err(CloseReason::ClientLeft)) if self.deadlines.state() != State::Draining => {
                    self.input_ended(CloseReason::ClientLeft, Vec::new());
                }
                Some(Err(reason)) => return Poll::Ready(self.ended.unwrap_or(reason)),
                Some(Ok(())) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether the client is read now. If not, the task is woken once it may be.
    fn may_read(&self, cx: &Context<'_>, shared: &Shared) -> bool {
        if !self.hand_on(cx, shared) || self.full || self.paused.is_some() {
            return false;
        }
        let most = self.session.limits().requests;
        self.session.task.in_flight() < most || self.session.wait_for_requests(most / 2, self.owner)
    }

    /// Tells the deadlines whether the client is read.
    fn note(&mut self, reads: bool) {
        if reads == self.held {
            self.held = !reads;
            self.deadlines.on(if reads { Event::ReadOn } else { Event::ReadHeld }, Instant::now());
        }
    }

    /// Hands on what waits, as much as may be in flight. True if nothing is left.
    fn hand_on(&self, cx: &Context<'_>, shared: &Shared) -> bool {
        self.session.hand_on_some(self.owner, self.full, &*shared.dispatch, cx.waker())
    }

    /// Opened, Active -> HalfClosed: the client sends no more, and gets the answers to what it sent.
    fn input_ended(&mut self, reason: CloseReason, farewell: Vec<u8>) {
        self.ended.get_or_insert(reason);
        self.farewell = farewell;
        self.deadlines.on(Event::InputEnded, Instant::now());
    }

    /// HalfClosed -> Draining: everything is answered, and what was answered is written.
    fn finish(&mut self, cx: &Context<'_>, shared: &Shared) {
        if !self.hand_on(cx, shared) || !self.session.wait_for_requests(0, self.owner) {
            return;
        }
        let mut outbox = self.session.outbox();
        // While the socket takes nothing, it wakes the task.
        if outbox.is_blocked() || !self.session.is_owned_by(self.owner) {
            return;
        }
        // Others may have added something that they have not written yet, and will not wake anybody when they do.
        if matches!(outbox.flush(), Ok(Flushed::All)) {
            outbox.close(self.ended.unwrap_or(CloseReason::ClientLeft), std::mem::take(&mut self.farewell));
            self.deadlines.on(Event::Drain, Instant::now());
        } else {
            cx.waker().wake_by_ref();
        }
    }

    /// Handles the bytes of one read.
    fn take(&mut self, cx: &mut Context<'_>, input: &mut [u8], shared: &Shared) {
        let routes = shared.registry.routes();
        let now = Instant::now();
        if let Some(throttle) = &mut self.throttle
            && let Some(wait) = throttle.read(input.len(), now)
        {
            shared.sessions.stats().refuse(Refusal::ByteRate);
            self.paused = Some(now + wait);
        }
        let mut harvest = Harvest {
            sessions: &shared.sessions,
            session: &self.session,
            routes: &routes,
            throttle: self.throttle.as_deref_mut(),
            closed: shared.closed(),
            conn: self.session.id,
            uid: self.session.uid(),
            requests: Requests::with_capacity(input.len() + input.len() / 8 + 64),
            answers: Vec::new(),
            answers_count: 0,
            farewell: Vec::new(),
            packets: 0,
            is_fresh: false,
            messages: 0,
            resumed: None,
        };
        let taken = self.inbound.take(input, &mut harvest);
        let Harvest { requests, answers, answers_count, farewell, packets, is_fresh, messages, resumed, .. } = harvest;
        if packets > 0 {
            self.deadlines.on(Event::Packet, now);
        }
        if is_fresh {
            self.deadlines.on(Event::PartialDone, now);
        }
        self.deadlines.on(if self.inbound.is_partial() { Event::PartialBegun } else { Event::PartialDone }, now);
        if let Some(resumed) = resumed {
            // This is the task of that session now.
            self.session = resumed;
            cx.waker().wake_by_ref();
        }
        let session = &self.session;
        if !session.take(requests, messages, self.owner) {
            return;
        }
        session.send(&answers, answers_count);
        self.hand_on(cx, shared);
        match taken {
            Ok(()) => {}
            Err(Fatal { reason: reason @ (CloseReason::ClientLeft | CloseReason::Goodbye), .. }) => {
                if reason == CloseReason::Goodbye {
                    // Bound -> Draining: nobody goes on with it while the last answers are on their way.
                    shared.sessions.book().drain(self.session.id);
                }
                self.input_ended(reason, farewell);
            }
            Err(Fatal { reason, text }) => self.end(reason, text),
        }
    }

    fn end(&mut self, reason: CloseReason, text: &str) {
        if !self.session.is_owned_by(self.owner) {
            return;
        }
        self.ended.get_or_insert(reason);
        self.deadlines.on(Event::Drain, Instant::now());
        self.session.close(reason, text);
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>, mut clock: Pin<&mut Sleep>) -> Poll<CloseReason> {
        loop {
            let next = [self.deadlines.earliest(), self.paused].into_iter().flatten().min();
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
            match self.deadlines.due(now) {
                None => {}
                Some(Due::Heartbeat) => {
                    let mut packet = Vec::new();
                    self.session.profile.heartbeat(&mut packet);
                    self.session.send(&packet, 1);
                    self.deadlines.on(Event::HeartbeatSent, now);
                }
                Some(Due::Closing) => return Poll::Ready(self.ended.unwrap_or(CloseReason::Lost)),
                Some(Due::Write) => {
                    if let Poll::Ready(reason) = self.judge_writing(cx, now) {
                        return Poll::Ready(reason);
                    }
                }
                // What came in time counts, read or not.
                Some(due) if due != Due::Authorize && self.socket.has_arrived() => {
                    clock.as_mut().reset((now + ARRIVING).into());
                    if clock.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
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
            let next = [self.deadlines.earliest(), self.paused].into_iter().flatten().min();
            clock.as_mut().reset(next.unwrap_or_else(|| far(now)).into());
        }
    }

    /// Ends a connection whose client takes nothing. What it takes at this moment counts.
    fn judge_writing(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<CloseReason> {
        let mut outbox = self.session.outbox();
        if !self.session.is_owned_by(self.owner) {
            return Poll::Ready(CloseReason::Resumed);
        }
        if outbox.insist().is_err() {
            return Poll::Ready(self.ended.unwrap_or(CloseReason::Lost));
        }
        if outbox.accepted() != self.accepted {
            self.accepted = outbox.accepted();
            self.deadlines.on(Event::WriteProgress, now);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Load { packets, bytes } = outbox.waiting();
        drop(outbox);
        let (conn, uid, peer) = (self.session.id, self.session.uid().map_or(0, |uid| uid.0), self.session.address());
        let write = self.session.profile.timeouts.write;
        tracing::info!(%conn, uid, %peer, packets, bytes, "closed as write_timeout: it took nothing for {write:?} (gateway.write_timeout)");
        Poll::Ready(self.ended.unwrap_or(CloseReason::WriteTimeout))
    }
}
