//! The load generator and the idle connections against the bare echoes and a server that makes every mistake.

use std::collections::BTreeMap;
use std::time::Duration;

use duet_client::Endpoint;
use duet_codec::{ByteOrder, Format, Profile};
use duet_load::{ConnectsOptions, IdleOptions, LoadBody, LoadError, LoadOptions, LoadReport, Loss};
use duet_testkit::scripted::*;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;

use crate::bare_echo;

/// A run that is over as soon as it may be.
fn short(endpoint: &Endpoint, format: Format) -> LoadOptions {
    LoadOptions {
        connections: 3,
        window: 8,
        body: LoadBody::Letters(100),
        warm_up: Duration::from_millis(10),
        duration: Duration::from_millis(60),
        drain: Duration::from_secs(20),
        dial_timeout: Duration::from_secs(20),
        ..LoadOptions::new(endpoint.clone(), format)
    }
}

fn against_scripted(scheme: &str, change: impl Fn(LoadOptions) -> LoadOptions) -> Result<LoadReport, LoadError> {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(scripted(scheme, usual()));
    duet_load::run(&change(short(&server.endpoint, usual())), |_| {})
}

#[test]
fn every_reply_of_the_bare_echoes_is_right() {
    let runtime = Runtime::new().unwrap();
    for scheme in ["tcp", "ws"] {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint: Endpoint = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
        match scheme {
            "tcp" => drop(runtime.spawn(bare_echo::tcp(listener))),
            _ => drop(runtime.spawn(bare_echo::ws(listener))),
        }
        for profile in [Profile::Due2, Profile::Seed] {
            for (order, seq_bytes) in [(ByteOrder::Big, 4), (ByteOrder::Little, 2), (ByteOrder::Big, 1), (ByteOrder::Little, 0)] {
                let format = Format::new(profile, order, 4, seq_bytes, 100_000).unwrap();
                for (window, letters) in [(1, 10), (100, 1_024), (3, 70_000)] {
                    let options = LoadOptions { window, body: LoadBody::Letters(letters), ..short(&endpoint, format) };
                    let report = duet_load::run(&options, |_| {}).unwrap();
                    assert!(report.is_clean() && report.replies > 0 && report.reordered == 0, "{scheme} {format:?} {report:?}");
                    assert!(report.p50 <= report.p99 && report.p99 <= report.max, "{report}");
                    assert!(report.bytes_in > 0 && report.bytes_out > 0, "{report}");
                }
            }
        }
    }
}

fn bare_kcp(runtime: &Runtime) -> Endpoint {
    let socket = runtime.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("kcp://{}", socket.local_addr().unwrap()).parse().unwrap();
    runtime.spawn(bare_echo::kcp(socket));
    endpoint
}

#[test]
fn every_reply_comes_over_kcp_with_and_without_loss() {
    let runtime = Runtime::new().unwrap();
    let endpoint = bare_kcp(&runtime);
    for (part, window, letters) in [(0.0, 1, 100), (0.0, 20, 3_000), (0.2, 1, 100), (0.2, 5, 3_000)] {
        let loss = Loss { part, seed: 1 };
        let duration = Duration::from_millis(300);
        let options = LoadOptions { loss, window, duration, body: LoadBody::Letters(letters), ..short(&endpoint, usual()) };
        let report = duet_load::run(&options, |_| {}).unwrap();
        assert!(report.is_clean() && report.replies > 0 && report.reordered == 0, "{part} {report:?}");
    }
}

#[test]
fn a_session_that_loses_everything_has_no_replies() {
    let runtime = Runtime::new().unwrap();
    let loss = Loss { part: 1.0, seed: 1 };
    let options = LoadOptions { loss, drain: Duration::ZERO, ..short(&bare_kcp(&runtime), usual()) };
    let report = duet_load::run(&options, |_| {}).unwrap();
    assert_eq!((report.replies, report.unanswered), (0, 3 * 8));
}

