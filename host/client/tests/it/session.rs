//! Sessions: opened, lost, resumed, ended.

use std::time::Duration;

use duet_client::{Client, ClientError, ClientOptions, CloseReason, Incoming, Reply, Session};
use duet_testkit::scripted::resumable::{KICK, LOGIN, LOST, TAKEN_THEN_LOST};
use duet_testkit::scripted::{ECHO, Resumable, resumable, usual};

const LONG: Duration = Duration::from_secs(20);

async fn connect(server: &Resumable) -> Client {
    Client::connect(&server.endpoint, usual(), ClientOptions::default()).await.unwrap()
}

async fn with_session(server: &Resumable) -> Client {
    let client = connect(server).await;
    client.request(LOGIN, b"", LONG).await.unwrap();
    client.open_session(LONG).await.unwrap();
    client
}

async fn resume(server: &Resumable, session: &Session) -> Result<Client, ClientError> {
    Client::resume(&server.endpoint, usual(), ClientOptions::default(), session).await
}

fn push() -> Incoming {
    Incoming::Push { route: 30, body: "news".into() }
}

fn reply(route: i32, seq: i32, body: &'static str) -> Incoming {
    Incoming::Reply(Reply { route, seq, body: body.into() })
}

#[tokio::test]
async fn there_is_no_session_before_a_login() {
    let server = resumable().await;
    let client = connect(&server).await;
    assert!(matches!(client.open_session(LONG).await, Err(ClientError::Refused { code: 4, .. })));
    assert!(client.session().is_none());
    client.request(LOGIN, b"", LONG).await.unwrap();
    let session = client.open_session(LONG).await.unwrap();
    assert_eq!((session.token(), session.ttl(), session.received()), ("token-1", Duration::from_secs(30), 0));
}

#[tokio::test]
async fn missed_packets_arrive_once_each_after_a_resumption() {
    let server = resumable().await;
    let mut client = with_session(&server).await;
    client.request(ECHO, b"", LONG).await.unwrap();
    assert!(matches!(client.request(TAKEN_THEN_LOST, b"late", LONG).await, Err(ClientError::Closed(CloseReason::EndOfStream))));
    let session = client.suspend().unwrap();
    assert_eq!(session.received(), 1);
    let mut client = resume(&server, &session).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), push());
    assert_eq!(client.recv().await.unwrap(), reply(TAKEN_THEN_LOST, 4, "late"));
    let echo = client.request(ECHO, b"on we go", LONG).await.unwrap();
    assert!(echo.seq > 4, "a seq that an answer may still be on its way for is not used again");
    assert_eq!((client.session().unwrap().received(), client.session().unwrap().token()), (4, "token-2"));
    client.close().await;
}

#[tokio::test]
async fn what_the_server_did_not_get_is_sent_again() {
    let server = resumable().await;
    let mut client = with_session(&server).await;
    client.request(ECHO, b"", LONG).await.unwrap();
    client.send(ECHO, 50, b"taken").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 50, "taken"));
    client.send(LOST, 51, b"lost").await.unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(_))));
    let session = client.suspend().unwrap();
    assert_eq!(session.unsettled(), 1);
    let mut client = resume(&server, &session).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(LOST, 51, "lost"));
    assert_eq!(client.session().unwrap().unsettled(), 0);
}

#[tokio::test]
async fn what_was_received_and_not_taken_goes_to_the_next_connection() {
    let server = resumable().await;
    let mut client = with_session(&server).await;
    client.send(ECHO, 50, b"first").await.unwrap();
    client.request(ECHO, b"", LONG).await.unwrap();
    let session = client.suspend().unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(CloseReason::Local))));
    let mut client = resume(&server, &session).await.unwrap();
    client.send(ECHO, 51, b"second").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 50, "first"));
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 51, "second"));
}

#[tokio::test]
async fn a_session_survives_many_reconnections() {
    let server = resumable().await;
    let mut client = with_session(&server).await;
    for n in 0..20 {
        let body = n.to_string();
        client.request(ECHO, body.as_bytes(), LONG).await.unwrap();
        client.send(TAKEN_THEN_LOST, 100 + n, body.as_bytes()).await.unwrap();
        assert!(matches!(client.recv().await, Err(ClientError::Closed(_))));
        client.reconnect().await.unwrap();
        assert_eq!(client.recv().await.unwrap(), push());
        assert_eq!(client.recv().await.unwrap(), Incoming::Reply(Reply { route: TAKEN_THEN_LOST, seq: 100 + n, body: body.into() }));
    }
    assert_eq!(client.session().unwrap().received(), 60);
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_gone() {
    let server = resumable().await;
    let session = Session::from_token("no-such-token", 3);
    assert!(matches!(resume(&server, &session).await, Err(ClientError::SessionGone)));
    let mut client = with_session(&server).await;
    let old = client.suspend().unwrap();
    drop(resume(&server, &old).await.unwrap());
    assert!(matches!(resume(&server, &old).await, Err(ClientError::SessionGone)), "a token is good for once");
}

#[tokio::test]
async fn a_token_alone_is_enough_to_go_on() {
    let server = resumable().await;
    let client = with_session(&server).await;
    client.request(ECHO, b"seen", LONG).await.unwrap();
    client.request(ECHO, b"forgotten", LONG).await.unwrap();
    let token = client.session().unwrap().token().to_owned();
    client.close().await;
    let mut client = resume(&server, &Session::from_token(token, 1)).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 4, "forgotten"));
}

#[tokio::test]
async fn messages_that_are_lost_for_good_are_told() {
    let server = resumable().await;
    let options = ClientOptions { session_packets_max: 1, ..ClientOptions::default() };
    let mut client = Client::connect(&server.endpoint, usual(), options).await.unwrap();
    client.request(LOGIN, b"", LONG).await.unwrap();
    client.open_session(LONG).await.unwrap();
    // Both are in the log before the server can hang up.
    let (first, second) = tokio::join!(client.send(LOST, 50, b""), client.send(ECHO, 51, b""));
    first.and(second).unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(_))));
    let session = client.suspend().unwrap();
    assert!(matches!(resume(&server, &session).await, Err(ClientError::SessionGap { lost: 1 })));
}

#[tokio::test]
async fn the_last_words_of_the_server_are_the_reason() {
    let server = resumable().await;
    for (words, expected) in [
        ("12 cheater", CloseReason::Kicked("cheater".to_owned())),
        ("14 replaced", CloseReason::Replaced),
        ("10 going away; retry-after-ms=250", CloseReason::GoingAway { retry_after: Some(Duration::from_millis(250)) }),
        ("1234 maintenance", CloseReason::Refused { code: 1_234, message: "maintenance".to_owned() }),
        ("3 unknown route", CloseReason::EndOfStream),
    ] {
        let mut client = connect(&server).await;
        client.send(KICK, 1, words.as_bytes()).await.unwrap();
        assert!(matches!(client.recv().await.unwrap(), Incoming::Error { route: 0, seq: 0, .. }));
        assert!(matches!(client.recv().await, Err(ClientError::Closed(reason)) if reason == expected), "{words}");
    }
}
