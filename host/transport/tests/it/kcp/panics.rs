//! A driver that panics over something that is no session's.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duet_transport::{KcpAdmission, KcpListener, KcpOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::network::{config, connect};
use super::raw::{RawClient, proof};
use super::server::{FAREWELL, GREETING, accept, read_exact, soon, until, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_whole_driver_costs_one_datagram_and_neither_sessions_nor_the_port() {
    let faults = Arc::<AtomicUsize>::default();
    let left = Arc::clone(&faults);
    // What the gate asks may panic, and then nobody's session is to blame.
    let admit = move |_| {
        let faulty = left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        assert!(!faulty, "a fault of the test");
        Some(())
    };
    let admission = KcpAdmission { greeting: GREETING.to_vec(), farewell: FAREWELL.to_vec(), admit: Box::new(admit) };
    let mut listener = KcpListener::bind((Ipv4Addr::LOCALHOST, 0).into(), false, KcpOptions::default(), admission).unwrap();
    let (address, stats) = (listener.local_addr().unwrap(), listener.stats());
    let client = tokio::spawn(connect(address, config()));
    let (mut reader, writer, _) = accept(&mut listener).await;
    write(&writer, &read_exact(&mut reader, 5).await).await.unwrap();
    let mut others = client.await.unwrap();
    for round in 1..=3 {
        faults.store(1, Ordering::SeqCst);
        let late = RawClient::new(address, 70 + round).await;
        let cookie = late.begin().await;
        late.send(&proof(late.conv, cookie)).await;
        until("the panic", || stats.panics.load(Ordering::Relaxed) == u64::from(round)).await;
        // The session that was there goes on: in what it has open, and with what comes later.
        for _ in 0..20 {
            others.write_all(b"ping").await.unwrap();
            write(&writer, &soon(read_exact(&mut reader, 4)).await).await.unwrap();
            soon(others.read_exact(&mut [0; 4])).await.unwrap();
        }
        // The client whose datagram was lost gets in when it sends it again, as KCP does, and so does a new one.
        late.send(&proof(late.conv, cookie)).await;
        let (_late_reader, _late_writer, peer) = accept(&mut listener).await;
        assert_eq!(peer, late.socket.local_addr().unwrap());
        let another = RawClient::new(address, 90 + round).await;
        another.send(&proof(another.conv, another.begin().await)).await;
        accept(&mut listener).await;
    }
    assert_eq!(stats.panics.load(Ordering::Relaxed), 3);
}
