//! What is kept for a client that may come back, and how its session goes on with another socket.

use bytes::Bytes;
use duet_core::Route;
use duet_transport::Writer;

use super::{Cause, Chunk, Outbox, Sending, Taken};
use crate::retained::{Gap, Retained};
use crate::{CloseReason, Overflow};

/// Why a session cannot go on with another socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// The server ends it.
    Ending,
    /// Nothing is kept for its client from now on.
    Released,
    /// What its client missed is not there.
    Gap(Gap),
}

impl Outbox {
    /// From now on packets are kept and counted, from 0 for the first one after `answer`, which tells the client.
    pub(crate) fn retain(&mut self, answer: Vec<u8>, retained: Retained) {
        if self.state == Sending::Open && self.writer.is_some() {
            self.keep(Chunk { data: answer.into(), written: 0, packets: 1, cause: Cause::Asked, number: None, latest: None });
        }
        // What already waits came before that, and has no number.
        self.chunks.iter_mut().for_each(|chunk| (chunk.number, chunk.latest) = (None, None));
        self.retained = Some(Box::new(retained));
    }

    /// Whether packets are kept.
    pub(crate) const fn is_retaining(&self) -> bool {
        self.retained.is_some()
    }

    /// Forgets the packets that are kept, and keeps no more.
    pub(crate) fn release(&mut self) {
        self.retained = None;
    }

    /// What is kept, if the client asked for it.
    pub(crate) fn retained(&mut self) -> Option<&mut Retained> {
        self.retained.as_deref_mut()
    }

    /// Keeps a packet for a client that was lost and may come back for it.
    pub(super) fn miss(&mut self, packet: &Bytes, route: Route, overflow: Overflow) -> Taken {
        let Some(retained) = &mut self.retained else { return Taken::Done };
        if overflow == Overflow::KeepLatest
            && let Some(number) = retained.waiting(route)
        {
            retained.replace(number, packet);
            return Taken::Dropped;
        }
        // One that may be lost does not push out one that may not.
        if overflow != Overflow::Close && retained.is_full(packet) {
            return Taken::Dropped;
        }
        retained.push(packet.clone(), (overflow == Overflow::KeepLatest).then_some(route));
        Taken::Done
    }

    /// Notes from which packet on the client cannot have got any. Called before what waits is forgotten.
    pub(super) fn note_unwritten(&mut self) {
        let Some(retained) = &mut self.retained else { return };
        let first = self.chunks.iter().filter(|chunk| chunk.written == 0).find_map(|chunk| chunk.number);
        if let Some(number) = first.or((self.state == Sending::Open && self.writer.is_some()).then_some(retained.next())) {
            retained.set_unwritten(number);
        }
    }

    /// The socket is gone, the session is not. Returns what is left of the socket, as [`Outbox::hang_up`] does.
    #[must_use = "a system call closes it, which takes no lock"]
    pub(crate) fn suspend(&mut self) -> Option<Writer> {
        self.forget();
        self.state = Sending::Open;
        self.writer.take()
    }

    /// Whether all was written, so that a session may go on with this socket.
    pub(crate) fn is_free(&mut self) -> bool {
        self.state == Sending::Open && self.writer.is_some() && self.flush().is_ok() && self.chunks.is_empty()
    }

    /// What the client of this session misses if it has the packets below `received`. Changes nothing.
    ///
    /// # Errors
    /// [`Stuck`].
    pub(crate) fn missed(&self, received: u64) -> Result<Missed, Stuck> {
        // A session that the server ends for a cause does not go on.
        if matches!(self.state, Sending::Closing(why) | Sending::Closed(why) if !why.is_loss()) {
            return Err(Stuck::Ending);
        }
        let kept = self.retained.as_ref().ok_or(Stuck::Released)?.since(received).map_err(Stuck::Gap)?;
        let chunk = |(number, kept): (u64, &crate::retained::Kept)| Chunk {
            data: kept.packet.clone(),
            written: 0,
            packets: 1,
            cause: Cause::Missed,
            number: Some(number),
            latest: kept.latest,
        };
        Ok(Missed(kept.map(chunk).collect()))
    }

