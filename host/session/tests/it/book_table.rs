//! Every method of the book for a session in every state.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use duet_core::{ConnId, Uid};
use duet_session::{Book, DuplicateLogin, SessionLimits, SessionState, Token};

/// The session in question. It is in channel `a` where that is possible; its account is 10 and its token [`MINE`].
const IT: ConnId = ConnId(1);
/// A new connection.
const NEW: ConnId = ConnId(2);
/// A session that is bound to 30.
const BOUND: ConnId = ConnId(3);
/// A session of 40 that is suspended, with the token [`THEIRS`].
const AWAY: ConnId = ConnId(4);

const MINE: Token = Token::new([1; 16]);
const THEIRS: Token = Token::new([2; 16]);
const FRESH: Token = Token::new([3; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Unknown,
    Anonymous,
    Bound,
    /// Bound, with a token given out.
    Promised,
    Suspended,
    Draining,
}
use Before::{Anonymous, Bound, Draining, Promised, Suspended, Unknown};

const BEFORE: [Before; 6] = [Unknown, Anonymous, Bound, Promised, Suspended, Draining];

/// Defines what is done, and by which method. What is not in the table below does not compile.
macro_rules! actions {
    ($($action:ident = $method:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug)]
        enum Action { $($action),* }

        const ACTIONS: &[(Action, &str)] = &[$((Action::$action, $method)),*];
    };
}

actions! {
    Open = "open", State = "state", ConnOf = "conn_of", UidOf = "uid_of", Online = "online", Counts = "counts",
    BindSame = "bind", BindFree = "bind", BindZero = "bind", BindNegative = "bind",
    BindHeldKick = "bind", BindHeldReject = "bind", BindAwayKick = "bind", BindAwayReject = "bind", Unbind = "unbind",
    IssueFresh = "issue", IssueMine = "issue", IssueTheirs = "issue",
    LoseWithRoom = "lose", LoseWithoutRoom = "lose",
    AskForIt = "resumable", AskByIt = "resumable",
    ResumeIt = "resume", ResumeItWithSame = "resume", ResumeItWithTheirs = "resume",
    ResumeByIt = "resume", ResumeByItUnknown = "resume",
    Drain = "drain", End = "end",
    SubscribeAgain = "subscribe", SubscribeMore = "subscribe", SubscribeNothing = "subscribe", SubscribeLong = "subscribe",
    SubscribeTooMany = "subscribe", Unsubscribe = "unsubscribe", UnsubscribeOther = "unsubscribe", UnsubscribeAll = "unsubscribe_all",
    Members = "members", MemberCount = "member_count", ChannelsOf = "channels_of",
}

