//! Broadcasts against a small server with the routes of the lobby.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duet_client::Endpoint;
use duet_codec::{Carrier, Cut, Packet};
use duet_load::{Audience, BroadcastOptions, LoadError, LoadReport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use duet_testkit::scripted::usual;

type Members = Arc<Mutex<HashMap<u16, mpsc::Sender<Vec<u8>>>>>;

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Joining is refused with code 4.
    NoJoin,
    /// Everything arrives twice.
    Twice,
    /// The third broadcast swaps places with the second.
    Swapped,
}

fn lobby(runtime: &Runtime, fault: Fault) -> Endpoint {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let members = Members::default();
    runtime.spawn(async move {
        let mut connections = JoinSet::new();
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(serve(stream, number, Arc::clone(&members), fault));
        }
    });
    endpoint
}

async fn serve(stream: TcpStream, number: u16, members: Members, fault: Fault) {
    let format = usual();
    let (mut reader, mut writer) = stream.into_split();
    let (own, mut outbox) = mpsc::channel::<Vec<u8>>(1_000);
    tokio::spawn(async move {
        while let Some(bytes) = outbox.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let encode = |route, seq, body: &[u8]| {
        let mut packet = Vec::new();
        format.encode(Carrier::Stream, route, seq, body, &mut packet).unwrap();
        packet
    };
    let (mut input, mut held, mut asked) = (Vec::new(), None, 0);
    while matches!(reader.read_buf(&mut input).await, Ok(1..)) {
        while let Cut::Packet(size) = format.cut(&input).unwrap() {
            let packet: Vec<u8> = input.drain(..size).collect();
            let Packet::Data { route, seq, body, .. } = format.decode(Carrier::Stream, &packet).unwrap() else { continue };
            let mut answer = encode(route, seq, b"{}");
            let on = match route {
                7 if fault == Fault::NoJoin => {
                    answer.clear();
                    format.encode_error(Carrier::Stream, route, seq, 4, "", &mut answer).unwrap();
                    None
                }
                7 => {
                    members.lock().unwrap().insert(number, own.clone());
                    None
                }
                9 => Some(103),
                6 => Some(102),
                other => panic!("route {other}"),
            };
            own.send(answer).await.unwrap();
            let Some(on) = on else { continue };
            let text = str::from_utf8(body).unwrap().split_once("\"text\":").unwrap().1;
            let mut message = encode(on, 0, format!("{{\"text\":{text}").as_bytes());
            asked += 1;
            if fault == Fault::Twice {
                message.extend(message.clone());
            }
            let messages = match (fault, asked) {
                (Fault::Swapped, 2) => {
                    held = Some(message);
                    Vec::new()
                }
                (Fault::Swapped, 3) => vec![message, held.take().unwrap()],
                _ => vec![message],
            };
            let all: Vec<_> = members.lock().unwrap().values().cloned().collect();
            for message in messages {
                for member in &all {
                    member.send(message.clone()).await.unwrap();
                }
            }
        }
    }
}

fn broadcast(fault: Fault, change: impl Fn(BroadcastOptions) -> BroadcastOptions) -> Result<LoadReport, LoadError> {
    let runtime = Runtime::new().unwrap();
    let options = BroadcastOptions {
        endpoint: lobby(&runtime, fault),
        format: usual(),
        connections: 20,
        window: 4,
        audience: Audience::Channel,
        letters: 100,
        warm_up: Duration::from_millis(10),
        duration: Duration::from_millis(200),
        dial_timeout: Duration::from_secs(20),
    };
    duet_load::broadcast(&change(options), |_| {})
}

#[test]
fn every_broadcast_reaches_everybody_once() {
    for audience in [Audience::Channel, Audience::All] {
        for window in [1, 4, 32] {
            let report = broadcast(Fault::None, |options| BroadcastOptions { audience, window, ..options }).unwrap();
            assert!(report.is_clean() && report.replies >= 20 && report.reordered == 0, "{report:?}");
            assert!(report.p50 <= report.p99 && report.p99 <= report.max && report.rate > 0.0, "{report}");
            assert_eq!((report.connections, report.window, report.body_bytes), (20, window, 111));
            assert!(report.table().to_string().contains("deliveries/s"), "{}", report.table());
        }
    }
}

#[test]
fn what_arrives_twice_is_bad_and_what_arrives_early_is_not() {
    let twice = broadcast(Fault::Twice, |options| BroadcastOptions { window: 2, ..options }).unwrap();
    assert!(twice.bad > 0, "{twice:?}");
    let swapped = broadcast(Fault::Swapped, |options| options).unwrap();
    assert!(swapped.is_clean() && swapped.reordered == 20, "{swapped:?}");
}

#[test]
fn a_server_that_lets_nobody_join_is_told() {
    let refused = broadcast(Fault::NoJoin, |options| options);
    assert!(matches!(&refused, Err(LoadError::Setup(why)) if why.contains("refused with code 4")), "{refused:?}");
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let refused = |change: fn(BroadcastOptions) -> BroadcastOptions| broadcast(Fault::None, change);
    assert!(matches!(refused(|options| BroadcastOptions { connections: 0, ..options }), Err(LoadError::Options(_))));
    assert!(matches!(refused(|options| BroadcastOptions { window: 33, ..options }), Err(LoadError::Options(_))));
    assert!(matches!(refused(|options| BroadcastOptions { letters: 9, ..options }), Err(LoadError::Options(_))));
    let kcp = |options| BroadcastOptions { endpoint: "kcp://127.0.0.1:1".parse().unwrap(), ..options };
    assert!(matches!(broadcast(Fault::None, kcp), Err(LoadError::Options(_))));
}
