//! What clients ask on the session route: a token, to go on with the session of a lost connection, or to forget what they have received.

use std::sync::Arc;

use duet_core::{ErrorCode, RequestKind, Seq};
use duet_session::{IssueError, ResumeError, Token};
use serde::{Deserialize, Deserializer, Serialize};

use crate::outbox::resumption::Stuck;
use crate::retained::{Gap, Retained};
use crate::session::Session;
use crate::{CloseReason, Refusal, Sessions};

/// Longest question in bytes; the longest sensible one has about 80.
const QUESTION_BYTES_MAX: usize = 256;

/// What a client asks: `{}` for a token, a token to resume, a number alone to say what it has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Question {
    #[serde(deserialize_with = "some")]
    token: Option<String>,
    /// Packets the client got since it asked for its first token of this session.
    #[serde(deserialize_with = "some")]
    received: Option<u64>,
}

/// The answer to it.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    ttl_ms: u64,
    /// Packets the server took since then.
    received: u64,
}

/// Why a question is refused. Nothing has changed: a session that was asked for is as it was, and so is its token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("too large: a question about the session has at most {QUESTION_BYTES_MAX} bytes")]
    TooLarge,
    #[error("bad request: the body must be a JSON object, such as {{}}")]
    NoObject,
    #[error("bad request: {0}")]
    Question(#[from] serde_json::Error),
    #[error("bad request: requests came right before it; resume first")]
    NotFirst,
    #[error("bad request: received = {received}, but only {sent} packets were sent")]
    NeverSent { received: u64, sent: u64 },
    #[error("not authorized: {0}")]
    Issue(#[from] IssueError),
    #[error("busy: the client has to read first what it was sent on this connection")]
    Unread,
    #[error("busy: requests of this connection are not answered yet; resume then, or first")]
    Unanswered,
    #[error("busy: too many events of the session wait for a plugin")]
    Events,
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    #[error("session gone: {0}")]
    Resume(#[from] ResumeError),
    #[error("session gone: it belongs to another listener")]
    OtherListener,
    #[error("session gone: the server ends it")]
    Ending,
    #[error("session gone: received = {received}, but packets are kept from number {kept} on only")]
    Forgotten { received: u64, kept: u64 },
    #[error("session gone: received = {received}, but only {sent} packets were sent")]
    NotReceived { received: u64, sent: u64 },
}

impl SessionError {
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge => ErrorCode::TOO_LARGE,
            Self::NoObject | Self::Question(_) | Self::NotFirst | Self::NeverSent { .. } => ErrorCode::BAD_REQUEST,
            Self::Issue(_) => ErrorCode::NOT_AUTHORIZED,
            Self::Unread | Self::Unanswered | Self::Events => ErrorCode::BUSY,
            Self::Unavailable(_) => ErrorCode::UNAVAILABLE,
            Self::Resume(_) | Self::OtherListener | Self::Ending | Self::Forgotten { .. } | Self::NotReceived { .. } => {
                ErrorCode::SESSION_GONE
            }
        }
    }

    const fn stuck(stuck: Stuck, received: u64) -> Self {
        match stuck {
            Stuck::Ending | Stuck::Released => Self::Ending,
            Stuck::Gap(Gap::Forgotten(kept)) => Self::Forgotten { received, kept },
            Stuck::Gap(Gap::NeverSent(sent)) => Self::NotReceived { received, sent },
        }
    }
}