/// The answers, in the order of [`BEFORE`], and after `>` the state, where it is another then.
fn expected(action: Action) -> [&'static str; 6] {
    match action {
        Action::Open => ["() > Anonymous", "()", "()", "()", "()", "()"],
        Action::State => {
            ["None", "Some(Anonymous)", "Some(Bound(Uid(10)))", "Some(Bound(Uid(10)))", "Some(Suspended(Uid(10)))", "Some(Draining)"]
        }
        Action::ConnOf => ["None", "None", "Some(ConnId(1))", "Some(ConnId(1))", "Some(ConnId(1))", "None"],
        Action::UidOf => ["None", "None", "Some(Uid(10))", "Some(Uid(10))", "Some(Uid(10))", "None"],
        Action::Online => ["Offline", "Offline", "Connected", "Connected", "Suspended", "Offline"],
        Action::Counts => ["(2, 1, 1, 0)", "(3, 1, 1, 1)", "(3, 2, 1, 1)", "(3, 2, 1, 1)", "(2, 1, 2, 1)", "(3, 1, 1, 0)"],
        Action::BindSame => [
            "Err(Gone)",
            "Ok(Bound { replaced: None, changed: true, previous: None }) > Bound(Uid(10))",
            "Ok(Bound { replaced: None, changed: false, previous: None })",
            "Ok(Bound { replaced: None, changed: false, previous: None })",
            "Err(Gone)",
            "Err(Draining)",
        ],
        Action::BindFree => [
            "Err(Gone)",
            "Ok(Bound { replaced: None, changed: true, previous: None }) > Bound(Uid(20))",
            "Ok(Bound { replaced: None, changed: true, previous: Some(Uid(10)) }) > Bound(Uid(20))",
            "Ok(Bound { replaced: None, changed: true, previous: Some(Uid(10)) }) > Bound(Uid(20))",
            "Err(Gone)",
            "Err(Draining)",
        ],
        Action::BindZero | Action::BindNegative => ["Err(BadUid)"; 6],
        Action::BindHeldKick => [
            "Err(Gone)",
            "Ok(Bound { replaced: Some(ConnId(3)), changed: true, previous: None }) > Bound(Uid(30))",
            "Ok(Bound { replaced: Some(ConnId(3)), changed: true, previous: Some(Uid(10)) }) > Bound(Uid(30))",
            "Ok(Bound { replaced: Some(ConnId(3)), changed: true, previous: Some(Uid(10)) }) > Bound(Uid(30))",
            "Err(Gone)",
            "Err(Draining)",
        ],
        Action::BindHeldReject => [
            "Err(Gone)",
            "Err(AlreadyOnline(ConnId(3)))",
            "Err(AlreadyOnline(ConnId(3)))",
            "Err(AlreadyOnline(ConnId(3)))",
            "Err(Gone)",
            "Err(Draining)",
        ],
        Action::BindAwayKick | Action::BindAwayReject => [
            "Err(Gone)",
            "Ok(Bound { replaced: Some(ConnId(4)), changed: true, previous: None }) > Bound(Uid(40))",
            "Ok(Bound { replaced: Some(ConnId(4)), changed: true, previous: Some(Uid(10)) }) > Bound(Uid(40))",
            "Ok(Bound { replaced: Some(ConnId(4)), changed: true, previous: Some(Uid(10)) }) > Bound(Uid(40))",
            "Err(Gone)",
            "Err(Draining)",
        ],
        Action::Unbind => ["None", "None", "Some(Uid(10)) > Anonymous", "Some(Uid(10)) > Anonymous", "Some(Uid(10)) > none", "None"],
        Action::IssueFresh => ["Err(Gone)", "Err(NotBound)", "Ok(())", "Ok(())", "Err(Gone)", "Err(NotBound)"],
        Action::IssueMine => ["Err(Gone)", "Err(NotBound)", "Ok(())", "Err(Repeated)", "Err(Gone)", "Err(NotBound)"],
        Action::IssueTheirs => ["Err(Gone)", "Err(NotBound)", "Err(Repeated)", "Err(Repeated)", "Err(Gone)", "Err(NotBound)"],
        Action::LoseWithRoom => [
            "Ended { uid: None }",
            "Ended { uid: None } > none",
            "Ended { uid: Some(Uid(10)) } > none",
            "Suspended { uid: Uid(10) } > Suspended(Uid(10))",
            "Suspended { uid: Uid(10) }",
            "Ended { uid: None } > none",
        ],
        Action::LoseWithoutRoom => [
            "Ended { uid: None }",
            "Ended { uid: None } > none",
            "Ended { uid: Some(Uid(10)) } > none",
            "Ended { uid: Some(Uid(10)) } > none",
            "Suspended { uid: Uid(10) }",
            "Ended { uid: None } > none",
        ],
        Action::AskForIt => [
            "Err(Refused)",
            "Err(Refused)",
            "Err(Refused)",
            "Ok(Resumed { conn: ConnId(1), uid: Uid(10), was: Connected })",
            "Ok(Resumed { conn: ConnId(1), uid: Uid(10), was: Suspended })",
            "Err(Refused)",
        ],
        Action::AskByIt => [
            "Err(NotAnonymous)",
            "Ok(Resumed { conn: ConnId(4), uid: Uid(40), was: Suspended })",
            "Err(NotAnonymous)",
            "Err(NotAnonymous)",
            "Err(NotAnonymous)",
            "Err(NotAnonymous)",
        ],
        Action::ResumeIt => [
            "Err(Refused)",
            "Err(Refused)",
            "Err(Refused)",
            "Ok(Resumed { conn: ConnId(1), uid: Uid(10), was: Connected })",
            "Ok(Resumed { conn: ConnId(1), uid: Uid(10), was: Suspended }) > Bound(Uid(10))",
            "Err(Refused)",
        ],
        Action::ResumeItWithSame | Action::ResumeItWithTheirs => ["Err(Refused)"; 6],
        Action::ResumeByIt => [
            "Err(NotAnonymous)",
            "Ok(Resumed { conn: ConnId(4), uid: Uid(40), was: Suspended }) > none",
            "Err(NotAnonymous)",
            "Err(NotAnonymous)",
            "Err(NotAnonymous)",
            "Err(NotAnonymous)",
        ],
        Action::ResumeByItUnknown => {
            ["Err(NotAnonymous)", "Err(Refused)", "Err(NotAnonymous)", "Err(NotAnonymous)", "Err(NotAnonymous)", "Err(NotAnonymous)"]
        }
        Action::Drain => {
            ["None", "None > Draining", "Some(Uid(10)) > Draining", "Some(Uid(10)) > Draining", "Some(Uid(10)) > none", "None"]
        }
        Action::End => [
            "None",
            "Some(Ended { uid: None, channels: 1 }) > none",
            "Some(Ended { uid: Some(Uid(10)), channels: 1 }) > none",
            "Some(Ended { uid: Some(Uid(10)), channels: 1 }) > none",
            "Some(Ended { uid: Some(Uid(10)), channels: 1 }) > none",
            "Some(Ended { uid: None, channels: 0 }) > none",
        ],
        Action::SubscribeAgain => ["Err(Gone)", "Ok(false)", "Ok(false)", "Ok(false)", "Ok(false)", "Err(Gone)"],
        Action::SubscribeMore => ["Err(Gone)", "Ok(true)", "Ok(true)", "Ok(true)", "Ok(true)", "Err(Gone)"],
        Action::SubscribeNothing | Action::SubscribeLong => ["Err(Gone)", "Err(Name)", "Err(Name)", "Err(Name)", "Err(Name)", "Err(Gone)"],
        Action::SubscribeTooMany => ["Err(Gone)", "Err(TooMany)", "Err(TooMany)", "Err(TooMany)", "Err(TooMany)", "Err(Gone)"],
        Action::Unsubscribe => ["false", "true", "true", "true", "true", "false"],
        Action::UnsubscribeOther => ["false"; 6],
        Action::UnsubscribeAll => ["0", "1", "1", "1", "1", "0"],
        Action::Members => ["[]", "[ConnId(1)]", "[ConnId(1)]", "[ConnId(1)]", "[ConnId(1)]", "[]"],
        Action::MemberCount => ["0", "1", "1", "1", "1", "0"],
        Action::ChannelsOf => ["[]", "[\"a\"]", "[\"a\"]", "[\"a\"]", "[\"a\"]", "[]"],
    }
}