#[test]
fn only_kcp_loses_datagrams_and_nothing_is_measured_behind_tls() {
    let loss = Loss { part: 0.1, seed: 1 };
    assert!(matches!(against_scripted("tcp", |options| LoadOptions { loss, ..options }), Err(LoadError::Options(_))));
    let secure = |options: LoadOptions| LoadOptions { endpoint: "tls://127.0.0.1:1".parse().unwrap(), ..options };
    assert!(matches!(against_scripted("tcp", secure), Err(LoadError::Options(_))));
}

fn connecting(endpoint: &Endpoint, route: i32) -> ConnectsOptions {
    ConnectsOptions {
        endpoint: endpoint.clone(),
        format: usual(),
        connections: 4,
        route,
        body: LoadBody::Letters(10),
        warm_up: Duration::from_millis(10),
        duration: Duration::from_millis(200),
        dial_timeout: Duration::from_secs(20),
    }
}

#[test]
fn connections_are_opened_over_and_over() {
    let runtime = Runtime::new().unwrap();
    for scheme in ["tcp", "ws"] {
        let server = runtime.block_on(scripted(scheme, usual()));
        let report = duet_load::connects(&connecting(&server.endpoint, ECHO), |_| {}).unwrap();
        assert!(report.is_clean() && report.replies > 4, "{report:?}");
        assert!(report.p50 <= report.p99 && report.max > Duration::ZERO, "{report}");
        assert!(report.table().to_string().contains("connections/s"), "{}", report.table());
    }
}

#[test]
fn connections_that_are_refused_end_the_run_with_the_reason() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(scripted("tcp", usual()));
    let options = |route| ConnectsOptions { duration: Duration::from_secs(20), ..connecting(&server.endpoint, route) };
    let refused = duet_load::connects(&options(REFUSED), |_| {});
    assert!(matches!(&refused, Err(LoadError::AllEnded(why)) if why.contains("404")), "{refused:?}");
    let closed = duet_load::connects(&options(CLOSING), |_| {});
    assert!(matches!(&closed, Err(LoadError::AllEnded(why)) if why.contains("ended the stream")), "{closed:?}");
    let nobody = ConnectsOptions { endpoint: "tcp://127.0.0.1:1".parse().unwrap(), ..options(ECHO) };
    assert!(matches!(duet_load::connects(&nobody, |_| {}), Err(LoadError::AllEnded(_))));
}

#[test]
fn error_packets_are_counted_by_their_code() {
    for scheme in ["tcp", "ws"] {
        let report = against_scripted(scheme, |options| LoadOptions { route: REFUSED, ..options }).unwrap();
        assert!(report.errors_all() > 0 && !report.is_clean());
        assert_eq!((report.replies, report.bad), (0, 0));
        assert_eq!(report.errors, BTreeMap::from([(404, report.errors_all())]));
        assert!(report.to_string().contains(&format!(" error_404={} ", report.errors_all())), "{report}");
        assert!(report.table().to_string().contains("error packets with code 404"));
    }
}

#[test]
fn swapped_answers_are_counted_as_reordered_and_are_no_fault() {
    let report = against_scripted("tcp", |options| LoadOptions { route: SWAPPED, drain: Duration::ZERO, ..options }).unwrap();
    assert!(report.reordered > 0 && report.bad == 0 && report.replies > 0, "{report:?}");
}

#[test]
fn answers_of_another_size_are_bad_unless_they_are_expected() {
    let strict = against_scripted("tcp", |options| LoadOptions { route: SHRUNK, ..options }).unwrap();
    assert!(strict.bad > 0 && strict.replies == 0, "{strict:?}");
    assert!(strict.table().to_string().contains("a body of 0 bytes"), "{}", strict.table());
    let lenient = against_scripted("tcp", |options| LoadOptions { route: SHRUNK, same_size: false, ..options }).unwrap();
    assert!(lenient.is_clean() && lenient.replies > 0, "{lenient:?}");
}

#[test]
fn answers_on_another_route_are_bad() {
    let report = against_scripted("ws", |options| LoadOptions { route: MISROUTED, ..options }).unwrap();
    assert!(report.bad > 0 && report.replies == 0, "{report:?}");
    assert_eq!(report.first_bad.as_deref(), Some("route 1 instead of 8"));
}

