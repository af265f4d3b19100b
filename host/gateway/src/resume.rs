//! What clients ask on the session route: a token, to go on with the session of a lost connection, or to forget what they have received.

use std::sync::Arc;

use duet_core::{ErrorCode, RequestKind, Seq};
use duet_session::{IssueError, ResumeError, Token};
use serde::{Deserialize, Deserializer, Serialize};

use crate::outbox::Cause;
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
    /// Answers a packet on the session route, which the task `owner` has read. Returns the session that goes on with this socket, if one
    /// does.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn session_request(
        &self,
        asking: &Arc<Session>,
        owner: u64,
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
            Question { token: None, received: Some(received) } if asking.retains() => acknowledge(asking, owner, received, seq),
            Question { token: None, .. } => self.issue(asking, owner, seq),
        }
    }

    fn issue(&self, session: &Session, owner: u64, seq: Seq) -> Result<SessionAnswer, SessionError> {
        let token = fresh()?;
        let answer = answer(session, seq, Some(&token), 0)?;
        let sessions = &session.profile.sessions;
        let retained = Retained::new(sessions.resume_packets, sessions.resume_bytes, self.stats.kept.clone());
        {
            // The token and what is kept for it come and go together, both locks held.
            let mut book = self.book();
            still_owned(session, owner)?;
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
            // It has tried to write: if the socket is full, the task has to wait for it.
            by.task.wake();
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
fn acknowledge(session: &Session, owner: u64, received: u64, seq: Seq) -> Result<SessionAnswer, SessionError> {
    let answer = answer(session, seq, None, session.taken())?;
    let taken = {
        let mut outbox = session.outbox();
        still_owned(session, owner)?;
        match outbox.retained().map(|retained| retained.acknowledge(received)) {
            Some(Err(Gap::NeverSent(sent))) => return Err(SessionError::NeverSent { received, sent }),
            Some(Ok(()) | Err(Gap::Forgotten(_))) | None => {}
        }
        outbox.send(&answer, 1, Cause::Asked, session.limits())
    };
    session.look_after(taken);
    Ok(SessionAnswer::Acknowledged)
}

/// Refuses a question that came on a connection from which the session was resumed meanwhile: its answer would go to the new one. Called
/// with the book or the outbox locked.
fn still_owned(session: &Session, owner: u64) -> Result<(), IssueError> {
    if session.is_owned_by(owner) { Ok(()) } else { Err(IssueError::Gone) }
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
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use bytes::Bytes;
    use duet_codec::{ByteOrder, Format};
    use duet_core::{Directory, Route, Uid};
    use duet_session::{DuplicateLogin, Timeouts};
    use duet_transport::Stream;

    use super::*;
    use crate::outbox::{Sending, Taken};
    use crate::profile::Profile;
    use crate::{GatewayOptions, ListenerOptions, Overflow, Protocol};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Sessions of a gate without tasks.
    struct Gate {
        sessions: Sessions,
        profile: Arc<Profile>,
    }

    impl Gate {
        fn new() -> Self {
            let format = Format::new(duet_codec::Profile::Due2, ByteOrder::Big, 2, 2, 65_536).expect("format");
            let address = "127.0.0.1:0".parse().expect("address");
            let listener = ListenerOptions::new(Protocol::Tcp, address, format, Timeouts::default());
            let options = GatewayOptions::default();
            Self { profile: Arc::new(Profile::new(&listener, &options)), sessions: Sessions::new(options) }
        }

        /// A session with the socket of its client, whose own task is its owner.
        fn session(&self) -> (Arc<Session>, TcpStream) {
            let listener = TcpListener::bind("127.0.0.1:0").expect("port");
            let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
            let (server, address) = listener.accept().expect("accept");
            server.set_nonblocking(true).expect("nonblocking");
            let stream = Stream::from(tokio::net::TcpStream::from_std(server).expect("inside a runtime"));
            let session = Arc::new(Session::new(self.sessions.next_id(), Arc::clone(&self.profile), address, stream.writer));
            self.sessions.insert(&session);
            (session, client)
        }

        /// One that is bound, and a question for it.
        fn resumable(&self) -> (Arc<Session>, TcpStream, String) {
            let ((session, client), token) = (self.session(), Token::new([7; Token::BYTES]));
            let mut book = self.sessions.book();
            book.bind(session.id, Uid(9), DuplicateLogin::Reject).expect("bound");
            book.issue(session.id, &token).expect("issued");
            session.set_retains(true);
            session.outbox().retain(b"token".to_vec(), Retained::new(10, 1000, self.sessions.stats.kept.clone()));
            (session, client, format!(r#"{{"token":"{}"}}"#, token.hex()))
        }
    }

    #[tokio::test]
    async fn what_a_refused_resume_could_not_write_is_not_forgotten() {
        let gate = Gate::new();
        let (_session, _lost, question) = gate.resumable();
        let (by, _client) = gate.session();
        let woken = Arc::<Woken>::default();
        by.task.register(&Waker::from(Arc::clone(&woken)));
        // More than the sockets take, from somebody who flushes later and then sees that the task waits for the socket already.
        let packet = Bytes::from(vec![0; 32 << 20]);
        assert_eq!(by.add(&packet, Route(9), Overflow::Close, Cause::Asked), Taken::Added);
        let refused = gate.sessions.session_request(&by, by.id.0, Seq(1), question.as_bytes(), true);
        assert!(matches!(refused, Err(SessionError::Unread)), "{refused:?}");
        assert!(by.outbox().is_blocked());
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "its task has to wait for the socket now");
    }

    #[tokio::test]
    async fn the_task_of_a_connection_does_nothing_for_a_session_that_was_resumed_elsewhere() {
        let gate = Gate::new();
        let (session, _lost, question) = gate.resumable();
        let (by, _client) = gate.session();
        let (old, new) = (session.id.0, by.id.0);
        let ask = |session, owner, body: &str| gate.sessions.session_request(session, owner, Seq(1), body.as_bytes(), true);
        assert!(matches!(ask(&by, new, &question), Ok(SessionAnswer::Resumed(_))));
        for body in ["{}", r#"{"received":0}"#] {
            let refused = ask(&session, old, body);
            assert!(matches!(refused, Err(SessionError::Issue(IssueError::Gone))), "{body}: {refused:?}");
        }
        assert!(!session.close_as(old, CloseReason::Silence, ""));
        gate.sessions.part(&session, old);
        assert_eq!(session.outbox().state(), Sending::Open);
        assert_eq!(gate.sessions.uid_of(session.id), Some(Uid(9)));
        // The task that has it now may.
        assert!(matches!(ask(&session, new, r#"{"received":0}"#), Ok(SessionAnswer::Acknowledged)));
        assert!(matches!(ask(&session, new, "{}"), Ok(SessionAnswer::Issued)));
        gate.sessions.part(&session, new);
        assert_eq!(gate.sessions.uid_of(session.id), None);
        assert!(session.close_as(new, CloseReason::Goodbye, ""));
    }

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
