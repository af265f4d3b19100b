//! The floors that every figure of `cargo xtask bench` is compared with: `bare-echo tcp|ws|kcp ADDRESS` sends back what it reads.

mod echo;

use std::io;

use tokio::net::{TcpListener, UdpSocket};

/// The same allocator as in `duet`, so that it makes no difference.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(protocol), Some(address), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: bare-echo tcp|ws|kcp ADDRESS"));
    };
    if protocol == "kcp" {
        let socket = UdpSocket::bind(address).await?;
        println!("bare echo on {}", socket.local_addr()?);
        return echo::kcp(socket).await;
    }
    let listener = TcpListener::bind(address).await?;
    println!("bare echo on {}", listener.local_addr()?);
    match protocol.as_str() {
        "tcp" => echo::tcp(listener).await,
        "ws" => echo::ws(listener).await,
        other => Err(io::Error::other(format!("there is no bare echo of {other}"))),
    }
}