fn book(before: Before) -> Book {
    let mut book = Book::new(SessionLimits { channels_per_session: 2, channel_bytes: 4, suspended_max: 2 });
    for (conn, uid) in [(BOUND, 30), (AWAY, 40)] {
        book.open(conn);
        book.bind(conn, Uid(uid), DuplicateLogin::Reject).unwrap();
    }
    book.issue(AWAY, &THEIRS).unwrap();
    book.lose(AWAY);
    book.open(NEW);
    if before != Unknown {
        book.open(IT);
        book.subscribe(IT, "a").unwrap();
    }
    if matches!(before, Bound | Promised | Suspended | Draining) {
        book.bind(IT, Uid(10), DuplicateLogin::Reject).unwrap();
    }
    if matches!(before, Promised | Suspended | Draining) {
        book.issue(IT, &MINE).unwrap();
    }
    match before {
        Suspended => drop(book.lose(IT)),
        Draining => drop(book.drain(IT)),
        Unknown | Anonymous | Bound | Promised => {}
    }
    book
}

/// The columns of a session in this state. A new state does not compile before it has one.
fn columns(state: Option<SessionState>) -> &'static [Before] {
    match state {
        None => &[Unknown],
        Some(SessionState::Anonymous) => &[Anonymous],
        Some(SessionState::Bound(_)) => &[Bound, Promised],
        Some(SessionState::Suspended(_)) => &[Suspended],
        Some(SessionState::Draining) => &[Draining],
    }
}

