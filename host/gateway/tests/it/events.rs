//! Events do not breed, and only a bounded number of them waits.

use duet_core::{Action, ConnId, Directory, Effect, Egress, ErrorCode, Origin, RequestKind, Route, Seq, Source, Target, Uid};
use duet_gateway::Refusal;

use crate::sessions::logged_in;
use crate::{Gate, ended, receive, receive_error, send};

fn apply(gate: &Gate, kind: RequestKind, conn: ConnId, actions: impl Iterator<Item = Action<'static>>) {
    let source = match kind {
        RequestKind::Message => Source::Client { conn, route: Route(1), seq: Seq(77) },
        kind => Source::Event { conn, kind },
    };
    let origin = Origin { index: 0, source };
    let effects: Vec<_> = actions.map(|action| Effect { origin, action }).collect();
    gate.echo.sessions.apply(&mut &effects[..]);
}

fn binds(gate: &Gate, conn: ConnId) -> Vec<String> {
    gate.echo.log().into_iter().filter(|line| line.starts_with(&format!("bind {conn} "))).collect()
}

#[test]
fn a_request_binds_once_and_what_follows_a_second_bind_is_dropped() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    let (_other, second) = gate.client();
    // The same uid again is not another bind.
    let all = [Action::Bind(conn, Uid(9)), Action::Bind(conn, Uid(9)), Action::Subscribe(Target::Conn(conn), "first")];
    let more = [Action::Bind(second, Uid(10)), Action::Subscribe(Target::Conn(conn), "second"), Action::Reply(b"in")];
    apply(&gate, RequestKind::Message, conn, all.into_iter().chain(more));
    assert_eq!(receive_error(&mut client), (1, 77, ErrorCode::HANDLER.0, "a request binds at most once".to_owned()));
    let directory = &gate.echo.sessions;
    assert_eq!((directory.conn_of(Uid(9)), directory.conn_of(Uid(10))), (Some(conn), None));
    assert_eq!((directory.member_count("first"), directory.member_count("second")), (1, 0));
    assert_eq!(directory.stats().refused(Refusal::Bind), 1);
}

#[test]
fn a_handler_of_events_cannot_feed_itself_binds() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    let many = |kind| {
        let steps = (1..=4_000).flat_map(|uid| [Action::Unbind(Target::Conn(conn)), Action::Bind(conn, Uid(uid))]);
        apply(&gate, kind, conn, steps);
    };
    for kind in [RequestKind::Connect, RequestKind::Bind, RequestKind::Suspend, RequestKind::Resume, RequestKind::Disconnect] {
        many(kind);
    }
    // Everything that was noted is handed on before what is read later.
    send(&mut client, 1, 1, b"x");
    receive(&mut client);
    assert_eq!(binds(&gate, conn).len(), 4, "one for each event, and none for that of a bind");
}

#[test]
fn events_that_wait_for_a_plugin_are_bounded_and_none_is_lost() {
    let gate = Gate::open();
    let (mut client, conn, _) = logged_in(&gate, 9);
    gate.echo.set_full(true);
    let mut refused = None;
    for uid in 1..=1_000 {
        gate.act(conn, &[Action::Bind(conn, Uid(100 + uid)), Action::Reply(b"in")]);
        let (extcode, _, _, body) = receive(&mut client);
        if extcode == 1 {
            assert_eq!(body[..2], ErrorCode::BUSY.0.to_be_bytes());
            refused.get_or_insert(uid);
        }
    }
    let bound = refused.expect("there is a limit") - 1;
    assert_eq!(gate.echo.sessions.uid_of(conn), Some(Uid(100 + bound)), "the last that was noted");
    assert_eq!(gate.echo.sessions.stats().refused(Refusal::Bind), 1_000 - bound as u64);
    // A loss that cannot be reported ends the session: that event always has room.
    gate.act(conn, &[Action::Reply(b"")]);
    drop(client);
    gate.echo.set_full(false);
    gate.echo.wait_for(&format!("disconnect {conn} uid {}", 100 + bound));
    assert_eq!(binds(&gate, conn).len() as i64, 1 + bound, "each bind was told");
}

#[test]
fn kicks_and_unbinds_in_a_row_are_one_end() {
    let gate = Gate::open();
    let (mut client, conn, _) = logged_in(&gate, 9);
    let kick = Action::Kick { who: Target::Conn(conn), code: ErrorCode::KICKED, text: "", at_once: false };
    apply(&gate, RequestKind::Disconnect, conn, std::iter::repeat_n([kick, Action::Unbind(Target::Conn(conn))], 2_000).flatten());
    assert_eq!(receive_error(&mut client).2, ErrorCode::KICKED.0);
    assert!(ended(&mut client));
    drop(client);
    gate.echo.wait_for(&format!("disconnect {conn}"));
    assert_eq!(gate.echo.log().iter().filter(|line| line.starts_with("disconnect")).count(), 1);
}
