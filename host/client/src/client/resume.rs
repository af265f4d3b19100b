//! Sessions: asked for, kept when a connection ends, and resumed on another one.

use std::collections::VecDeque;
use std::time::Duration;

use duet_codec::Format;
use serde::Serialize;

use super::Client;
use super::incoming::Reply;
use super::ledger::Account;
use super::session::Session;
use crate::endpoint::Endpoint;
use crate::error::{ClientError, CloseReason, SESSION_GONE};
use crate::options::ClientOptions;

/// The question of a client that comes back.
#[derive(Serialize)]
struct Question<'a> {
    token: &'a str,
    received: u64,
}

impl Client {
    /// Asks the server for a token, with which this session can go on if the connection is lost. The connection has to be logged in. From
    /// then on both sides count. Asking again starts over, and forgets what was kept so far.
    ///
    /// # Errors
    /// As [`request`](Self::request); refused with code 4 before a login.
    pub async fn open_session(&self, timeout: Duration) -> Result<Session, ClientError> {
        self.ask(b"{}", Account::begin(), timeout).await?;
        self.session().ok_or(ClientError::SessionAnswer)
    }

    /// The session as it is now. To go on with it, take it with [`suspend`](Self::suspend): what comes later is not counted here.
    pub fn session(&self) -> Option<Session> {
        let account = self.shared.ledger().account().cloned()?;
        Some(Session { account, undelivered: VecDeque::new(), last_seq: self.shared.pending.last_seq() })
    }

    /// Ends the connection at once, without a good-bye, and takes the session; `None` if none was opened. It works for a connection that
    /// has ended by itself, too. Afterwards this client is of no more use.
    pub fn suspend(&mut self) -> Option<Session> {
        self.tasks.abort_all();
        self.shared.end(CloseReason::Local);
        // Counting and delivering are one step under this lock: what is counted is in the inbox.
        let account = self.shared.ledger().take_account();
        let mut undelivered = std::mem::take(&mut self.earlier);
        while let Ok(incoming) = self.inbox.try_recv() {
            undelivered.push_back(incoming);
        }
        Some(Session { account: account?, undelivered, last_seq: self.shared.pending.last_seq() })
    }

    /// Connects again and goes on with a session: [`recv`](Self::recv) gives what was not taken before, then what was missed, each once;
    /// what the server did not get is sent again. The answers to requests of the lost connection are delivered by `recv`. The session may
    /// be tried again if the connection could not be made; the token is used up once the server has answered.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`ClientError::SessionGone`] when it is too late, [`ClientError::SessionGap`] when the server lacks
    /// packets that are no longer kept, because there were too many.
    pub async fn resume(endpoint: &Endpoint, format: Format, options: ClientOptions, session: &Session) -> Result<Self, ClientError> {
        let timeout = options.dial_timeout;
        let mut client = Self::connect(endpoint, format, options).await?;
        client.earlier.clone_from(&session.undelivered);
        client.shared.pending.go_on_from(session.last_seq);
        let question = Question { token: session.token(), received: session.received() };
        let question = serde_json::to_vec(&question).map_err(|_| ClientError::SessionAnswer)?;
        client.ask(&question, session.account.clone(), timeout).await.map_err(|error| match error {
            ClientError::Refused { code: SESSION_GONE, .. } => ClientError::SessionGone,
            other => other,
        })?;
        let missing = client.shared.ledger().account().map(Account::missing);
        let missing = missing.ok_or(ClientError::SessionAnswer)?.map_err(|lost| ClientError::SessionGap { lost })?;
        for packet in missing {
            client.outbox.send(packet).await.map_err(|_| client.closed())?;
        }
        Ok(client)
    }

    /// [`suspend`](Self::suspend) and [`resume`](Self::resume) on the same endpoint. It may be tried again if no connection could be made.
    ///
    /// # Errors
    /// [`ClientError::NoSession`], and as [`resume`](Self::resume).
    pub async fn reconnect(&mut self) -> Result<(), ClientError> {
        if self.shared.ledger().account().is_none() {
            return Err(ClientError::NoSession);
        }
        let session = self.suspend().ok_or(ClientError::NoSession)?;
        match Self::resume(&self.endpoint, self.shared.format, self.options.clone(), &session).await {
            Ok(client) => *self = client,
            Err(error) => {
                self.earlier = session.undelivered;
                if error.is_of_dialling() {
                    self.shared.ledger().put_account(session.account);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn ask(&self, question: &[u8], account: Account, timeout: Duration) -> Result<Reply, ClientError> {
        let route = self.options.session_route;
        let ticket = self.shared.pending.open(route)?.ok_or_else(|| self.closed())?;
        let seq = ticket.seq();
        let sent = async {
            let packet = self.encode(route, seq, question)?;
            let place = self.outbox.reserve().await.map_err(|_| self.closed())?;
            let mut ledger = self.shared.ledger();
            ledger.ask(route, seq, account);
            place.send(packet);
            Ok(())
        };
        self.answered(ticket, timeout, sent).await
    }
}
