//! A bad network.

use std::sync::atomic::Ordering;

use duet_transport::KcpOptions;

use super::network::{config, connect, exchange};
use super::relay::{Weather, relay};
use super::server::{echo, noise};

#[tokio::test]
async fn data_arrives_intact_through_loss_doubles_and_disorder() {
    for options in [KcpOptions::default(), KcpOptions { nodelay: false, nc: false, ack_no_delay: false, ..KcpOptions::default() }] {
        let (server, stats) = echo(options);
        let address = relay(server, Weather { lost: 5, doubled: 5, late: 10 }).await;
        let data = noise(5, 300_000);
        let (_client, received) = exchange(connect(address, config()).await, &data).await;
        assert!(received == data);
        assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 1);
        assert_eq!(stats.refused_malformed.load(Ordering::Relaxed), 0);
    }
}
