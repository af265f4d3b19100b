//! A listener for KCP: a byte stream over UDP that clients open without asking, and servers only after a proof.
//!
//! **Proof of address.** A first datagram makes no state. It is answered with one segment: number 0, a cookie as its timestamp, the greeting
//! as its data. A client of any KCP library acknowledges that segment and thereby returns the cookie; only then is there a connection. The
//! client's own first segment is left unacknowledged, so the client sends it again. An answer is at most a quarter longer than what it
//! answers: with the headers below it that is less than a tenth, and a client whose first segment has one byte is answered as well.
//!
//! **Admission.** An address that has proved itself is then checked: if there are too many connections, or too many of that address, nothing is
//! kept. The client is told so in one segment, and forgotten.
//!
//! **Latecomers.** KCP has no goodbye. A client that outlives its connection is never greeted again: only a client whose own segment 0 is
//! unacknowledged is, and only one that has received nothing but the greeting can return a cookie. Cookies that were issued before a connection
//! ended open none for the same address and conversation. Such a client hears nothing until its own heartbeat or resend limit ends it.
//!
//! **Restarts.** A client that was started again with the address and conversation of a connection looks like a stranger: it has received
//! nothing. It is greeted like one, with a cookie for what comes after that connection. Returning it ends the connection and opens another;
//! `life.rs` tells a client that is only late from one that is new.
//!
//! **Bounds.** A connection holds at most two receive windows (in order and out of order) and two send windows. Without unacknowledged data it
//! has no timer.

mod admission;
mod connection;
mod cookie;
mod driver;
mod ended;
mod halves;
mod key;
mod life;
mod options;
mod port;
mod segment;
mod stats;
mod timers;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Protocol, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

pub use self::admission::{KcpAdmission, KcpConnection};
use self::cookie::Cookies;
use self::driver::Driver;
pub use self::halves::{KcpReader, KcpWriter};
pub use self::options::KcpOptions;
use self::port::Port;
pub use self::stats::KcpStats;
use crate::BindError;
use crate::listener::{Transport, bound};

/// Proved connections that wait for [`KcpListener::accept`]. Further clients have to try again.
const ACCEPTED_MAX: usize = 256;
/// What is asked of the kernel for the one socket of all connections; it may give less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// A UDP port on which KCP is spoken. Connections outlive it.
pub struct KcpListener<T> {
    port: Arc<Port>,
    accepted: mpsc::Receiver<KcpConnection<T>>,
}

impl<T: Send + 'static> KcpListener<T> {
    /// Listens on an address, in the tokio runtime of the caller. `[::]` takes clients of IPv4 as well, unless it is `v6_only`.
    ///
    /// # Errors
    /// [`BindError`]; if the port is in use, it names the process that holds it where that can be found out.
    pub fn bind(address: SocketAddr, v6_only: bool, options: KcpOptions, admission: KcpAdmission<T>) -> Result<Self, BindError> {
        let open = || {
            let socket = bound(address, v6_only, Type::DGRAM, Protocol::UDP)?;
            let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
            let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
            Ok((UdpSocket::from_std(socket.into())?, Cookies::new()?))
        };
        let (socket, cookies) = open().map_err(|cause| BindError::new(address, cause, Transport::Udp))?;
        let port = Arc::new(Port::new(socket, options));
        let (sender, accepted) = mpsc::channel(ACCEPTED_MAX);
        tokio::spawn(Driver::new(Arc::clone(&port), cookies, admission, sender).run());
        Ok(Self { port, accepted })
    }
}

impl<T> KcpListener<T> {
    /// The address, with the port that it really got.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.port.local_addr()
    }

    /// The next connection. Safe to drop while it waits.
    pub async fn accept(&mut self) -> KcpConnection<T> {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // The driver ends before its listener only if the runtime is going away, and this task with it.
            None => std::future::pending().await,
        }
    }

    /// What happened on this port so far.
    pub fn stats(&self) -> Arc<KcpStats> {
        Arc::clone(self.port.stats())
    }
}

impl<T> Drop for KcpListener<T> {
    /// No further connections; those that exist go on.
    fn drop(&mut self) {
        self.accepted.close();
        self.port.timers().wake();
    }
}

impl<T> fmt::Debug for KcpListener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KcpListener").field("address", &self.local_addr()).finish_non_exhaustive()
    }
}
