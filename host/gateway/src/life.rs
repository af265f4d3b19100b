//! The life of a session: served, lost, waited for, ended, with an event for each.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use duet_core::{Full, RequestKind, Requests};
use duet_session::Lost;
use duet_transport::Reader;

use crate::CloseReason;
use crate::connection::Connection;
use crate::gateway::Shared;
use crate::outbox::Sending;
use crate::task::{End, serve};
use crate::throttle::Throttle;

/// How long the last requests and events of a connection may wait for room in a plugin's queue.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Serves a connection, and waits for its client if it is lost. Returns why it ended.
pub(crate) async fn live(connection: Arc<Connection>, socket: Reader, throttle: Option<Box<Throttle>>, shared: &Shared) -> CloseReason {
    let End { reason, connection, parked, owner } = serve(connection, socket, throttle, shared).await;
    let lost = if reason.is_loss() { lose(shared, &connection, owner, reason) } else { connection.is_owned_by(owner).then_some(false) };
    match lost {
        // Another task has the session.
        None => {
            hand_over(shared, &connection, parked).await;
            CloseReason::Resumed
        }
        Some(false) => finish(shared, &connection, owner, parked, reason).await,
        Some(true) => {
            hand_over(shared, &connection, parked).await;
            match wait(shared, &connection, owner).await {
                None => CloseReason::Resumed,
                Some(cause) => finish(shared, &connection, owner, None, cause).await,
            }
        }
    }
}

/// Notes in the book that the connection is lost. Whether the session waits for its client; `None` if another task has it.
fn lose(shared: &Shared, connection: &Connection, owner: u64, reason: CloseReason) -> Option<bool> {
    let mut book = shared.connections.book();
    let until = Instant::now() + connection.profile.sessions.resume_timeout;
    connection.is_owned_by(owner).then(|| {
        // What the server ends does not come back, even if its socket failed in the end.
        let ends = matches!(connection.outbox().state(), Sending::Closing(why) | Sending::Closed(why) if !why.is_loss());
        let suspended = !ends && matches!(book.lose(connection.id, until), Lost::Suspended { .. });
        if suspended {
            // Before anybody can resume it.
            connection.outbox().suspend();
            shared.connections.event(connection, RequestKind::Suspend, connection.uid(), reason.name());
        }
        suspended
    })
}

/// Waits for the client of a suspended session. `None` if it came back.
async fn wait(shared: &Shared, connection: &Connection, owner: u64) -> Option<CloseReason> {
    let until = Instant::now() + connection.profile.sessions.resume_timeout;
    let changed = poll_fn(|cx| {
        // The owner changes under this lock: a task that is no longer the owner never takes the place of the new one's waker.
        let outbox = connection.outbox();
        if !connection.is_owned_by(owner) {
            return Poll::Ready(None);
        }
        connection.task.register(cx.waker());
        match outbox.state() {
            Sending::Closing(reason) | Sending::Closed(reason) => Poll::Ready(Some(reason)),
            Sending::Open => Poll::Pending,
        }
    });
    if let Ok(end) = tokio::time::timeout_at(until.into(), changed).await {
        return end;
    }
    let mut book = shared.connections.book();
    // A moment may have passed between the deadline in the book and ours.
    connection.is_owned_by(owner).then(|| {
        book.expire(connection.id, Instant::now() + Duration::from_secs(1));
        CloseReason::Expired
    })
}

/// The end of a session, told behind its last message.
async fn finish(shared: &Shared, connection: &Connection, owner: u64, parked: Option<Requests>, cause: CloseReason) -> CloseReason {
    let ours = {
        let mut book = shared.connections.book();
        let ours = connection.is_owned_by(owner);
        if ours {
            book.end(connection.id);
            shared.connections.remove(connection.id);
        }
        ours
    };
    hand_over(shared, connection, parked).await;
    if !ours {
        return CloseReason::Resumed;
    }
    shared.connections.event(connection, RequestKind::Disconnect, connection.uid(), cause.name());
    hand_over(shared, connection, None).await;
    cause
}

/// Hands on what is left, as soon as there is room.
async fn hand_over(shared: &Shared, connection: &Connection, mut parked: Option<Requests>) {
    let all = poll_fn(|cx| {
        if let Some(requests) = parked.take()
            && let Err(Full(requests)) = shared.dispatch.dispatch(requests, cx.waker())
        {
            parked = Some(requests);
            return Poll::Pending;
        }
        if connection.deliver_events(&*shared.dispatch, cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
    });
    if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
        tracing::warn!(conn = %connection.id, "the last requests or events of a connection found no room within {LAST_WORDS:?}");
    }
}