    /// Goes on with the socket of another session, which ends: `greeting` is sent first, then what the client missed. Returns the socket
    /// that this one had, if that is not known to be lost, as [`Outbox::hang_up`] does.
    #[must_use = "a system call closes it, which takes no lock"]
    pub(crate) fn take_over(&mut self, by: &mut Self, greeting: Vec<u8>, missed: Missed) -> Option<Writer> {
        self.forget();
        let old = std::mem::replace(&mut self.writer, by.writer.take());
        by.state = Sending::Closed(CloseReason::Resumed);
        self.state = Sending::Open;
        self.keep(Chunk { data: greeting.into(), written: 0, packets: 1, cause: Cause::Asked, number: None, latest: None });
        missed.0.into_iter().for_each(|chunk| self.keep(chunk));
        old
    }
}

/// Packets that a client misses.
#[derive(Debug)]
pub(crate) struct Missed(Vec<Chunk>);

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};

    use duet_transport::Stream;

    use super::*;
    use crate::GatewayOptions;
    use crate::outbox::OutboxLimits;
    use crate::retained::Total;

    /// A socket of a client, and the server's side of it.
    fn socket() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let (server, _) = listener.accept().expect("accept");
        server.set_nonblocking(true).expect("nonblocking");
        (client, tokio::net::TcpStream::from_std(server).expect("inside a runtime").into())
    }

    #[tokio::test]
    async fn of_a_route_that_keeps_the_latest_the_last_packet_that_a_client_gets_is_the_newest() {
        let ((_lost, first), (mut client, second)) = (socket(), socket());
        let limits = OutboxLimits::new(&GatewayOptions::default(), 1024);
        let add = |outbox: &mut Outbox, text: &'static str| {
            let packet = Bytes::from_static(text.as_bytes());
            outbox.add(&packet, Route(9), Overflow::KeepLatest, Cause::Call(1), &limits)
        };
        let (mut outbox, mut by) = (Outbox::new(first.writer), Outbox::new(second.writer));
        outbox.retain(b"token".to_vec(), Retained::new(10, 1000, Total::default()));
        for text in ["a", "b"] {
            assert_eq!(add(&mut outbox, text), Taken::Added);
            outbox.flush().expect("flushed");
            outbox.insist().expect("written");
        }
        // The client has got neither of them when it comes back, and the next one comes before they are written again.
        let missed = outbox.missed(0).expect("both are kept");
        drop(outbox.take_over(&mut by, b"hello ".to_vec(), missed));
        assert_eq!(add(&mut outbox, "c"), Taken::Dropped);
        outbox.insist().expect("written");
        let mut read = [0; 8];
        client.read_exact(&mut read).expect("read");
        assert_eq!(std::str::from_utf8(&read), Ok("hello ac"));
        let kept: Vec<_> = outbox.missed(0).expect("both are kept").0.into_iter().map(|chunk| chunk.data).collect();
        assert_eq!(kept, ["a", "c"], "and this is what it would get the next time");
    }

    #[tokio::test]
    async fn a_socket_is_closed_by_whoever_gets_it_from_its_session_and_not_before() {
        let ends: [fn(&mut Outbox, &mut Outbox) -> Option<Writer>; 3] = [
            |outbox, _| outbox.suspend(),
            |outbox, _| outbox.hang_up(CloseReason::Kicked),
            |outbox, by| outbox.take_over(by, Vec::new(), Missed(Vec::new())),
        ];
        for end in ends {
            let ((mut client, Stream { writer, reader: _reader }), (_other, by)) = (socket(), socket());
            let (mut outbox, mut by) = (Outbox::new(writer), Outbox::new(by.writer));
            let left = end(&mut outbox, &mut by);
            client.set_nonblocking(true).expect("nonblocking");
            assert_eq!(client.read(&mut [0; 1]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
            drop(left);
            client.set_nonblocking(false).expect("blocking");
            assert_eq!(client.read(&mut [0; 1]).expect("the end"), 0);
        }
    }
}
