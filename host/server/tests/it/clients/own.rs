//! The session script, played by our own client.

use std::time::Duration;

use duet_client::{Client, ClientError, ClientOptions, CloseReason, Endpoint, Incoming, Session};
use duet_codec::{ByteOrder, Format, Profile};
use serde_json::{Value, json};

use super::session::lobby;

// Routes of the plugin lobby, and of its messages.
const LOGIN: i32 = 1;
const WHOAMI: i32 = 3;
const PUSH: i32 = 4;
const MULTICAST: i32 = 5;
const BROADCAST: i32 = 6;
const JOIN: i32 = 7;
const LEAVE: i32 = 8;
const PUBLISH: i32 = 9;
const KICK: i32 = 10;
const ONLINE: i32 = 11;
const COUNTS: i32 = 12;
const MEMBERS: i32 = 13;
const SECRET: i32 = 14;
const EVENTS: i32 = 16;
const PUSHED: i32 = 100;
const TO_MANY: i32 = 101;
const TO_ALL: i32 = 102;
const PUBLISHED: i32 = 103;

const NOT_AUTHORIZED: u16 = 4;
const OWN_CODE: u16 = 4001;
const ANN: i64 = 7;
const BOB: i64 = 8;
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the clients of a run connect.
struct Place {
    endpoint: Endpoint,
    format: Format,
    options: ClientOptions,
}

impl Place {
    fn new(url: &str) -> Self {
        let options = ClientOptions {
            dial_timeout: PATIENCE,
            heartbeat_interval: Some(Duration::from_millis(500)),
            // Over kcp the only sign of an end.
            silence_timeout: Some(Duration::from_secs(3)),
            ..ClientOptions::default()
        };
        let format = Format::new(Profile::Due2, ByteOrder::Big, 2, 2, 64 << 10).unwrap();
        Self { endpoint: url.parse().unwrap(), format, options }
    }

    async fn dial(&self) -> Peer {
        Peer(Client::connect(&self.endpoint, self.format, self.options.clone()).await.unwrap())
    }

    async fn resume(&self, session: &Session) -> Result<Peer, ClientError> {
        Client::resume(&self.endpoint, self.format, self.options.clone(), session).await.map(Peer)
    }

    async fn is_gone(&self, token: &str) {
        let late = self.resume(&Session::from_token(token, 0)).await.map(|_| "resumed");
        assert!(matches!(late, Err(ClientError::SessionGone)), "{late:?}");
    }
}

/// One client of the script.
struct Peer(Client);

impl Peer {
    async fn try_ask(&self, route: i32, body: Value) -> Result<Value, ClientError> {
        let reply = self.0.request(route, body.to_string().as_bytes(), PATIENCE).await?;
        Ok(serde_json::from_slice(&reply.body).unwrap())
    }

    async fn ask(&self, route: i32, body: Value) -> Value {
        self.try_ask(route, body).await.unwrap()
    }

    async fn does(&self, route: i32, body: Value) {
        assert_eq!(self.ask(route, body).await, json!({}));
    }

