//! Segments by hand, and a client that sends what it is told to.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

use super::server::{GREETING, soon};

pub(super) const PUSH: u8 = 81;
pub(super) const ACK: u8 = 82;
pub(super) const ASK_WINDOW: u8 = 83;

/// One segment: its head in the order of the wire.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) conv: u32,
    pub(super) command: u8,
    pub(super) timestamp: u32,
    pub(super) number: u32,
    pub(super) expected: u32,
    pub(super) data: &'a [u8],
}

impl Segment<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.conv.to_le_bytes().to_vec();
        bytes.extend([self.command, 0, 128, 0]);
        for field in [self.timestamp, self.number, self.expected, u32::try_from(self.data.len()).unwrap()] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(self.data);
        bytes
    }
}

pub(super) fn push(conv: u32, number: u32, expected: u32, data: &[u8]) -> Vec<u8> {
    Segment { conv, command: PUSH, timestamp: 1, number, expected, data }.bytes()
}

/// What returns a cookie.
pub(super) fn proof(conv: u32, cookie: u32) -> Vec<u8> {
    Segment { conv, command: ACK, timestamp: cookie, number: 0, expected: 1, data: b"" }.bytes()
}

pub(super) struct RawClient {
    pub(super) socket: UdpSocket,
    pub(super) conv: u32,
    pub(super) server: SocketAddr,
}

impl RawClient {
    pub(super) async fn new(server: SocketAddr, conv: u32) -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), conv, server }
    }

    pub(super) async fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.server).await.unwrap();
    }

    pub(super) async fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = soon(self.socket.recv(&mut buffer)).await.unwrap();
        buffer[..length].to_vec()
    }

    /// Begins, and returns the cookie of the answer.
    pub(super) async fn begin(&self) -> u32 {
        self.send(&push(self.conv, 0, 0, b"hello")).await;
        let answer = self.receive().await;
        let cookie = u32::from_le_bytes(answer[8..12].try_into().unwrap());
        assert_eq!(answer, Segment { conv: self.conv, command: PUSH, timestamp: cookie, number: 0, expected: 0, data: &GREETING }.bytes());
        cookie
    }
}
