//! The life of a session: served, lost, waited for, ended, with an event for each.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use duet_core::RequestKind;
use duet_session::Lost;
use duet_transport::{Reader, in_time};
use futures_util::FutureExt;

use crate::connection::{End, serve};
use crate::outbox::Sending;
use crate::place::Place;
use crate::session::Session;
use crate::shared::Shared;
use crate::throttle::Throttle;
use crate::{CloseReason, Refusal};

/// How long the last requests and events of a session may wait for room in a plugin's queue.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The whole life of a connection: the task of one socket. Whatever panics in it ends this one session as any other cause would.
pub(crate) async fn live(session: Arc<Session>, socket: Reader, throttle: Option<Box<Throttle>>, mut place: Place) {
    let shared = Arc::clone(&place.shared);
    let first = Arc::clone(&session);
    let life = AssertUnwindSafe(spend(session, socket, throttle, &shared, &mut place)).catch_unwind().await;
    let reason = match life {
        Ok(reason) => reason,
        Err(panic) => {
            let session = first.heir();
            shared.sessions.panicked(session.id, panic);
            let end = finish(&shared, session, first.id.0, CloseReason::Internal);
            AssertUnwindSafe(end).catch_unwind().await.unwrap_or_else(|panic| {
                shared.sessions.panicked(session.id, panic);
                CloseReason::Internal
            })
        }
    };
    shared.sessions.stats().close(reason);
    tracing::debug!(conn = %first.id, peer = %first.address(), reason = reason.name(), "connection ended");
    drop(place);
}

/// Serves a connection, and waits for its client if it is lost. Returns why it ended.
async fn spend(session: Arc<Session>, socket: Reader, throttle: Option<Box<Throttle>>, shared: &Shared, place: &mut Place) -> CloseReason {
    shared.sessions.insert(&session);
    if shared.is_stopping() {
        // Its handshake ended after everybody was asked to leave.
        session.close(CloseReason::GoingAway, "");
    }
    let End { reason, session, owner } = serve(session, socket, throttle, shared).await;
    let cause = match lose(shared, &session, owner, reason) {
        Next::Elsewhere => None,
        Next::End(cause) => Some(cause),
        Next::Wait(until) => {
            place.suspend();
            wait(shared, &session, owner, until).await
        }
    };
    match cause {
        // What is still waiting goes on with the session.
        None => CloseReason::Resumed,
        Some(cause) => finish(shared, &session, owner, cause).await,
    }
}

/// What becomes of a session whose socket is gone.
enum Next {
    /// Another task has it.
    Elsewhere,
    End(CloseReason),
    /// It is suspended until then.
    Wait(Instant),
}

/// Decides what becomes of the session, and notes in the book if it is suspended.
fn lose(shared: &Shared, session: &Session, owner: u64, reason: CloseReason) -> Next {
    let mut book = shared.sessions.book();
    if !session.is_owned_by(owner) {
        return Next::Elsewhere;
    }
    let mut outbox = session.outbox();
    // A session that the server ends does not come back, even if its socket failed in the end.
    let cause = match outbox.state() {
        Sending::Closing(why) | Sending::Closed(why) if !why.is_loss() => why,
        _ => reason,
    };
    let waits = cause.is_loss() && session.has_room_for_event() && matches!(book.lose(session.id), Lost::Suspended { .. });
    if !waits {
        return Next::End(cause);
    }
    // Bound -> Suspended. Both locks are held until the event is noted, so nobody can resume it before.
    let socket = outbox.suspend();
    shared.sessions.event(session, RequestKind::Suspend, session.uid(), cause.name());
    drop((outbox, book));
    drop(socket);
    Next::Wait(Instant::now() + session.profile.sessions.resume_timeout)
}

/// Waits for the client of a suspended session, and hands on what is left meanwhile. `None` if it came back.
async fn wait(shared: &Shared, session: &Session, owner: u64, until: Instant) -> Option<CloseReason> {
    let changed = poll_fn(|cx| {
        session.hand_on(owner, &*shared.dispatch, cx.waker());
        // The owner changes under this lock: a task that is no longer the owner never replaces the new one's waker.
        let outbox = session.outbox();
        if !session.is_owned_by(owner) {
            // Suspended -> Bound: another task has it.
            return Poll::Ready(None);
        }
        session.task.register(cx.waker());
        match outbox.state() {
            Sending::Closing(reason) | Sending::Closed(reason) => Poll::Ready(Some(reason)),
            Sending::Open => Poll::Pending,
        }
    });
    if let Some(end) = in_time(until, changed).await {
        return end;
    }
    let mut book = shared.sessions.book();
    session.is_owned_by(owner).then(|| {
        // Suspended -> gone: nobody came back in time.
        book.end(session.id);
        CloseReason::Expired
    })
}

/// The end of a session, told after its last message. The event is noted only once, although a panic in the middle of this leads here
/// again.
async fn finish(shared: &Shared, session: &Session, owner: u64, cause: CloseReason) -> CloseReason {
    let socket = {
        let mut book = shared.sessions.book();
        if !session.is_owned_by(owner) {
            // If this panicked while it handed something on, the new owner waits for that.
            session.task.wake();
            return CloseReason::Resumed;
        }
        // Any -> gone.
        book.end(session.id);
        let socket = session.outbox().hang_up(cause);
        if shared.sessions.remove(session.id) {
            shared.sessions.event(session, RequestKind::Disconnect, session.uid(), cause.name());
        }
        socket
    };
    drop(socket);
    let all = poll_fn(|cx| if session.hand_on(owner, &*shared.dispatch, cx.waker()) { Poll::Ready(()) } else { Poll::Pending });
    if in_time(Instant::now() + LAST_WORDS, all).await.is_none() {
        let (messages, events) = session.forget_waiting();
        shared.sessions.stats().refuse_all(Refusal::NoRoom, messages + events);
        tracing::warn!(
            conn = %session.id, uid = session.uid().map_or(0, |uid| uid.0), messages, events,
            "lost: a connection ended, and what it left found no room in the queues of plugins within {LAST_WORDS:?} (runtime.queue_*)"
        );
    }
    cause
}
