//! A network between clients and server that loses, doubles and reorders, the same in every run.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::server::Random;

/// Shares of datagrams in percent.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// Held back for up to 20 ms, so that others overtake.
    pub(super) late: u64,
}

/// The address at which the server is reached through this network.
pub(super) async fn relay(server: SocketAddr, weather: Weather) -> SocketAddr {
    let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
    let address = front.local_addr().unwrap();
    let chance = Arc::new(Mutex::new(Random(7)));
    tokio::spawn(async move {
        let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut buffer = [0; 2048];
        loop {
            let (length, client) = front.recv_from(&mut buffer).await.unwrap();
            let back = match clients.get(&client) {
                Some(back) => Arc::clone(back),
                None => {
                    let back = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
                    clients.insert(client, Arc::clone(&back));
                    tokio::spawn(return_to(client, Arc::clone(&back), Arc::clone(&front), Arc::clone(&chance), weather));
                    back
                }
            };
            pass(&chance, weather, &buffer[..length], &back, server);
        }
    });
    address
}

async fn return_to(client: SocketAddr, back: Arc<UdpSocket>, front: Arc<UdpSocket>, chance: Arc<Mutex<Random>>, weather: Weather) {
    let mut buffer = [0; 2048];
    while let Ok(length) = back.recv(&mut buffer).await {
        pass(&chance, weather, &buffer[..length], &front, client);
    }
}

fn pass(chance: &Mutex<Random>, weather: Weather, datagram: &[u8], socket: &Arc<UdpSocket>, to: SocketAddr) {
    let mut chance = chance.lock().unwrap();
    if chance.percent(weather.lost) {
        return;
    }
    for _ in 0..=u64::from(chance.percent(weather.doubled)) {
        if chance.percent(weather.late) {
            let (datagram, socket, delay) = (datagram.to_vec(), Arc::clone(socket), chance.next() % 20);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                let _ = socket.try_send_to(&datagram, to);
            });
        } else {
            let _ = socket.try_send_to(datagram, to);
        }
    }
}