impl Sessions {
    /// Answers a packet on the session route. Returns the session that goes on with this socket, if one does.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn session_request(
        &self,
        asking: &Arc<Session>,
        seq: Seq,
        body: &[u8],
        may_resume: bool,
    ) -> Result<SessionAnswer, SessionError> {
        match question(body)? {
            Question { token: Some(_), .. } if !may_resume => Err(SessionError::NotFirst),
            Question { token: Some(token), received } => {
                let resumed = self.resume(asking, &token, received.unwrap_or_default(), seq);
                resumed.map(SessionAnswer::Resumed).inspect_err(|_| self.stats.refuse(Refusal::Resume))
            }
            Question { token: None, received: Some(received) } if asking.retains() => acknowledge(asking, received, seq),
            Question { token: None, .. } => self.issue(asking, seq),
        }
    }

    fn issue(&self, session: &Session, seq: Seq) -> Result<SessionAnswer, SessionError> {
        let token = fresh()?;
        let answer = answer(session, seq, Some(&token), 0)?;
        let sessions = &session.profile.sessions;
        let retained = Retained::new(sessions.resume_packets, sessions.resume_bytes, self.stats.kept.clone());
        {
            // The token and what is kept for it come and go together, both locks held.
            let mut book = self.book();
            book.issue(session.id, &token)?;
            // Both sides count from the answer on: nothing may come between.
            let mut outbox = session.outbox();
            session.set_retains(true);
            outbox.retain(answer, retained);
        }
        session.flush();
        Ok(SessionAnswer::Issued)
    }

    /// Gives the socket of a connection to a session. Everything that can be in the way is found before anything is changed.
    fn resume(&self, by: &Arc<Session>, token: &str, received: u64, seq: Seq) -> Result<Arc<Session>, SessionError> {
        let token = Token::from_hex(token.as_bytes()).ok_or(ResumeError::Refused)?;
        // Their answers would go to a session that no longer exists.
        if by.task.in_flight() > 0 {
            return Err(SessionError::Unanswered);
        }
        let fresh = fresh()?;
        let mut book = self.book();
        let conn = book.resumable(by.id, &token)?.conn;
        let session = self.find(conn).ok_or(ResumeError::Refused)?;
        // What is kept for the client is in the format of its listener.
        if !Arc::ptr_eq(&session.profile, &by.profile) {
            return Err(SessionError::OtherListener);
        }
        if !session.has_room_for_events_of(by) {
            return Err(SessionError::Events);
        }
        // Under this lock what the session's old task has read is either counted in the greeting or thrown away.
        let mut outbox = session.outbox();
        let missed = outbox.missed(received).map_err(|stuck| SessionError::stuck(stuck, received))?;
        let greeting = answer(by, seq, Some(&fresh), session.taken())?;
        let mut own = by.outbox();
        if !own.is_free() {
            return Err(SessionError::Unread);
        }
        // Bound, Suspended -> Bound, by another socket and its task.
        book.resume(by.id, &token, &fresh)?;
        let old = outbox.take_over(&mut own, greeting, missed);
        session.inherit(by);
        drop((own, outbox));
        session.set_address(by.address());
        self.remove(by.id);
        // Its last event is that it ended, before those of the session.
        self.event(by, RequestKind::Disconnect, None, CloseReason::Resumed.name());
        by.move_waiting(&session);
        self.event(&session, RequestKind::Resume, session.uid(), by.address());
        drop(book);
        drop(old);
        Ok(session)
    }
}

/// What became of a question.
#[derive(Debug)]
pub(crate) enum SessionAnswer {
    /// The client has a token, and packets count from here.
    Issued,
    /// What the client has is forgotten.
    Acknowledged,
    /// This session goes on with the socket.
    Resumed(Arc<Session>),
}

fn question(body: &[u8]) -> Result<Question, SessionError> {
    if body.len() > QUESTION_BYTES_MAX {
        return Err(SessionError::TooLarge);
    }
    // The parser would also take a list, for the fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(SessionError::NoObject);
    }
    Ok(serde_json::from_slice(body)?)
}

/// A field that is there must have a value, and `null` is none.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// Forgets what the client has.
fn acknowledge(session: &Session, received: u64, seq: Seq) -> Result<SessionAnswer, SessionError> {
    let answer = answer(session, seq, None, session.taken())?;
    match session.outbox().retained().map(|retained| retained.acknowledge(received)) {
        Some(Err(Gap::NeverSent(sent))) => return Err(SessionError::NeverSent { received, sent }),
        Some(Ok(()) | Err(Gap::Forgotten(_))) | None => {}
    }
    session.send(&answer, 1);
    Ok(SessionAnswer::Acknowledged)
}

fn fresh() -> Result<Token, SessionError> {
    let mut bytes = [0; Token::BYTES];
    getrandom::fill(&mut bytes).map_err(|_| SessionError::Unavailable("the system has no random numbers"))?;
    Ok(Token::new(bytes))
}

fn answer(session: &Session, seq: Seq, token: Option<&Token>, received: u64) -> Result<Vec<u8>, SessionError> {
    let sessions = &session.profile.sessions;
    let ttl_ms = u64::try_from(sessions.resume_timeout.as_millis()).unwrap_or(u64::MAX);
    let answer = Answer { token: token.map(|token| token.hex().to_string()), ttl_ms, received };
    let mut packet = Vec::new();
    let encoded = match (serde_json::to_vec(&answer), sessions.route()) {
        (Ok(body), Some(route)) => session.profile.message(route, seq, &body, &mut packet).is_ok(),
        _ => false,
    };
    // It is too long for the smallest `body_bytes_max` that can be set.
    encoded.then_some(packet).ok_or(SessionError::Unavailable("the answer does not fit this listener's packets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_an_object_of_at_most_256_bytes() {
        let padded = format!("{{{:254}}}", "");
        for good in ["{}", " {} ", r#"{"received":0}"#, r#"{"token":"00"}"#, r#"{"received":7,"token":"00"}"#, &padded] {
            assert!(question(good.as_bytes()).is_ok(), "{good}");
        }
        let odd = ["", " ", "[]", r#"["00"]"#, r#"["00",7]"#, "null", "{", "{}{}", r#"{"received":-1}"#, r#"{"received":1.0}"#];
        for bad in odd.into_iter().chain([r#"{"token":null}"#, r#"{"received":null}"#, r#"{"more":1}"#, r#"{"token":"0","token":"0"}"#]) {
            let error = question(bad.as_bytes()).expect_err(bad);
            assert_eq!(error.code(), ErrorCode::BAD_REQUEST, "{bad}");
            assert!(error.to_string().starts_with("bad request: "), "{error}");
        }
        assert_eq!(question(&[b' '; 257]).expect_err("too long").code(), ErrorCode::TOO_LARGE);
    }
}