    async fn awaits(&self, route: i32, body: Value, want: Value) {
        let changed = async {
            while self.ask(route, body.clone()).await != want {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, changed).await.unwrap_or_else(|_| panic!("{want} did not come to be"));
    }

    async fn refused(&self, route: i32, code: u16) {
        let answer = self.try_ask(route, json!({})).await;
        assert!(matches!(answer, Err(ClientError::Refused { code: c, .. }) if c == code), "{answer:?}");
    }

    async fn conn(&self) -> u64 {
        self.ask(WHOAMI, json!({})).await["conn"].as_u64().unwrap()
    }

    /// Demands these pushes since the last time, and no others. A round trip makes sure that there are no more.
    async fn heard(&mut self, want: &[(i32, &str)]) {
        self.conn().await;
        let mut heard = Vec::new();
        while let Ok(incoming) = tokio::time::timeout(Duration::ZERO, self.0.recv()).await {
            match incoming.unwrap() {
                Incoming::Heartbeat { .. } => {}
                Incoming::Push { route, body } => {
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    heard.push((route, body["text"].as_str().unwrap().to_owned()));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(heard.iter().map(|(route, text)| (*route, text.as_str())).collect::<Vec<_>>(), want);
    }

    async fn ends(&mut self, code: u16, text: &str) -> CloseReason {
        let mut farewell = None;
        let end = async {
            loop {
                match self.0.recv().await {
                    Ok(Incoming::Heartbeat { .. }) => {}
                    Ok(incoming) => assert_eq!(farewell.replace(incoming), None),
                    Err(ClientError::Closed(reason)) => return reason,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let reason = tokio::time::timeout(PATIENCE, end).await.expect("the connection ends");
        assert_eq!(farewell, Some(Incoming::Error { route: 0, seq: 0, code, message: text.to_owned() }));
        reason
    }
}

/// What the plugin saw of a connection.
async fn life(bob: &Peer, conn: u64) -> String {
    let events = bob.ask(EVENTS, json!({})).await;
    let of_conn = events.as_array().unwrap().iter().filter(|event| event["conn"] == conn);
    let told = of_conn.map(|event| match (event["kind"].as_str().unwrap(), event["detail"].as_str().unwrap()) {
        (kind @ ("suspend" | "disconnect"), detail) => format!("{kind}:{detail}"),
        (kind, _) => kind.to_owned(),
    });
    told.collect::<Vec<_>>().join(" ")
}

async fn play(url: &str) {
    let place = Place::new(url);
    let (mut ann, mut bob) = (place.dial().await, place.dial().await);
    let stranger = ann.ask(WHOAMI, json!({})).await;
    let first = stranger["conn"].as_u64().unwrap();
    assert_eq!(stranger["uid"], 0);
    ann.refused(SECRET, NOT_AUTHORIZED).await;
    let early = ann.0.open_session(PATIENCE).await;
    assert!(matches!(early, Err(ClientError::Refused { code: NOT_AUTHORIZED, .. })), "{early:?}");

    assert_eq!(ann.ask(LOGIN, json!({"uid": ANN})).await, json!({"uid": ANN, "conn": first}));
    assert_eq!(ann.ask(SECRET, json!({})).await, json!({"uid": ANN}));
    let other = bob.ask(LOGIN, json!({"uid": BOB})).await["conn"].clone();

    bob.does(PUSH, json!({"uid": ANN, "text": "by uid"})).await;
    bob.does(PUSH, json!({"conn": first, "text": "by conn"})).await;
    ann.heard(&[(PUSHED, "by uid"), (PUSHED, "by conn")]).await;
    bob.heard(&[]).await;

    ann.does(JOIN, json!({"channel": "room"})).await;
    bob.does(PUBLISH, json!({"channel": "room", "text": "one"})).await;
    ann.heard(&[(PUBLISHED, "one")]).await;
    ann.does(LEAVE, json!({"channel": "room"})).await;
    bob.does(PUBLISH, json!({"channel": "room", "text": "two"})).await;
    ann.heard(&[]).await;
    bob.heard(&[]).await;
    ann.does(JOIN, json!({"channel": "room"})).await;

    bob.does(MULTICAST, json!({"conns": [first, other], "text": "conns"})).await;
    bob.does(MULTICAST, json!({"uids": [ANN, BOB], "text": "uids"})).await;
    bob.does(BROADCAST, json!({"text": "all"})).await;
    for peer in [&mut ann, &mut bob] {
        peer.heard(&[(TO_MANY, "conns"), (TO_MANY, "uids"), (TO_ALL, "all")]).await;
    }

    assert_eq!(bob.ask(ONLINE, json!({"uid": ANN})).await, json!({"online": 1, "conn": first}));
    assert_eq!(bob.ask(ONLINE, json!({"uid": 99})).await, json!({"online": 0, "conn": 0}));
    assert_eq!(bob.ask(COUNTS, json!({})).await, json!({"connections": 2, "bound": 2, "suspended": 0}));
    let members = json!({"count": 1, "members": [first]});
    assert_eq!(bob.ask(MEMBERS, json!({"channel": "room"})).await, members);

    let asked = ann.0.open_session(PATIENCE).await.unwrap();
    assert_eq!((asked.token().len(), asked.ttl(), asked.received()), (32, Duration::from_secs(30), 0));
    bob.does(PUSH, json!({"uid": ANN, "text": "before"})).await;
    ann.heard(&[(PUSHED, "before")]).await;

    // What happens meanwhile happens before the server knows of the loss, and after.
    let lost = ann.0.suspend().unwrap();
    assert_eq!(lost.received(), 2);
    for text in ["1", "2", "3"] {
        bob.does(PUSH, json!({"uid": ANN, "text": text})).await;
    }
    bob.awaits(ONLINE, json!({"uid": ANN}), json!({"online": 2, "conn": first})).await;
    assert_eq!(bob.ask(COUNTS, json!({})).await, json!({"connections": 1, "bound": 1, "suspended": 1}));
    bob.does(PUSH, json!({"uid": ANN, "text": "4"})).await;
    bob.does(PUBLISH, json!({"channel": "room", "text": "5"})).await;

    ann = place.resume(&lost).await.unwrap();
    ann.heard(&[(PUSHED, "1"), (PUSHED, "2"), (PUSHED, "3"), (PUSHED, "4"), (PUBLISHED, "5")]).await;
    assert_eq!(ann.conn().await, first);
    assert_eq!(ann.ask(SECRET, json!({})).await, json!({"uid": ANN}));
    assert_eq!(bob.ask(MEMBERS, json!({"channel": "room"})).await, members);
    bob.does(PUBLISH, json!({"channel": "room", "text": "back"})).await;
    ann.heard(&[(PUBLISHED, "back")]).await;
    place.is_gone(lost.token()).await;

    // Back before the server may know.
    let lost = ann.0.suspend().unwrap();
    bob.does(PUSH, json!({"uid": ANN, "text": "again"})).await;
    ann = place.resume(&lost).await.unwrap();
    ann.heard(&[(PUSHED, "again")]).await;
    assert_eq!(ann.conn().await, first);

    let token = ann.0.session().unwrap().token().to_owned();
    let mut next = place.dial().await;
    let second = next.ask(LOGIN, json!({"uid": ANN})).await["conn"].as_u64().unwrap();
    assert_eq!(ann.ends(14, "replaced").await, CloseReason::Replaced);
    place.is_gone(&token).await;
    assert_eq!(next.conn().await, second);

    bob.does(KICK, json!({"uid": ANN, "code": OWN_CODE, "reason": "no more"})).await;
    let kicked = next.ends(OWN_CODE, "no more").await;
    assert_eq!(kicked, CloseReason::Refused { code: OWN_CODE, message: "no more".to_owned() });
    bob.awaits(COUNTS, json!({}), json!({"connections": 1, "bound": 1, "suspended": 0})).await;

    let mut lives = [String::new(), String::new()];
    while !lives.iter().all(|life| life.contains("disconnect")) {
        lives = [life(&bob, first).await, life(&bob, second).await];
    }
    println!("{url}: {lives:?}");
    let mut of_first = lives[0].clone();
    for cause in [":client_left", ":lost", ":silence"] {
        of_first = of_first.replace(cause, "");
    }
    // The second loss may have gone unnoticed.
    let noticed = of_first.replace("resume resume", "resume suspend resume");
    assert_eq!(noticed, "connect bind suspend resume suspend resume disconnect:replaced");
    assert_eq!(lives[1], "connect bind disconnect:kicked");
    bob.0.close().await;
}

#[tokio::test]
async fn our_client_plays_a_session_over_tcp() {
    let server = lobby("tcp");
    play(server.url(0)).await;
}

#[tokio::test]
async fn our_client_plays_a_session_over_ws() {
    let server = lobby("ws");
    play(server.url(0)).await;
}

#[tokio::test]
async fn our_client_plays_a_session_over_kcp() {
    let server = lobby("kcp");
    play(server.url(0)).await;
}
