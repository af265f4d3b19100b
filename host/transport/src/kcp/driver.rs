//! The one task of a listener: receives datagrams for all sessions, keeps their deadlines, and lets in who has proved an address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::mpsc;

use super::cookie::Cookies;
use super::ended::Ended;
use super::halves::{KcpReader, KcpWriter, halves};
use super::port::Port;
use super::segment::{self, ACK, HEAD_BYTES, Head, PUSH};
use super::session::{Key, Session};
use super::stats::{Refusal, add};

/// Datagrams that are read before deadlines are looked at again.
const BATCH: usize = 64;
/// Longest datagram that is taken, more than any network that a client is in lets through.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Owns the sessions of a port.
#[derive(Debug)]
pub(super) struct Driver {
    port: Arc<Port>,
    cookies: Cookies,
    greeting: Vec<u8>,
    /// The last answer; its memory is used again.
    answer: Vec<u8>,
    sessions: HashMap<Key, Arc<Session>>,
    ended: Ended,
    accepted: mpsc::Sender<(KcpReader, KcpWriter, SocketAddr)>,
    /// Sessions that received something in this batch.
    touched: Vec<Arc<Session>>,
}

impl Driver {
    pub(super) fn new(
        port: Arc<Port>,
        cookies: Cookies,
        greeting: Vec<u8>,
        accepted: mpsc::Sender<(KcpReader, KcpWriter, SocketAddr)>,
    ) -> Self {
        let ended = Ended::new(port.options().sessions_max);
        Self { port, cookies, greeting, answer: Vec::new(), sessions: HashMap::new(), ended, accepted, touched: Vec::new() }
    }

