//! Which losses are waited for, and what becomes of messages that were on their way.

mod burst;
mod frozen;
mod half_closed;
mod losses;

use duet_testkit::{Message, Peer, Server, Wire, guest};
use serde_json::{Value, json};

// Routes of the plugin lobby.
const LOGIN: i16 = 1;
const PUSH: i16 = 4;
const KICK: i16 = 10;
const ONLINE: i16 = 11;
const COUNTS: i16 = 12;
const EVENTS: i16 = 16;
/// Where clients ask for a token and resume.
const SESSION: i16 = -1;

const SESSION_GONE: u16 = 11;

/// A server with these settings of the gate.
fn lobby(gateway: &str) -> Server {
    let settings = format!("[gateway]\n{gateway}");
    Server::builder(env!("CARGO_BIN_EXE_duet")).settings(&settings).plugin("lobby", guest("lobby")).start()
}

fn ask(peer: &mut Peer, route: i16, body: &Value) -> Result<Value, Message> {
    peer.call(route, body.to_string().as_bytes()).map(|reply| serde_json::from_slice(&reply).unwrap())
}

/// A client that is logged in, and its connection.
fn logged_in(server: &Server, wire: Wire, uid: i64) -> (Peer, u64) {
    let mut peer = connect(server, wire);
    let told = ask(&mut peer, LOGIN, &json!({"uid": uid})).unwrap();
    (peer, told["conn"].as_u64().unwrap())
}

fn connect(server: &Server, wire: Wire) -> Peer {
    Peer::connect(if wire == Wire::TCP { server.tcp() } else { server.ws() }, wire)
}

fn token(peer: &mut Peer) -> String {
    ask(peer, SESSION, &json!({})).unwrap()["token"].as_str().unwrap().to_owned()
}

/// Tries to go on with a session. Returns the client and how many of its packets the server took.
fn resume(server: &Server, wire: Wire, token: &str, received: u64) -> Result<(Peer, u64), u16> {
    let mut peer = connect(server, wire);
    match ask(&mut peer, SESSION, &json!({"token": token, "received": received})) {
        Ok(told) => Ok((peer, told["received"].as_u64().unwrap())),
        Err(Message::Error { route: SESSION, code, .. }) => Err(code),
        Err(other) => panic!("{other:?}"),
    }
}
