//! What becomes of effects.

use std::num::NonZeroU64;

use duet_core::{Action, ConnId, Directory, Effect, Egress, ErrorCode, GateId, Origin, Presence, Route, Seq, Source, Target, Targets, Uid};
use duet_gateway::{CloseReason, GatewayOptions, Refusal};
use duet_session::DuplicateLogin;

use crate::{Gate, ended, generous, receive, receive_error, send, wait_until};

fn push(to: Target, body: &[u8]) -> Action<'_> {
    Action::Push { to, route: Route(9), body }
}

#[test]
fn an_effect_for_a_connection_that_is_gone_does_nothing_and_a_large_one_is_an_error() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    let large = [0; 65_537];
    gate.act(conn, &[push(Target::Conn(ConnId(1 << 40)), b"nobody"), push(Target::Conn(conn), &large), push(Target::Conn(conn), b"after")]);
    assert_eq!(receive_error(&mut client), (9, 0, 9, "too large".to_owned()));
    assert_eq!(receive(&mut client), (0, 9, 0, b"after".to_vec()));
}

#[test]
fn a_gate_with_a_number_counts_its_connections_from_where_it_is_told_and_serves_no_others() {
    let [lowest, below, own] = [0, 2, 3].map(|number| GateId::new(number).expect("a gate"));
    let gate = Gate::with(GatewayOptions { gate: own, first_conn: NonZeroU64::new(7).expect("not 0"), ..generous() }, |_| {});
    let ((mut first, conn), (mut second, next)) = (gate.client(), gate.client());
    assert_eq!([conn, next], [7, 8].map(|count| ConnId::new(own, count)));
    let others = [lowest, below, GateId::MAX].map(|gate| push(Target::Conn(ConnId::new(gate, 8)), b"not here"));
    gate.act(conn, &[&others[..], &[push(Target::Conn(next), b"here"), Action::Reply(b"done")]].concat());
    assert_eq!((receive(&mut second).3, receive(&mut first).3), (b"here".to_vec(), b"done".to_vec()));
}

#[test]
fn everybody_who_is_meant_gets_a_message_once_and_in_order() {
    let gate = Gate::open();
    let mut clients: Vec<_> = (0..5).map(|_| gate.client()).collect();
    let conns: Vec<ConnId> = clients.iter().map(|c| c.1).collect();
    let (first, bound) = (conns[0], [conns[1], conns[2]]);
    bound.iter().zip([Uid(11), Uid(12)]).for_each(|(conn, uid)| gate.act(first, &[Action::Bind(*conn, uid)]));
    let actions: Vec<_> = conns[2..].iter().map(|conn| Action::Subscribe(Target::Conn(*conn), "room")).collect();
    gate.act(first, &actions);
    let some: Vec<u8> = [conns[0], conns[4], ConnId(999)].iter().flat_map(|c| c.0.to_le_bytes()).collect();
    let uids: Vec<u8> = [12_i64, 13, 11].iter().flat_map(|u| u.to_le_bytes()).collect();
    let route = Route(9);
    gate.act(
        first,
        &[
            Action::Broadcast { bound_only: false, route, body: b"all" },
            push(Target::Conn(conns[4]), b"one"),
            push(Target::Uid(Uid(11)), b"uid"),
            Action::Multicast { to: Targets::new(&some, false), route, body: b"some" },
            Action::Multicast { to: Targets::new(&uids, true), route, body: b"uids" },
            Action::Broadcast { bound_only: true, route, body: b"bound" },
            Action::Publish { channel: "room", route, body: b"room" },
            Action::Unsubscribe(Target::Conn(conns[3]), "room"),
            Action::Unsubscribe(Target::Uid(Uid(12)), ""),
            Action::Publish { channel: "room", route, body: b"rest" },
            Action::Publish { channel: "empty", route, body: b"nobody" },
            Action::Broadcast { bound_only: false, route, body: b"end" },
        ],
    );
    let expected: [&[&str]; 5] = [
        &["all", "some", "end"],
        &["all", "uid", "uids", "bound", "end"],
        &["all", "uids", "bound", "room", "end"],
        &["all", "room", "end"],
        &["all", "one", "some", "room", "rest", "end"],
    ];
    for ((client, _), expected) in clients.iter_mut().zip(expected) {
        for body in expected {
            assert_eq!(receive(client), (0, 9, 0, body.as_bytes().to_vec()));
        }
    }
    let directory = &gate.echo.sessions;
    assert_eq!(directory.member_count("room"), 1);
    assert_eq!(directory.members("room", 10), [conns[4]]);
    assert_eq!(directory.member_count("empty"), 0);
    assert_eq!((directory.counts().connections, directory.counts().bound), (5, 2));
    assert_eq!(directory.conn_of(Uid(11)), Some(conns[1]));
    assert_eq!(directory.uid_of(conns[2]), Some(Uid(12)));
    assert_eq!(directory.presence(Uid(12)), Presence::Connected);
    assert_eq!(directory.address(conns[0]), Some(clients[0].0.local_addr().expect("address")));
    assert_eq!(directory.address(ConnId(999)), None);
}

