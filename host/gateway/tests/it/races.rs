//! What is done to a client that asks for sessions it does not have, over and over.

use std::io::Write;
use std::net::TcpStream;
use std::thread::JoinHandle;

use duet_codec::Carrier;
use duet_core::{Action, ConnId, Directory, ErrorCode, Presence, Route, Target, Uid};
use duet_gateway::Refusal;

use crate::sessions::{SESSION, logged_in, push};
use crate::{Gate, format, generous, try_receive, wait_until};

/// A client that pipelines resumes until its connection ends. Returns the numbers that were pushed to it.
fn pipelines(client: TcpStream) -> JoinHandle<Vec<u32>> {
    let mut writer = client.try_clone().expect("clone");
    let body = format!(r#"{{"token":"{}","received":0}}"#, "0".repeat(32));
    let mut packet = Vec::new();
    format().encode(Carrier::Stream, SESSION, 6, body.as_bytes(), &mut packet).expect("encode");
    let many = packet.repeat(50);
    std::thread::spawn(move || while writer.write_all(&many).is_ok() {});
    let mut reader = client;
    std::thread::spawn(move || {
        let mut pushed = Vec::new();
        while let Ok((_, route, _, body)) = try_receive(&mut reader) {
            if route == 9 {
                pushed.push(u32::from_le_bytes(body[..4].try_into().expect("number")));
            }
        }
        pushed
    })
}

/// Clients with a login that pipeline, once they do.
fn pipelining(gate: &Gate, uids: std::ops::Range<i64>) -> Vec<(i64, ConnId, JoinHandle<Vec<u32>>)> {
    let refused = |least| wait_until("the questions", || gate.echo.sessions.stats().refused(Refusal::Resume) >= least);
    let start = |uid| {
        let (client, conn, _) = logged_in(gate, uid);
        let clients = (uid, conn, pipelines(client));
        refused(gate.echo.sessions.stats().refused(Refusal::Resume) + 50);
        clients
    };
    uids.map(start).collect()
}

#[test]
fn no_kick_misses_a_client_that_pipelines_bogus_resumes() {
    let gate = Gate::open();
    for round in 0..10 {
        let first = round * 4 + 1;
        for (uid, conn, client) in pipelining(&gate, first..first + 4) {
            let kick = Action::Kick { who: Target::Uid(Uid(uid)), code: ErrorCode::KICKED, text: "", at_once: uid % 2 == 0 };
            gate.act(conn, &[kick]);
            gate.echo.wait_for(&format!("disconnect {conn} uid {uid} kicked"));
            assert_eq!(gate.echo.sessions.presence(Uid(uid)), Presence::Offline);
            client.join().expect("no panic");
        }
    }
}

#[test]
fn no_login_elsewhere_misses_a_client_that_pipelines_bogus_resumes() {
    let gate = Gate::open();
    for (uid, conn, client) in pipelining(&gate, 1..9) {
        let (_other, second, _) = logged_in(&gate, uid);
        gate.echo.wait_for(&format!("disconnect {conn} uid {uid} replaced"));
        assert_eq!(gate.echo.sessions.conn_of(Uid(uid)), Some(second));
        client.join().expect("no panic");
    }
}

#[test]
fn no_push_to_a_client_that_pipelines_bogus_resumes_is_lost() {
    let gate = Gate::open();
    let clients = pipelining(&gate, 1..3);
    let count = 5_000;
    for n in 0..count {
        clients.iter().for_each(|(_, conn, _)| push(&gate, *conn, n));
    }
    for (_, conn, client) in clients {
        gate.act(conn, &[Action::Kick { who: Target::Conn(conn), code: ErrorCode::KICKED, text: "", at_once: false }]);
        assert_eq!(client.join().expect("no panic"), (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn tokens_asked_for_while_the_login_comes_and_goes_belong_to_a_login() {
    let mut options = generous();
    options.write_queue_packets = 1 << 20;
    let gate = Gate::with(options, |_| {});
    let (client, conn) = gate.client();
    let mut writer = client.try_clone().expect("clone");
    let mut packet = Vec::new();
    format().encode(Carrier::Stream, SESSION, 6, b"{}", &mut packet).expect("encode");
    let asks = std::thread::spawn(move || (0..200).try_for_each(|_| writer.write_all(&packet.repeat(10))).expect("write"));
    let mut reader = client;
    let reads = std::thread::spawn(move || (0..2_000).map(|_| try_receive(&mut reader).expect("an answer").0).collect::<Vec<_>>());
    while !reads.is_finished() {
        gate.act(conn, &[Action::Bind(conn, Uid(9))]);
        gate.act(conn, &[Action::Unbind(Target::Conn(conn))]);
    }
    asks.join().expect("no panic");
    reads.join().expect("no panic");
    // Nothing is kept for a session without a login, so what follows is not counted, and nobody can resume it.
    gate.act(conn, &[Action::Push { to: Target::Conn(conn), route: Route(9), body: b"x" }]);
    assert_eq!(gate.echo.sessions.stats().kept_bytes(), 0);
}
