//! The task of one connection: reads when there is something, writes what could not be written at once, and watches the clock.

mod clock;
mod life;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use duet_core::Requests;
use duet_session::Event;
use duet_transport::Reader as Socket;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use self::life::{Life, Stage};
use crate::inbound::{Fatal, Harvest, Inbound};
use crate::outbox::{Flushed, Sending};
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

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// How a connection ended for its task.
pub(crate) struct End {
    pub(crate) reason: CloseReason,
    /// The session it served last, which is another one after a resumption.
    pub(crate) session: Arc<Session>,
    /// The task that served it, as [`Session::is_owned_by`] knows it.
    pub(crate) owner: u64,
}

/// Serves a connection until it ends, and says why it ended.
pub(crate) async fn serve(session: Arc<Session>, socket: Socket, throttle: Option<Box<Throttle>>, shared: &Shared) -> End {
    let profile = &session.profile;
    let mut connection = Connection {
        owner: session.id.0,
        inbound: Inbound::new(profile.ws_decoder()),
        life: Life::new(profile.timeouts, Instant::now()),
        throttle,
        paused: None,
        full: false,
        accepted: 0,
        socket,
        session,
    };
    let mut timer = pin!(tokio::time::sleep_until(connection.next_look().into()));
    let reason = poll_fn(|cx| connection.poll(cx, shared, timer.as_mut())).await;
    End { reason, session: connection.session, owner: connection.owner }
}

/// One socket. In [`Stage::Reading`] its client is read, unless something holds it: an event or requests that find no room, its rate of
/// bytes, its write queue, its requests in flight. What ends the hold wakes the task.
struct Connection {
    session: Arc<Session>,
    /// The name of this task as owner of the session.
    owner: u64,
    socket: Socket,
    inbound: Inbound,
    life: Life,
    throttle: Option<Box<Throttle>>,
    /// Nothing is read before this time, because the client sent too many bytes.
    paused: Option<Instant>,
    /// So much waits to be written that nothing is read.
    full: bool,
    /// Bytes that the socket had taken when this was last checked.
    accepted: u64,
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared, timer: Pin<&mut Sleep>) -> Poll<CloseReason> {
        // Writing comes first: a connection that is to end must no longer be read.
        if let Poll::Ready(reason) = self.poll_write(cx) {
            return Poll::Ready(reason);
        }
        self.life.set_bound(self.session.uid().is_some());
        if let Poll::Ready(reason) = self.poll_read(cx, shared) {
            return Poll::Ready(reason);
        }
        if self.life.is_ending()
            && let Poll::Ready(reason) = self.poll_write(cx)
        {
            return Poll::Ready(reason);
        }
        self.poll_clock(cx, timer)
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
                self.life.drain(reason);
            }
            self.full = self.session.limits().is_full(outbox.asked(), self.full);
            let ended = self.life.ended_by(CloseReason::Lost);
            match (flushed, state) {
                (Err(_), _) | (_, Sending::Closed(_)) => return Poll::Ready(ended),
                (Ok(Flushed::All), Sending::Open) => {
                    self.life.written();
                    return Poll::Pending;
                }
                (Ok(Flushed::All), Sending::Closing(_)) => {
                    // Closing a socket with unread bytes resets it, and the client would lose our last ones. So only our
                    // side is shut, and the rest is read until the client is done or the time is up.
                    if matches!(self.life.stage(), Stage::Shut(_)) {
                        return Poll::Pending;
                    }
                    match outbox.shutdown() {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        // A kcp client cannot end its side, and the rest is delivered without us.
                        Ok(())
                            if !matches!(self.socket, Socket::Kcp(_))
                                && !matches!(ended, CloseReason::ClientLeft | CloseReason::Goodbye) =>
                        {
                            self.life.shut();
                            return Poll::Pending;
                        }
                        _ => return Poll::Ready(ended),
                    }
                }
                (Ok(Flushed::Blocked), _) => {
                    // Whoever wrote it, what counts is what the socket took.
                    let accepted = outbox.accepted();
                    let event = if accepted == self.accepted { Event::WriteBlocked } else { Event::WriteProgress };
                    self.accepted = accepted;
                    self.life.deadlines.on(event, Instant::now());
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
            match self.life.stage() {
                Stage::HalfClosed { .. } => {
                    self.finish(cx, shared);
                    return Poll::Pending;
                }
                // What comes is thrown away, and nothing may hold that up.
                Stage::Draining(_) | Stage::Shut(_) => {
                    self.hand_on(cx, shared);
                }
                Stage::Reading => {
                    let reads = self.may_read(cx, shared);
                    self.life.set_held(!reads);
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
                if !self.life.is_ending() {
                    self.take(cx, input, shared);
                }
                Some(Ok(()))
            });
            match read {
                None => return Poll::Pending,
                Some(Err(CloseReason::ClientLeft)) if !self.life.is_ending() => {
                    self.life.end_input(CloseReason::ClientLeft, Vec::new());
                }
                Some(Err(reason)) => return Poll::Ready(self.life.ended_by(reason)),
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

    /// Hands on what waits, as much as may be in flight. True if nothing is left.
    fn hand_on(&self, cx: &Context<'_>, shared: &Shared) -> bool {
        self.session.hand_on_some(self.owner, self.full, &*shared.dispatch, cx.waker())
    }

    /// HalfClosed -> Draining: everything is answered, and what was answered is written.
    fn finish(&mut self, cx: &Context<'_>, shared: &Shared) {
        if !self.hand_on(cx, shared) || !self.session.wait_for_requests(0, self.owner) {
            return;
        }
        let mut outbox = self.session.outbox();
        // While it is blocked, the socket will wake the task.
        if outbox.is_blocked() || !self.session.is_owned_by(self.owner) {
            return;
        }
        // Others may have added something that they have not written yet, and will not wake anybody when they do.
        if !matches!(outbox.flush(), Ok(Flushed::All)) {
            cx.waker().wake_by_ref();
        } else if let Some((reason, farewell)) = self.life.end_answers() {
            outbox.close(reason, farewell);
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
            owner: self.owner,
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
        let deadlines = &mut self.life.deadlines;
        if packets > 0 {
            deadlines.on(Event::Packet, now);
        }
        if is_fresh {
            deadlines.on(Event::PartialDone, now);
        }
        deadlines.on(if self.inbound.is_partial() { Event::PartialBegun } else { Event::PartialDone }, now);
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
                    shared.sessions.part(&self.session, self.owner);
                }
                self.life.end_input(reason, farewell);
            }
            Err(Fatal { reason, text }) => self.end(reason, text),
        }
    }

    fn end(&mut self, reason: CloseReason, text: &str) {
        if self.session.close_as(self.owner, reason, text) {
            self.life.drain(reason);
        }
    }
}