#[test]
fn pushes_are_not_taken_for_answers() {
    let report = against_scripted("tcp", |options| LoadOptions { route: PUSHING, ..options }).unwrap();
    assert!(report.replies > 0 && report.pushes >= report.replies && report.is_clean(), "{report:?}");
}

#[test]
fn requests_without_an_answer_are_counted() {
    let report = against_scripted("tcp", |options| LoadOptions { route: SILENT, drain: Duration::from_millis(10), ..options }).unwrap();
    assert_eq!((report.unanswered, report.replies), (3 * 8, 0));
}

#[test]
fn pings_of_the_server_are_answered() {
    let report = against_scripted("ws", |options| LoadOptions { route: PINGING, window: 1, ..options }).unwrap();
    assert!(report.is_clean() && report.replies > 0, "{report:?}");
}

#[test]
fn a_run_whose_connections_all_end_says_why() {
    let ended = against_scripted("ws", |options| LoadOptions { route: CLOSING, duration: Duration::from_secs(20), ..options });
    assert!(matches!(&ended, Err(LoadError::AllEnded(why)) if why.contains("4001")), "{ended:?}");
    let ended = against_scripted("tcp", |options| LoadOptions { route: OVERSIZE, duration: Duration::from_secs(20), ..options });
    assert!(matches!(&ended, Err(LoadError::AllEnded(why)) if why.contains("format")), "{ended:?}");
}

#[test]
fn progress_is_told_once_a_second() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(scripted("tcp", usual()));
    let mut told = Vec::new();
    let options = LoadOptions { duration: Duration::from_millis(1_200), ..short(&server.endpoint, usual()) };
    let report = duet_load::run(&options, |progress| told.push(*progress)).unwrap();
    assert!(!told.is_empty());
    assert!(told[0].rate > 0.0 && told[0].open == 3 && !told[0].warming_up && told[0].replies <= report.replies * 2, "{told:?}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |change: fn(LoadOptions) -> LoadOptions| against_scripted("tcp", change);
    assert!(matches!(refused(|options| LoadOptions { connections: 0, ..options }), Err(LoadError::Options(_))));
    assert!(matches!(refused(|options| LoadOptions { window: 40_000, ..options }), Err(LoadError::Options(_))));
    assert!(matches!(refused(|options| LoadOptions { route: 40_000, ..options }), Err(LoadError::Encode(_))));
    let nobody = |options: LoadOptions| LoadOptions { endpoint: "tcp://127.0.0.1:1".parse().unwrap(), ..options };
    assert!(matches!(against_scripted("tcp", nobody), Err(LoadError::Dial { number: 1, .. })));
}

#[test]
fn idle_connections_are_held_and_kept_alive() {
    let runtime = Runtime::new().unwrap();
    for scheme in ["tcp", "ws", "kcp"] {
        let server = runtime.block_on(scripted(scheme, usual()));
        let options = IdleOptions {
            endpoint: server.endpoint.clone(),
            format: usual(),
            connections: 20,
            hold: Duration::from_millis(500),
            heartbeat_interval: Some(Duration::from_millis(20)),
            dial_timeout: Duration::from_secs(20),
            process: Some(std::process::id()),
        };
        let report = duet_load::hold_idle(&options, |_| {}).unwrap();
        assert_eq!((report.opened, report.ended, report.heard), (20, 0, 20));
        assert!(report.heartbeats >= 20 && report.bytes_in > 0, "{report}");
        assert!(report.server.unwrap().memory_held > 0 && report.to_string().contains(" memory_each_kib="), "{report}");
    }
}

#[test]
fn idle_connections_that_the_server_ends_are_counted() {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    runtime.spawn(async move {
        let _first = listener.accept().await.unwrap();
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let (hold, dial_timeout) = (Duration::from_millis(500), Duration::from_secs(20));
    let options = IdleOptions { endpoint, format: usual(), connections: 5, hold, heartbeat_interval: None, dial_timeout, process: None };
    assert_eq!(duet_load::hold_idle(&options, |_| {}).unwrap().ended, 4);
}