    /// Runs until the listener and all sessions are gone.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        let mut expects_replies = false;
        while !(self.accepted.is_closed() && self.sessions.is_empty()) {
            // A reply to what was just read would arm a timer of one interval: looking then saves waking this task for each reply.
            let latest = expects_replies.then(|| Instant::now() + self.port.options().interval);
            let wake = self.port.timers().plan(latest);
            let is_readable = tokio::select! {
                readable = self.port.readable() => match readable {
                    Ok(()) => true,
                    Err(_) => return,
                },
                () = sleep_until(wake) => false,
                () = self.port.timers().changed() => false,
            };
            let turn = AssertUnwindSafe(|| {
                self.keep_deadlines(Instant::now());
                is_readable && self.receive(&mut buffer)
            });
            expects_replies = catch_unwind(turn).unwrap_or_else(|_| {
                // It was about a datagram or a deadline of no session, which is gone.
                add(&self.port.stats().panics, 1);
                tracing::error!("the driver of a kcp port panicked and goes on");
                true
            });
        }
    }

    fn keep_deadlines(&mut self, now: Instant) {
        while let Some((at, key)) = self.port.timers().due(now) {
            if let Some(session) = self.sessions.get(&key)
                && !session.contain(|| session.tick(at, now)).unwrap_or(true)
            {
                self.sessions.remove(&key);
                self.ended.insert(key, self.cookies.slot(now));
                self.port.stats().sessions.store(self.sessions.len(), Ordering::Relaxed);
            }
        }
    }

    /// Reads a batch of datagrams. True if there was one.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        let mut received = false;
        for _ in 0..BATCH {
            // Errors are of single datagrams; the next call says if there are more.
            let Ok((length, peer)) = self.port.try_receive(buffer) else { break };
            received = true;
            let datagram = buffer.get_mut(..length).filter(|_| length <= DATAGRAM_BYTES_MAX).unwrap_or_default();
            // Not one time for the batch: a datagram may acknowledge what another thread has sent since it began.
            if let Err(refusal) = self.take(datagram, peer, Instant::now()) {
                self.port.stats().refused(refusal);
            }
        }
        for session in self.touched.drain(..) {
            session.contain(|| session.settle(Instant::now()));
        }
        received
    }

    fn take(&mut self, datagram: &mut [u8], peer: SocketAddr, now: Instant) -> Result<(), Refusal> {
        let length = datagram.len();
        let segments = segment::unframed(datagram)?;
        let Some((_, first)) = segment::heads(segments).next().flatten() else { return Err(Refusal::Malformed) };
        let key = Key { peer, conv: first.conv };
        if let Some(session) = self.sessions.get(&key) {
            return Self::feed(&mut self.touched, session, segments, now);
        }
        add(&self.port.stats().unproved_bytes_in, length);
        self.meet(key, segments, length, now)
    }

    fn feed(touched: &mut Vec<Arc<Session>>, session: &Arc<Session>, segments: &mut [u8], now: Instant) -> Result<(), Refusal> {
        if session.contain(|| session.feed(segments, now)).unwrap_or(Ok(false))? {
            touched.push(Arc::clone(session));
        }
        Ok(())
    }

    /// A datagram without a session: lets in who returns a cookie, and issues one to who begins.
    fn meet(&mut self, key: Key, segments: &mut [u8], length: usize, now: Instant) -> Result<(), Refusal> {
        let mut proof = None;
        let mut begins = false;
        for head in segment::heads(segments) {
            let Some((_, head)) = head.filter(|(_, head)| head.conv == key.conv) else { return Err(Refusal::Malformed) };
            match head.command {
                // Only a client that has received the greeting and nothing after it expects number 1. Only the first counts, so that
                // a datagram is one guess.
                ACK if head.number == 0 && head.expected == 1 && proof.is_none() => proof = Some(head),
                PUSH if head.number == 0 && head.expected <= 1 => begins = true,
                _ => {}
            }
        }
        let issued = proof.and_then(|head| Some((head, self.cookies.check(key, head.timestamp, now)?)));
        match issued {
            Some((_, issued)) if self.ended.covers(key, issued) => Err(Refusal::Ended),
            Some((head, _)) => self.open(key, head.window, segments, now),
            None if begins => self.greet(key, length, now),
            None => Err(Refusal::Stray),
        }
    }

    fn open(&mut self, key: Key, window: u16, segments: &mut [u8], now: Instant) -> Result<(), Refusal> {
        if self.sessions.len() >= self.port.options().sessions_max {
            return Err(Refusal::Full);
        }
        let place = self.accepted.try_reserve().map_err(|_| Refusal::Full)?;
        let session = Session::open(key, Arc::clone(&self.port), window, now).map_err(|_| Refusal::Full)?;
        let session = Arc::new(session);
        let (reader, writer) = halves(&session);
        place.send((reader, writer, key.peer));
        let fed = Self::feed(&mut self.touched, &session, segments, now);
        self.sessions.insert(key, session);
        self.port.stats().sessions.store(self.sessions.len(), Ordering::Relaxed);
        add(&self.port.stats().sessions_opened, 1);
        fed
    }

    /// Sends the greeting with a cookie, unless it is longer than what it answers.
    fn greet(&mut self, key: Key, length: usize, now: Instant) -> Result<(), Refusal> {
        if HEAD_BYTES + self.greeting.len() > length {
            return Err(Refusal::Short);
        }
        let head = Head {
            conv: key.conv,
            command: PUSH,
            window: self.port.options().receive_window,
            timestamp: self.cookies.issue(key, now),
            number: 0,
            expected: 0,
            length: self.greeting.len() as u32,
        };
        self.answer.clear();
        head.write(&mut self.answer);
        self.answer.extend_from_slice(&self.greeting);
        if self.port.send(&self.answer, key.peer) {
            add(&self.port.stats().unproved_bytes_out, self.answer.len());
        }
        Ok(())
    }
}

impl Drop for Driver {
    /// Nobody is left waiting for a driver that is gone.
    fn drop(&mut self) {
        self.sessions.values().for_each(|session| session.end());
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
