//! Clients that have proved their address and are not admitted.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duet_transport::{KcpAdmission, KcpListener, KcpOptions};

use super::network::{config, connect};
use super::raw::{PUSH, RawClient, Segment, proof, push};
use super::server::{FAREWELL, GREETING, accept, everybody, read_exact, soon, until, write};

/// A place, given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A listener that admits as many as there are places.
fn with_places(places: &Arc<AtomicUsize>, options: KcpOptions, farewell: &[u8]) -> KcpListener<Place> {
    let places = Arc::clone(places);
    let admit = move |_| {
        places.try_update(Ordering::Relaxed, Ordering::Relaxed, |places| places.checked_sub(1)).ok().map(|_| Place(Arc::clone(&places)))
    };
    let admission = KcpAdmission { greeting: GREETING.to_vec(), farewell: farewell.to_vec(), admit: Box::new(admit) };
    KcpListener::bind((Ipv4Addr::LOCALHOST, 0).into(), false, options, admission).unwrap()
}

#[tokio::test]
async fn clients_that_are_not_admitted_leave_nothing_behind_and_take_no_room_from_others() {
    let places = Arc::new(AtomicUsize::new(0));
    let mut listener = with_places(&places, KcpOptions { sessions_max: 4, ..KcpOptions::default() }, FAREWELL);
    let (address, stats) = (listener.local_addr().unwrap(), listener.stats());
    for conv in 1..=100 {
        let client = RawClient::new(address, conv).await;
        client.send(&[proof(conv, client.begin().await), push(conv, 0, 1, b"hello")].concat()).await;
        let last = client.receive().await;
        let timestamp = u32::from_le_bytes(last[8..12].try_into().unwrap());
        assert_eq!(last, Segment { conv, command: PUSH, timestamp, number: 1, expected: 0, data: FAREWELL }.bytes());
        assert_eq!(stats.sessions.load(Ordering::Relaxed), 0);
    }
    assert_eq!(stats.refused_admission.load(Ordering::Relaxed), 100);
    assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 0);
    places.store(1, Ordering::Relaxed);
    let client = tokio::spawn(connect(address, config()));
    let (mut reader, writer, _) = accept(&mut listener).await;
    write(&writer, &read_exact(&mut reader, 5).await).await.unwrap();
    client.await.unwrap();
}

#[tokio::test]
async fn one_session_too_many_is_told_so() {
    let mut listener = listen_for_one();
    let address = listener.local_addr().unwrap();
    let first = RawClient::new(address, 1).await;
    first.send(&proof(1, first.begin().await)).await;
    let _held = accept(&mut listener).await;
    let second = RawClient::new(address, 2).await;
    second.send(&proof(2, second.begin().await)).await;
    assert!(second.receive().await.ends_with(FAREWELL));
}

fn listen_for_one() -> KcpListener<()> {
    let options = KcpOptions { sessions_max: 1, ..KcpOptions::default() };
    KcpListener::bind((Ipv4Addr::LOCALHOST, 0).into(), false, options, everybody()).unwrap()
}

#[tokio::test]
async fn a_client_that_is_not_told_gets_in_by_resending_as_soon_as_there_is_room() {
    let places = Arc::new(AtomicUsize::new(0));
    let mut listener = with_places(&places, KcpOptions::default(), b"");
    let stats = listener.stats();
    let client = tokio::spawn(connect(listener.local_addr().unwrap(), config()));
    until("it was refused", || stats.refused_admission.load(Ordering::Relaxed) > 0).await;
    places.store(1, Ordering::Relaxed);
    let (mut reader, writer, _) = accept(&mut listener).await;
    write(&writer, &read_exact(&mut reader, 5).await).await.unwrap();
    soon(client).await.unwrap();
}
