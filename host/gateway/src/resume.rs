//! What clients ask on the session route: a token, and to go on with the session of a lost connection.

use std::sync::Arc;
use std::time::Instant;

use duet_core::{ErrorCode, RequestKind, Seq};
use duet_session::{Resumed, Token};
use duet_transport::Writer;
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::retained::Retained;
use crate::{CloseReason, Connections, Refusal};

/// Longest question in bytes; the longest sensible one has about 80.
const QUESTION_BYTES_MAX: usize = 256;

/// What a client asks: nothing for a token, a token to resume.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Question {
    token: Option<String>,
    /// Packets the client got since it asked for its first token of this session.
    received: u64,
}

/// What it is told.
#[derive(Debug, Serialize)]
struct Answer {
    token: String,
    ttl_ms: u64,
    /// Packets the server took since then.
    received: u64,
}

impl Connections {
    /// Answers a packet on the session route. Returns the connection whose session goes on with this socket.
    ///
    /// # Errors
    /// The code the client is told.
    pub(crate) fn session_request(
        &self,
        asking: &Arc<Connection>,
        seq: Seq,
        body: &[u8],
        may_resume: bool,
    ) -> Result<Option<Arc<Connection>>, ErrorCode> {
        if body.len() > QUESTION_BYTES_MAX {
            return Err(ErrorCode::TOO_LARGE);
        }
        let question = match body {
            b"" => Question::default(),
            body => serde_json::from_slice(body).map_err(|_| ErrorCode::BAD_REQUEST)?,
        };
        match question.token {
            None => self.issue(asking, seq).map(|()| None),
            Some(_) if !may_resume => Err(ErrorCode::BAD_REQUEST),
            Some(token) => {
                let token = Token::from_hex(token.as_bytes()).ok_or(ErrorCode::SESSION_GONE);
                let resumed = token.and_then(|token| self.resume(asking, &token, question.received, seq));
                resumed.map(Some).inspect_err(|_| self.stats.refuse(Refusal::Resume))
            }
        }
    }

    fn issue(&self, connection: &Connection, seq: Seq) -> Result<(), ErrorCode> {
        let token = fresh()?;
        self.book().issue(connection.id, &token).map_err(|_| ErrorCode::NOT_AUTHORIZED)?;
        let sessions = &connection.profile.sessions;
        let answer = answer(connection, seq, &token, 0)?;
        // Known to all before the client can know it.
        connection.set_retains(true);
        // Both sides count from this packet on: nothing may come between.
        let mut outbox = connection.outbox();
        let taken = outbox.send(&answer, 1, connection.limits());
        outbox.retain(Retained::new(sessions.resume_packets, sessions.resume_bytes));
        drop(outbox);
        connection.look_after(taken);
        Ok(())
    }

    fn resume(&self, by: &Arc<Connection>, token: &Token, received: u64, seq: Seq) -> Result<Arc<Connection>, ErrorCode> {
        let fresh = fresh()?;
        // A client that does not read what it got so far cannot take over now. Its token stays good.
        let writer = by.outbox().give_writer().ok_or(ErrorCode::BUSY)?;
        let mut book = self.book();
        let Ok(Resumed { conn, .. }) = book.resume(by.id, token, &fresh, Instant::now()) else {
            by.outbox().take_writer_back(writer);
            return Err(ErrorCode::SESSION_GONE);
        };
        // What is kept for the client is in the format of its listener.
        let session = self.find(conn);
        let same = session.as_ref().filter(|session| Arc::ptr_eq(&session.profile, &by.profile));
        let greeting = |taken| answer(by, seq, &fresh, taken);
        let went_on = match same {
            Some(session) => hand_over(session, by, writer, received, greeting),
            None => Err(writer),
        };
        match (went_on, session) {
            (Ok(()), Some(session)) => {
                session.set_address(by.address());
                self.event(by, RequestKind::Disconnect, None, CloseReason::Resumed.name());
                self.event(&session, RequestKind::Resume, session.uid(), by.address());
                Ok(session)
            }
            (went_on, session) => {
                // The token is used up, and what the client misses is no longer there: nobody can ever go on. It may log in anew.
                book.end(conn);
                book.open(by.id);
                if let Some(session) = session {
                    session.cut(CloseReason::Expired);
                }
                if let Err(writer) = went_on {
                    by.outbox().take_writer_back(writer);
                }
                Err(ErrorCode::SESSION_GONE)
            }
        }
    }
}

/// Gives a socket to a session. Under the lock of its queue, so that what its old task has read is either counted in the greeting or thrown
/// away. Gives the socket back if that cannot be.
fn hand_over(
    session: &Connection,
    by: &Connection,
    writer: Writer,
    received: u64,
    greeting: impl FnOnce(u64) -> Result<Vec<u8>, ErrorCode>,
) -> Result<(), Writer> {
    let mut outbox = session.outbox();
    let Ok(greeting) = greeting(session.taken()) else { return Err(writer) };
    outbox.resume(writer, greeting, received)?;
    session.set_owner(by.id.0);
    Ok(())
}

fn fresh() -> Result<Token, ErrorCode> {
    let mut bytes = [0; Token::BYTES];
    getrandom::fill(&mut bytes).map_err(|_| ErrorCode::UNAVAILABLE)?;
    Ok(Token::new(bytes))
}

fn answer(connection: &Connection, seq: Seq, token: &Token, received: u64) -> Result<Vec<u8>, ErrorCode> {
    let sessions = &connection.profile.sessions;
    let ttl_ms = u64::try_from(sessions.resume_timeout.as_millis()).unwrap_or(u64::MAX);
    let body = serde_json::to_vec(&Answer { token: token.hex().to_string(), ttl_ms, received }).map_err(|_| ErrorCode::UNAVAILABLE)?;
    let mut packet = Vec::new();
    let route = sessions.route.ok_or(ErrorCode::UNKNOWN_ROUTE)?;
    connection.profile.message(route, seq, &body, &mut packet).map_err(|_| ErrorCode::TOO_LARGE)?;
    Ok(packet)
}