fn act(book: &mut Book, action: Action) -> String {
    fn said(answer: impl Debug) -> String {
        format!("{answer:?}")
    }
    let (kick, reject) = (DuplicateLogin::KickOld, DuplicateLogin::Reject);
    match action {
        Action::Open => {
            book.open(IT);
            said(())
        }
        Action::State => said(book.state(IT)),
        Action::ConnOf => said(book.conn_of(Uid(10))),
        Action::UidOf => said(book.uid_of(IT)),
        Action::Online => said(book.online(Uid(10))),
        Action::Counts => {
            let counts = book.counts();
            said((counts.connected, counts.bound, counts.suspended, counts.channels))
        }
        Action::BindSame => said(book.bind(IT, Uid(10), reject)),
        Action::BindFree => said(book.bind(IT, Uid(20), reject)),
        Action::BindZero => said(book.bind(IT, Uid(0), kick)),
        Action::BindNegative => said(book.bind(IT, Uid(-10), kick)),
        Action::BindHeldKick => said(book.bind(IT, Uid(30), kick)),
        Action::BindHeldReject => said(book.bind(IT, Uid(30), reject)),
        Action::BindAwayKick => said(book.bind(IT, Uid(40), kick)),
        Action::BindAwayReject => said(book.bind(IT, Uid(40), reject)),
        Action::Unbind => said(book.unbind(IT)),
        Action::IssueFresh => said(book.issue(IT, &FRESH)),
        Action::IssueMine => said(book.issue(IT, &MINE)),
        Action::IssueTheirs => said(book.issue(IT, &THEIRS)),
        Action::LoseWithRoom => {
            book.end(AWAY);
            said(book.lose(IT))
        }
        Action::LoseWithoutRoom => {
            book.bind(NEW, Uid(20), reject).unwrap();
            book.issue(NEW, &FRESH).unwrap();
            book.lose(NEW);
            said(book.lose(IT))
        }
        Action::AskForIt => said(book.resumable(NEW, &MINE)),
        Action::AskByIt => said(book.resumable(IT, &THEIRS)),
        Action::ResumeIt => said(book.resume(NEW, &MINE, &FRESH)),
        Action::ResumeItWithSame => said(book.resume(NEW, &MINE, &MINE)),
        Action::ResumeItWithTheirs => said(book.resume(NEW, &MINE, &THEIRS)),
        Action::ResumeByIt => said(book.resume(IT, &THEIRS, &FRESH)),
        Action::ResumeByItUnknown => said(book.resume(IT, &FRESH, &MINE)),
        Action::Drain => said(book.drain(IT)),
        Action::End => said(book.end(IT)),
        Action::SubscribeAgain => said(book.subscribe(IT, "a")),
        Action::SubscribeMore => said(book.subscribe(IT, "four")),
        Action::SubscribeNothing => said(book.subscribe(IT, "")),
        Action::SubscribeLong => said(book.subscribe(IT, "ééé")),
        Action::SubscribeTooMany => {
            let _full = book.subscribe(IT, "b");
            said(book.subscribe(IT, "c"))
        }
        Action::Unsubscribe => said(book.unsubscribe(IT, "a")),
        Action::UnsubscribeOther => said(book.unsubscribe(IT, "b")),
        Action::UnsubscribeAll => said(book.unsubscribe_all(IT)),
        Action::Members => said(book.members("a").collect::<Vec<_>>()),
        Action::MemberCount => said(book.member_count("a")),
        Action::ChannelsOf => said(book.channels_of(IT).collect::<Vec<_>>()),
    }
}

#[test]
fn every_method_in_every_state_answers_what_the_table_says() {
    for (action, _) in ACTIONS {
        for (before, expected) in BEFORE.into_iter().zip(expected(*action)) {
            let mut book = book(before);
            let from = book.state(IT);
            assert!(columns(from).contains(&before), "{from:?} is not {before:?}");
            let mut found = act(&mut book, *action);
            let to = book.state(IT);
            if to != from {
                let shown = to.map_or("none".to_owned(), |state| format!("{state:?}"));
                found = format!("{found} > {shown}");
            }
            assert_eq!(found, expected, "{action:?} of a session that is {before:?}");
        }
    }
}

#[test]
fn the_table_has_every_method_of_the_book() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let parts = fs::read_dir(src.join("book")).unwrap().map(|entry| entry.unwrap().path());
    let mut methods = BTreeSet::new();
    for file in parts.chain([src.join("book.rs")]) {
        let text = fs::read_to_string(file).unwrap();
        for block in text.split("\nimpl Book {").skip(1) {
            let lines = block.lines().take_while(|line| *line != "}");
            let heads = lines.filter_map(|line| line.strip_prefix("    pub fn "));
            methods.extend(heads.filter_map(|head| head.split(['(', '<']).next().map(str::to_owned)));
        }
    }
    assert!(methods.remove("new"), "no methods where this test looks");
    let listed: BTreeSet<String> = ACTIONS.iter().map(|(_, method)| (*method).to_owned()).collect();
    assert_eq!(methods, listed);
}

#[test]
fn who_was_replaced_while_connected_drains_and_who_was_away_is_gone() {
    let mut book = book(Anonymous);
    book.subscribe(BOUND, "a").unwrap();
    book.subscribe(AWAY, "a").unwrap();
    book.bind(IT, Uid(30), DuplicateLogin::KickOld).unwrap();
    assert_eq!((book.state(BOUND), book.conn_of(Uid(30))), (Some(SessionState::Draining), Some(IT)));
    book.bind(IT, Uid(40), DuplicateLogin::Reject).unwrap();
    assert_eq!((book.state(AWAY), book.conn_of(Uid(40)), book.conn_of(Uid(30))), (None, Some(IT), None));
    assert_eq!(book.members("a").collect::<Vec<_>>(), [IT]);
    let refused = book.resume(NEW, &THEIRS, &FRESH);
    assert!(refused.is_err(), "the token of a session that was replaced is void: {refused:?}");
}

#[test]
fn a_resumed_session_has_its_channels_and_the_one_that_asked_leaves_its_own() {
    let mut book = book(Suspended);
    book.subscribe(NEW, "b").unwrap();
    book.resume(NEW, &MINE, &FRESH).unwrap();
    assert_eq!(book.channels_of(IT).collect::<Vec<_>>(), ["a"]);
    assert_eq!((book.state(NEW), book.member_count("b")), (None, 0));
}
