//! A connection to a Duet or due server: send, request, receive, heartbeats, and a session that outlives it.

mod incoming;
mod ledger;
mod pending;
mod resume;
mod session;
mod shared;
mod tasks;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use duet_codec::Format;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time;

use crate::endpoint::Endpoint;
use crate::error::{ClientError, CloseReason};
use crate::link;
use crate::options::ClientOptions;
use pending::{Refusal, Ticket};
use shared::Shared;

pub use incoming::{Incoming, Reply};
pub use session::Session;

/// One connection to a server. Dropping it closes the connection at once; [`close`](Self::close) does so politely.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    outbox: mpsc::Sender<Bytes>,
    inbox: mpsc::Receiver<Incoming>,
    /// Received on an earlier connection of the session and not taken yet.
    earlier: VecDeque<Incoming>,
    endpoint: Endpoint,
    options: ClientOptions,
    // Dropping the set ends both tasks.
    tasks: JoinSet<()>,
}

impl Client {
    /// Connects and starts the two tasks of the connection on the current tokio runtime.
    ///
    /// # Errors
    /// The address cannot be reached in time, the certificate is not accepted, or the server refuses the ws upgrade. Over kcp, nothing is
    /// sent before the first packet.
    pub async fn connect(endpoint: &Endpoint, format: Format, options: ClientOptions) -> Result<Self, ClientError> {
        let dialled = time::timeout(options.dial_timeout, link::dial(endpoint, &format, &options)).await;
        let (reader, writer) = dialled.map_err(|_| ClientError::DialTimeout { endpoint: endpoint.clone() })??;
        let shared = Arc::new(Shared::new(format, endpoint.transport().carrier(), options.session_packets_max));
        let (outbox, to_write) = mpsc::channel(options.outbox_packets_max.max(1));
        let (received, inbox) = mpsc::channel(options.inbox_packets_max.max(1));
        let mut tasks = JoinSet::new();
        tasks.spawn(tasks::read(Arc::clone(&shared), reader, received, options.silence_timeout));
        tasks.spawn(tasks::write(Arc::clone(&shared), writer, to_write, options.clone()));
        Ok(Self { shared, outbox, inbox, earlier: VecDeque::new(), endpoint: endpoint.clone(), options, tasks })
    }

    /// Sends one packet and does not wait for an answer; if one comes, [`recv`](Self::recv) delivers it.
    ///
    /// # Errors
    /// The packet does not fit the format, or the connection has ended.
    pub async fn send(&self, route: i32, seq: i32, body: &[u8]) -> Result<(), ClientError> {
        let packet = self.encode(route, seq, body)?;
        // The ledger has to see packets in the order in which they are written.
        let place = self.outbox.reserve().await.map_err(|_| self.closed())?;
        let mut ledger = self.shared.ledger();
        if route != self.options.session_route {
            ledger.sent(route, seq, &packet);
        }
        place.send(packet);
        Ok(())
    }

    /// Sends a packet with a seq of its own and waits at most `timeout` for the answer with the same route and seq.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for an error packet, [`ClientError::Timeout`] without an answer, and whatever [`send`](Self::send) can fail
    /// with.
    pub async fn request(&self, route: i32, body: &[u8], timeout: Duration) -> Result<Reply, ClientError> {
        let ticket = self.shared.pending.open(route)?.ok_or_else(|| self.closed())?;
        let seq = ticket.seq();
        self.answered(ticket, timeout, self.send(route, seq, body)).await
    }

    /// A seq that no request waits for: what the next request would have used. Never 0, except with a format without a seq.
    pub fn next_seq(&self) -> i32 {
        self.shared.pending.next_seq()
    }

    /// The next packet that no request waits for.
    ///
    /// # Errors
    /// [`ClientError::Closed`] with the reason once the connection has ended and everything received was delivered.
    pub async fn recv(&mut self) -> Result<Incoming, ClientError> {
        if let Some(incoming) = self.earlier.pop_front() {
            return Ok(incoming);
        }
        self.inbox.recv().await.ok_or_else(|| self.closed())
    }

    /// How many packets were dropped because nobody called [`recv`](Self::recv).
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Sends what is queued, says good-bye (a ws close frame with 1000, or the end of the tcp stream) and waits for the peer's end, at most
    /// `write_timeout`. Over kcp there is no good-bye: it only waits until what is queued has arrived. Returns how the connection ended.
    pub async fn close(self) -> CloseReason {
        let mut end = self.shared.end.subscribe();
        drop(self.outbox);
        drop(self.inbox);
        let ended = time::timeout(self.options.write_timeout, end.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(reason)) => reason.clone().unwrap_or(CloseReason::Local),
            Ok(Err(_)) | Err(_) => CloseReason::Local,
        }
    }

    fn encode(&self, route: i32, seq: i32, body: &[u8]) -> Result<Bytes, ClientError> {
        let mut packet = Vec::with_capacity(body.len() + 16);
        self.shared.format.encode(self.shared.carrier, route, seq, body, &mut packet)?;
        Ok(packet.into())
    }

    /// Sends and waits for the answer that the ticket is for.
    async fn answered(
        &self,
        mut ticket: Ticket<'_>,
        timeout: Duration,
        sent: impl Future<Output = Result<(), ClientError>>,
    ) -> Result<Reply, ClientError> {
        let route = ticket.route();
        let answered = async {
            sent.await?;
            let answer = ticket.answer().await.ok_or_else(|| self.closed())?;
            answer.map_err(|Refusal { code, message }| ClientError::Refused { code, message })
        };
        time::timeout(timeout, answered).await.unwrap_or(Err(ClientError::Timeout { route }))
    }

    fn closed(&self) -> ClientError {
        ClientError::Closed(self.shared.end.borrow().clone().unwrap_or(CloseReason::Local))
    }
}
