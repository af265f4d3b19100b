//! Random histories of the book: what it answers and shows is what the model says, and nobody is bound without a plugin's word.

use std::cell::RefCell;
use std::collections::BTreeMap;

use duet_core::{ConnId, Presence, Uid};
use duet_session::{
    BindError, Book, Bound, ChannelError, Counts, DuplicateLogin, IssueError, Lost, ResumeError, SessionLimits, SessionState, Token,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::model::Model;

const CASES: u32 = 8_000;
const STEPS: usize = 60;
const CONNS: u64 = 6;
const UIDS: i64 = 4;
const TOKENS: u8 = 6;
const CHANNELS: [&str; 5] = ["a", "b", "c", "", "too long"];

/// Things that must have happened often in all histories together, or they prove nothing.
const RARE: [&str; 18] = [
    "bound",
    "rebound",
    "kicked",
    "rejected",
    "replaced while away",
    "unbound",
    "issued",
    "repeated",
    "suspended",
    "no room",
    "resumed",
    "taken over",
    "void or unknown",
    "not anonymous",
    "drained",
    "ended with channels",
    "joined",
    "too many",
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(ConnId),
    Bind(ConnId, Uid, DuplicateLogin),
    Unbind(ConnId),
    Issue(ConnId, u8),
    Lose(ConnId),
    Resume(ConnId, u8, u8),
    End(ConnId),
    Drain(ConnId),
    Subscribe(ConnId, &'static str),
    Unsubscribe(ConnId, &'static str),
    UnsubscribeAll(ConnId),
}

fn steps() -> impl Strategy<Value = Step> {
    let conn = || (0..CONNS).prop_map(ConnId);
    let uid = (-1..=UIDS).prop_map(Uid);
    let policy = prop_oneof![Just(DuplicateLogin::KickOld), Just(DuplicateLogin::Reject)];
    let token = || 0..TOKENS;
    let channel = || prop::sample::select(&CHANNELS[..]);
    prop_oneof![
        12 => conn().prop_map(Step::Open),
        6 => (conn(), uid, policy).prop_map(|(conn, uid, policy)| Step::Bind(conn, uid, policy)),
        1 => conn().prop_map(Step::Unbind),
        6 => (conn(), token()).prop_map(|(conn, token)| Step::Issue(conn, token)),
        4 => conn().prop_map(Step::Lose),
        8 => (conn(), token(), token()).prop_map(|(conn, token, fresh)| Step::Resume(conn, token, fresh)),
        1 => conn().prop_map(Step::End),
        1 => conn().prop_map(Step::Drain),
        4 => (conn(), channel()).prop_map(|(conn, channel)| Step::Subscribe(conn, channel)),
        2 => (conn(), channel()).prop_map(|(conn, channel)| Step::Unsubscribe(conn, channel)),
        1 => conn().prop_map(Step::UnsubscribeAll),
    ]
}

fn limits() -> impl Strategy<Value = SessionLimits> {
    (1..3_usize, 0..3_usize).prop_map(|(channels_per_session, suspended_max)| SessionLimits {
        channels_per_session,
        channel_bytes: 4,
        suspended_max,
    })
}

/// The book and the model side by side, and what follows from the answers of the book alone.
struct History<'a> {
    book: Book,
    model: Model,
    /// Whom a plugin said a session belongs to.
    granted: BTreeMap<ConnId, Uid>,
    /// The session of each token that was given out and neither used nor made void.
    given: BTreeMap<u8, ConnId>,
    seen: &'a RefCell<BTreeMap<&'static str, usize>>,
}

fn token(number: u8) -> Token {
    Token::new([number; Token::BYTES])
}

impl History<'_> {
    /// Redirects a step to where it can do something: a blind one would rarely meet a token that is good.
    fn aim(&self, step: Step) -> Step {
        let among = |conn: ConnId, wanted: fn(Option<SessionState>) -> bool| {
            let found: Vec<_> = (0..CONNS).map(ConnId).filter(|conn| wanted(self.book.state(*conn))).collect();
            found.get(conn.0 as usize % found.len().max(1)).copied().unwrap_or(conn)
        };
        let given = |number: u8| self.given.iter().nth(usize::from(number) % self.given.len().max(1));
        match step {
            Step::Open(conn) => Step::Open(among(conn, |state| state.is_none())),
            Step::Bind(conn, uid, policy) => {
                Step::Bind(among(conn, |state| matches!(state, Some(SessionState::Anonymous | SessionState::Bound(_)))), uid, policy)
            }
            Step::Issue(conn, token) => Step::Issue(among(conn, |state| matches!(state, Some(SessionState::Bound(_)))), token),
            Step::Lose(conn) => Step::Lose(given(conn.0 as u8).map_or(conn, |(_, of)| *of)),
            Step::Resume(by, token, fresh) => Step::Resume(
                among(by, |state| state == Some(SessionState::Anonymous)),
                given(token).map_or(token, |(token, _)| *token),
                fresh,
            ),
            Step::Subscribe(conn, channel) => Step::Subscribe(among(conn, |state| state.is_some()), channel),
            other => other,
        }
    }

    fn see(&self, what: &'static str, yes: bool) {
        assert!(RARE.contains(&what));
        *self.seen.borrow_mut().entry(what).or_default() += usize::from(yes);
    }

    /// A session is no longer bound.
    fn revoke(&mut self, conn: ConnId) {
        self.granted.remove(&conn);
        self.given.retain(|_, of| *of != conn);
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Open(conn) => {
                self.book.open(conn);
                self.model.open(conn);
            }
            Step::Bind(conn, uid, policy) => {
                let was = self.book.online(uid);
                let answer = self.book.bind(conn, uid, policy);
                prop_assert_eq!(answer, self.model.bind(conn, uid, policy));
                if let Ok(Bound { replaced, changed: true, .. }) = answer {
                    replaced.into_iter().chain([conn]).for_each(|conn| self.revoke(conn));
                    self.granted.insert(conn, uid);
                }
                self.see("bound", matches!(answer, Ok(Bound { changed: true, .. })));
                self.see("rebound", matches!(answer, Ok(Bound { previous: Some(_), .. })));
                self.see("kicked", matches!(answer, Ok(Bound { replaced: Some(_), .. })) && was == Presence::Connected);
                self.see("replaced while away", matches!(answer, Ok(Bound { replaced: Some(_), .. })) && was == Presence::Suspended);
                self.see("rejected", matches!(answer, Err(BindError::AlreadyOnline(_))));
            }
            Step::Unbind(conn) => {
                let answer = self.book.unbind(conn);
                prop_assert_eq!(answer, self.model.unbind(conn));
                self.revoke(conn);
                self.see("unbound", answer.is_some());
            }
            Step::Issue(conn, number) => {
                let answer = self.book.issue(conn, &token(number));
                prop_assert_eq!(answer, self.model.issue(conn, number));
                if answer.is_ok() {
                    self.given.retain(|_, of| *of != conn);
                    prop_assert_eq!(self.given.insert(number, conn), None);
                }
                self.see("issued", answer.is_ok());
                self.see("repeated", answer == Err(IssueError::Repeated));
            }
            Step::Lose(conn) => {
                let had_token = self.given.values().any(|of| *of == conn);
                let answer = self.book.lose(conn);
                prop_assert_eq!(answer, self.model.lose(conn));
                if let Lost::Ended { .. } = answer {
                    self.revoke(conn);
                }
                self.see("suspended", matches!(answer, Lost::Suspended { .. }));
                self.see("no room", matches!(answer, Lost::Ended { .. }) && had_token);
            }
            Step::Resume(by, number, fresh) => self.resume(by, number, fresh)?,
            Step::End(conn) => {
                let answer = self.book.end(conn);
                prop_assert_eq!(answer, self.model.end(conn));
                self.revoke(conn);
                self.see("ended with channels", answer.is_some_and(|ended| ended.channels > 0));
            }
            Step::Drain(conn) => {
                let answer = self.book.drain(conn);
                prop_assert_eq!(answer, self.model.drain(conn));
                self.revoke(conn);
                self.see("drained", answer.is_some());
            }
            Step::Subscribe(conn, channel) => {
                let answer = self.book.subscribe(conn, channel);
                prop_assert_eq!(answer, self.model.subscribe(conn, channel));
                self.see("joined", answer == Ok(true));
                self.see("too many", answer == Err(ChannelError::TooMany));
            }
            Step::Unsubscribe(conn, channel) => {
                prop_assert_eq!(self.book.unsubscribe(conn, channel), self.model.unsubscribe(conn, channel));
            }
            Step::UnsubscribeAll(conn) => prop_assert_eq!(self.book.unsubscribe_all(conn), self.model.unsubscribe_all(conn)),
        }
        self.check()
    }

    fn resume(&mut self, by: ConnId, number: u8, fresh: u8) -> Result<(), TestCaseError> {
        let owner = self.given.get(&number).copied();
        let before = self.book.resumable(by, &token(number));
        self.check()?;
        let answer = self.book.resume(by, &token(number), &token(fresh));
        if !self.given.contains_key(&fresh) {
            prop_assert_eq!(before, answer, "what asking says is what happens");
        }
        prop_assert_eq!(answer, self.model.resume(by, number, fresh));
        if let Ok(resumed) = answer {
            prop_assert_eq!(self.given.remove(&number), Some(resumed.conn), "only a token that is good, and only for its session");
            prop_assert_eq!(self.granted.get(&resumed.conn), Some(&resumed.uid), "only what a bind gave");
            prop_assert_eq!(self.given.insert(fresh, resumed.conn), None);
        }
        self.see("resumed", answer.is_ok_and(|resumed| resumed.was == Presence::Suspended));
        self.see("taken over", answer.is_ok_and(|resumed| resumed.was == Presence::Connected));
        self.see("void or unknown", answer == Err(ResumeError::Refused) && owner.is_none());
        self.see("not anonymous", answer == Err(ResumeError::NotAnonymous));
        Ok(())
    }

    /// What must hold after every step.
    fn check(&self) -> Result<(), TestCaseError> {
        let Self { book, model, .. } = self;
        for conn in (0..CONNS).map(ConnId) {
            let state = book.state(conn);
            prop_assert_eq!(state, model.row(conn).map(|row| row.state));
            let uid = match state {
                Some(SessionState::Bound(uid) | SessionState::Suspended(uid)) => Some(uid),
                None | Some(SessionState::Anonymous | SessionState::Draining) => None,
            };
            prop_assert_eq!(book.uid_of(conn), uid);
            prop_assert_eq!(self.granted.get(&conn).copied(), uid, "bound is whom a plugin vouched for, nobody else");
            prop_assert!(uid.is_none_or(|uid| book.conn_of(uid) == Some(conn)), "one session for each uid");
            let mut channels: Vec<_> = book.channels_of(conn).collect();
            let mut expected = model.row(conn).map_or_else(Vec::new, |row| row.channels.clone());
            channels.sort_unstable();
            expected.sort_unstable();
            prop_assert!(channels.len() <= model.limits.channels_per_session);
            prop_assert_eq!(channels, expected);
        }
        for uid in (-1..=UIDS).map(Uid) {
            prop_assert_eq!(book.conn_of(uid), model.holder(uid));
            prop_assert_eq!(book.online(uid), model.presence(uid));
        }
        let mut alive = 0;
        for channel in CHANNELS {
            let mut members: Vec<_> = book.members(channel).collect();
            members.sort();
            prop_assert_eq!(book.member_count(channel), members.len());
            alive += usize::from(!members.is_empty());
            prop_assert_eq!(members, model.members(channel));
        }
        let counts = book.counts();
        prop_assert_eq!(counts, model.counts());
        prop_assert_eq!(counts.channels, alive, "no channel without members");
        prop_assert!(counts.suspended <= model.limits.suspended_max);
        Ok(())
    }

    /// Tries every token in the end: those that are good work once, the others never. Then all end, and nothing may be left.
    fn finish(mut self) -> Result<(), TestCaseError> {
        for number in 0..TOKENS {
            let owner = self.given.get(&number).copied();
            for (attempt, good) in [(0, owner.is_some()), (1, false)] {
                let by = ConnId(100 + attempt);
                self.book.open(by);
                let fresh = token(100 + number * 2 + attempt as u8);
                let answer = self.book.resume(by, &token(number), &fresh);
                prop_assert_eq!(answer.ok().map(|resumed| resumed.conn), owner.filter(|_| good));
            }
        }
        for conn in (0..CONNS).chain(100..102) {
            self.book.end(ConnId(conn));
        }
        prop_assert_eq!(self.book.counts(), Counts::default());
        let conn = ConnId(0);
        self.book.open(conn);
        let bound = self.book.bind(conn, Uid(1), DuplicateLogin::Reject);
        prop_assert_eq!(bound, Ok(Bound { replaced: None, changed: true, previous: None }));
        for number in 0..=u8::MAX {
            prop_assert_eq!(self.book.issue(conn, &token(number)), Ok(()), "a token was forgotten in the index");
        }
        Ok(())
    }
}

#[test]
fn whatever_happens_the_book_is_what_the_model_says() {
    let seen = RefCell::new(BTreeMap::new());
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(limits(), prop::collection::vec((any::<bool>(), steps()), STEPS)), |(limits, steps)| {
        let mut history = History {
            book: Book::new(limits),
            model: Model { limits, rows: Vec::new() },
            granted: BTreeMap::new(),
            given: BTreeMap::new(),
            seen: &seen,
        };
        for (aimed, step) in steps {
            let step = if aimed { history.aim(step) } else { step };
            history.take(step)?;
        }
        history.finish()
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    println!("{CASES} histories of {STEPS} steps: {seen:?}");
    for what in RARE {
        assert!(seen.get(what).is_some_and(|times| *times >= 100), "{what} happened too seldom: {seen:?}");
    }
}
