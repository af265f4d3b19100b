//! Who gets a connection.

use std::net::SocketAddr;

use super::halves::{KcpReader, KcpWriter};

/// Who may have a connection, and what others are told. `T` is what an admitted client holds meanwhile.
pub struct KcpAdmission<T> {
    /// The first thing that each client receives: one whole packet that clients ignore, such as a heartbeat. It has to be short: it is not
    /// sent if it makes the answer more than a quarter longer than the client's first datagram.
    pub greeting: Vec<u8>,
    /// The last thing that a client receives that is not admitted. If it is empty, the client is told nothing, and `admit` is asked again
    /// when it resends.
    pub farewell: Vec<u8>,
    /// Asked for each client that has proved its address, before anything is kept for it. It must not block.
    pub admit: Box<dyn FnMut(SocketAddr) -> Option<T> + Send>,
}

/// A connection whose client has proved its address and was admitted.
#[derive(Debug)]
pub struct KcpConnection<T> {
    /// What the client sends.
    pub reader: KcpReader,
    /// What the client gets.
    pub writer: KcpWriter,
    /// Who it is.
    pub peer: SocketAddr,
    /// What it was admitted with.
    pub admitted: T,
}