#[test]
fn a_bound_connection_may_use_authorized_routes_until_it_is_unbound() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, Uid(9)), Action::Reply(b"in")]);
    assert_eq!(receive(&mut client), (0, 1, 77, b"in".to_vec()));
    send(&mut client, 2, 1, b"secret");
    assert_eq!(receive(&mut client), (0, 2, 1, b"secret".to_vec()));
    gate.act(conn, &[Action::Unbind(Target::Uid(Uid(9))), Action::Reply(b"out")]);
    receive(&mut client);
    send(&mut client, 2, 2, b"secret");
    assert_eq!(receive_error(&mut client).2, ErrorCode::NOT_AUTHORIZED.0);
    let id = conn.to_string();
    let log = gate.echo.log();
    assert_eq!(log, [format!("connect {id}"), format!("message {id}"), format!("bind {id} uid 9"), format!("message {id} uid 9")]);
}

#[test]
fn a_second_login_replaces_the_first() {
    let gate = Gate::open();
    let (mut old, first) = gate.client();
    let (mut new, second) = gate.client();
    gate.act(first, &[Action::Bind(first, Uid(9))]);
    gate.act(second, &[Action::Bind(second, Uid(9)), Action::Reply(b"in")]);
    assert_eq!(receive_error(&mut old), (0, 0, 14, "replaced".to_owned()));
    assert!(ended(&mut old));
    assert_eq!(receive(&mut new).3, b"in");
    gate.echo.wait_for(&format!("disconnect {first} uid 9 replaced"));
    assert_eq!(gate.echo.sessions.conn_of(Uid(9)), Some(second));
    drop(old);
    wait_until("the end", || gate.echo.sessions.stats().closed(CloseReason::Replaced) == 1);
}

#[test]
fn a_second_login_is_refused_with_all_that_follows_if_the_listener_says_so() {
    let gate = Gate::with(generous(), |listener| listener.sessions.duplicate_login = DuplicateLogin::Reject);
    let (mut old, first) = gate.client();
    let (mut new, second) = gate.client();
    gate.act(first, &[Action::Bind(first, Uid(9))]);
    gate.act(
        second,
        &[push(Target::Conn(first), b"before"), Action::Bind(second, Uid(9)), push(Target::Conn(first), b"after"), Action::Reply(b"in")],
    );
    assert_eq!(receive_error(&mut new), (1, 77, 13, "already online".to_owned()));
    // A login for a connection that is gone is none elsewhere.
    gate.act(second, &[Action::Bind(ConnId(u64::MAX), Uid(10))]);
    assert_eq!(receive_error(&mut new), (1, 77, 11, "session gone".to_owned()));
    assert_eq!(gate.echo.sessions.stats().refused(Refusal::DuplicateLogin), 1);
    gate.act(second, &[push(Target::Conn(first), b"later"), Action::Reply(b"next")]);
    assert_eq!(receive(&mut new).3, b"next");
    assert_eq!(receive(&mut old).3, b"before");
    assert_eq!(receive(&mut old).3, b"later");
    assert_eq!(gate.echo.sessions.conn_of(Uid(9)), Some(first));
}

#[test]
fn refused_logins_of_one_call_each_take_back_what_follows() {
    let gate = Gate::with(generous(), |listener| listener.sessions.duplicate_login = DuplicateLogin::Reject);
    let (_online, first) = gate.client();
    gate.act(first, &[Action::Bind(first, Uid(9))]);
    let mut others = [gate.client(), gate.client()];
    let of = |index: u32, action| {
        let origin = Origin { index, source: Source::Client { conn: others[index as usize].1, route: Route(1), seq: Seq(5) } };
        Effect { origin, action }
    };
    let conns = [others[0].1, others[1].1];
    let effects = [
        of(0, Action::Bind(conns[0], Uid(9))),
        of(1, Action::Bind(conns[1], Uid(9))),
        of(0, Action::Subscribe(Target::Conn(conns[0]), "secret")),
        of(1, Action::Reply(b"late")),
        of(0, Action::Reply(b"late")),
    ];
    gate.echo.sessions.apply(&mut &effects[..]);
    for (client, _) in &mut others {
        assert_eq!(receive_error(client), (1, 5, 13, "already online".to_owned()));
    }
    gate.act(first, &[Action::Broadcast { bound_only: false, route: Route(9), body: b"next" }]);
    for (client, _) in &mut others {
        assert_eq!(receive(client).3, b"next");
    }
    assert_eq!(gate.echo.sessions.member_count("secret"), 0);
}

#[test]
fn a_kicked_client_gets_what_was_sent_before_and_the_reason() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    let (mut other, second) = gate.client();
    let kick = |who, at_once| Action::Kick { who, code: ErrorCode(1001), text: "cheater", at_once };
    gate.act(
        conn,
        &[
            Action::Bind(conn, Uid(9)),
            push(Target::Conn(conn), b"last"),
            kick(Target::Uid(Uid(9)), false),
            push(Target::Conn(conn), b"late"),
        ],
    );
    assert_eq!(receive(&mut client).3, b"last");
    assert_eq!(receive_error(&mut client), (0, 0, 1001, "cheater".to_owned()));
    assert!(ended(&mut client));
    gate.echo.wait_for(&format!("disconnect {conn} uid 9 kicked"));
    assert_eq!(gate.echo.sessions.presence(Uid(9)), Presence::Offline);
    gate.act(second, &[kick(Target::Conn(second), true)]);
    gate.echo.wait_for(&format!("disconnect {second} kicked"));
    assert!(!matches!(std::io::Read::read(&mut other, &mut [0; 16]), Ok(1..)), "nothing more is sent");
}
