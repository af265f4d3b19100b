//! The one task of a listener: receives datagrams for all connections, keeps their deadlines, and lets in clients that have proved their
//! address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use duet_core::panic::told;
use tokio::sync::mpsc;

use super::admission::{KcpAdmission, KcpConnection};
use super::connection::{Connection, End};
use super::cookie::Cookies;
use super::ended::Ended;
use super::halves::halves;
use super::key::Key;
use super::life::{Life, Whose};
use super::port::Port;
use super::segment::{self, HEAD_BYTES, Head, Opening, PUSH};
use super::stats::{Refusal, add};
use crate::listener::canonical;

/// Datagrams that are read before deadlines are checked again.
const BATCH: usize = 64;
/// Longest datagram that is taken, more than any network that a client is in lets through.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Owns the connections of a port.
pub(super) struct Driver<T> {
    port: Arc<Port>,
    cookies: Cookies,
    admission: KcpAdmission<T>,
    lives: HashMap<Key, Life>,
    lives_begun: u64,
    ended: Ended,
    accepted: mpsc::Sender<KcpConnection<T>>,
    /// Connections that received something in this batch.
    touched: Vec<Arc<Connection>>,
}

impl<T> Driver<T> {
    pub(super) fn new(port: Arc<Port>, cookies: Cookies, admission: KcpAdmission<T>, accepted: mpsc::Sender<KcpConnection<T>>) -> Self {
        let ended = Ended::new(port.options().sessions_max);
        Self { port, cookies, admission, lives: HashMap::new(), lives_begun: 0, ended, accepted, touched: Vec::new() }
    }

    /// Runs until the listener and all connections are gone.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        let mut expects_replies = false;
        while !(self.accepted.is_closed() && self.lives.is_empty()) {
            // A reply to what was just read would arm a timer of one interval: looking then saves waking this task for each reply.
            let latest = expects_replies.then(|| Instant::now() + self.port.options().interval);
            let wake = self.port.timers().plan(latest);
            tokio::select! {
                readable = self.port.readable() => if readable.is_err() { return },
                () = sleep_until(wake) => {}
                () = self.port.timers().changed() => {}
            }
            let turn = AssertUnwindSafe(|| {
                // What has arrived may be what a deadline waits for.
                let received = self.receive(&mut buffer);
                self.keep_deadlines(Instant::now());
                received
            });
            expects_replies = catch_unwind(turn).unwrap_or_else(|panic| {
                // It was about a datagram or a deadline that belongs to no connection, and is gone.
                let panic = told(panic);
                add(&self.port.stats().panics, 1);
                tracing::error!("the driver of a kcp port panicked and goes on: {panic}");
                true
            });
        }
    }

    fn keep_deadlines(&mut self, now: Instant) {
        while let Some((at, key)) = self.port.timers().due(now) {
            if let Some(connection) = self.lives.get(&key).map(Life::connection)
                && !connection.contain(|| connection.tick(at, now)).unwrap_or(true)
            {
                self.forget(key, now);
            }
        }
    }

    fn forget(&mut self, key: Key, now: Instant) {
        if let Some(life) = self.lives.remove(&key) {
            self.ended.insert(key, life.successor(), self.cookies.slot(now));
            self.port.stats().sessions.store(self.lives.len(), Ordering::Relaxed);
        }
    }

    /// Reads a batch of datagrams. True if there was one.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        let mut received = false;
        for _ in 0..BATCH {
            // Errors concern single datagrams; the next call says whether there are more.
            let Ok((length, peer)) = self.port.try_receive(buffer) else { break };
            received = true;
            let datagram = buffer.get_mut(..length).filter(|_| length <= DATAGRAM_BYTES_MAX).unwrap_or_default();
            // The time is read for each: a datagram may acknowledge what another thread has sent since the batch began.
            if let Err(refusal) = self.take(datagram, peer, Instant::now()) {
                self.port.stats().refused(refusal);
            }
        }
        for connection in self.touched.drain(..) {
            connection.contain(|| connection.settle(Instant::now()));
        }
        received
    }

    fn take(&mut self, datagram: &mut [u8], peer: SocketAddr, now: Instant) -> Result<(), Refusal> {
        let length = datagram.len();
        let segments = segment::unframed(datagram)?;
        let Some((_, first)) = segment::heads(segments).next().flatten() else { return Err(Refusal::Malformed) };
        let key = Key { peer, conv: first.conv };
        if first.expected > 1
            && let Some(life) = self.lives.get_mut(&key).filter(|life| life.is_certain(now))
        {
            Self::feed(&mut self.touched, life.connection(), segments, now)?;
            life.settle();
            return Ok(());
        }
        self.meet(key, &first, segments, length, now)
    }

    fn feed(touched: &mut Vec<Arc<Connection>>, connection: &Arc<Connection>, segments: &mut [u8], now: Instant) -> Result<(), Refusal> {
        if connection.contain(|| connection.feed(segments, now)).unwrap_or(Ok(false))? {
            touched.push(Arc::clone(connection));
        }
        Ok(())
    }

    /// A datagram that may come from a client that has received nothing but a greeting, if anything. Lets in whoever returns a cookie, and
    /// issues one to whoever begins.
    fn meet(&mut self, key: Key, first: &Head, segments: &mut [u8], length: usize, now: Instant) -> Result<(), Refusal> {
        let opening = Opening::read(segments, key.conv)?;
        let after = self.lives.get(&key).map_or_else(|| self.ended.last(key), Life::successor);
        let proof = opening.proof.filter(|head| self.cookies.check(key, after, head.timestamp, now));
        if let Some(life) = self.lives.get_mut(&key) {
            match life.whose(first, &opening, proof.as_ref(), now) {
                Whose::Own => return Self::feed(&mut self.touched, life.connection(), segments, now),
                Whose::Stranger => add(&self.port.stats().unproved_bytes_in, length),
                Whose::Unclear => return Err(Refusal::Stray),
                Whose::Rival => {
                    life.connection().end(End::Superseded);
                    self.forget(key, now);
                    // If the old place is not given back in time, the client asks again by resending.
                    return self.open(key, first, segments, now);
                }
            }
            return self.greet(key, after, length, now);
        }
        add(&self.port.stats().unproved_bytes_in, length);
        match proof.filter(|head| head.expected == 1) {
            Some(head) => self.open(key, &head, segments, now).inspect_err(|refusal| {
                if *refusal == Refusal::Admission {
                    self.part(key, now);
                }
            }),
            None if opening.begins.is_some_and(|expected| expected <= 1) => self.greet(key, after, length, now),
            None => Err(Refusal::Stray),
        }
    }

    /// Opens the connection of a client, whose head says what it has received and how much it takes.
    fn open(&mut self, key: Key, client: &Head, segments: &mut [u8], now: Instant) -> Result<(), Refusal> {
        // A client that finds no room here tries again by itself, very soon.
        let place = self.accepted.try_reserve().map_err(|_| Refusal::Full)?;
        if self.lives.len() >= self.port.options().sessions_max {
            return Err(Refusal::Admission);
        }
        let peer = canonical(key.peer);
        let admitted = (self.admission.admit)(peer).ok_or(Refusal::Admission)?;
        let connection = Connection::open(key, Arc::clone(&self.port), client, now).map_err(|_| Refusal::Full)?;
        let connection = Arc::new(connection);
        let (reader, writer) = halves(&connection);
        place.send(KcpConnection { reader, writer, peer, admitted });
        let fed = Self::feed(&mut self.touched, &connection, segments, now);
        self.lives_begun += 1;
        self.lives.insert(key, Life::new(connection, self.lives_begun));
        self.port.stats().sessions.store(self.lives.len(), Ordering::Relaxed);
        add(&self.port.stats().sessions_opened, 1);
        fed
    }

    /// Sends the greeting with a cookie, unless it is too long for what it answers.
    fn greet(&mut self, key: Key, after: u64, length: usize, now: Instant) -> Result<(), Refusal> {
        if HEAD_BYTES + self.admission.greeting.len() > length + length / 4 {
            return Err(Refusal::Short);
        }
        let cookie = self.cookies.issue(key, after, now);
        if say(&self.port, key, (0, cookie), &self.admission.greeting) {
            add(&self.port.stats().unproved_bytes_out, HEAD_BYTES + self.admission.greeting.len());
        }
        Ok(())
    }

    /// Tells a client that has received the greeting that it is not admitted, if there is something to say.
    fn part(&self, key: Key, now: Instant) {
        if !self.admission.farewell.is_empty() {
            say(&self.port, key, (1, self.port.milliseconds(now)), &self.admission.farewell);
        }
    }
}

/// Sends a segment of this number and time without a connection. True if it went out.
fn say(port: &Port, key: Key, (number, timestamp): (u32, u32), data: &[u8]) -> bool {
    let window = port.options().receive_window;
    let mut answer = Vec::with_capacity(HEAD_BYTES + data.len());
    Head { conv: key.conv, command: PUSH, window, timestamp, number, expected: 0, length: data.len() as u32 }.write(&mut answer);
    answer.extend_from_slice(data);
    port.send(&answer, key.peer)
}

impl<T> Drop for Driver<T> {
    /// Nobody is left waiting for a driver that is gone.
    fn drop(&mut self) {
        self.lives.values().for_each(|life| life.connection().end(End::Closed));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
