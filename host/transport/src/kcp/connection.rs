//! One connection: the protocol core behind a lock, between the driver and the two halves.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use duet_core::{Mutex, MutexGuard, grace};
use kcp::Kcp;
use tokio::io::ReadBuf;

use super::key::Key;
use super::port::Port;
use super::segment::{self, Bounds, Head, TELL_WINDOW};
use super::stats::Refusal;
use output::{Output, Sent};

mod contain;
mod output;

/// One client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    key: Key,
    port: Arc<Port>,
    sent: Arc<Sent>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    core: Result<Kcp<Output>, End>,
    /// What is left of a segment that was larger than the reader's buffer.
    rest: Vec<u8>,
    /// Segments since the last flush that want an answer.
    wanting: usize,
    /// Whether the driver already knows that something was received.
    is_touched: bool,
    /// When something was last heard, or when something began to be unacknowledged.
    heard: Instant,
    /// Nothing goes out before this time.
    hushed_until: Option<Instant>,
    /// After a shutdown: when the connection is forgotten.
    lingers_until: Option<Instant>,
    /// The deadline that counts; others of this connection in the heap are stale.
    timer: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn may_speak(&self, now: Instant) -> bool {
        self.hushed_until.is_none_or(|until| until <= now)
    }
}

/// How a connection ended. Its core and what was in it are gone.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Closed,
    Dead,
    Superseded,
}

impl From<End> for io::Error {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::new(ErrorKind::BrokenPipe, "the connection was shut down"),
            End::Dead => Self::new(ErrorKind::TimedOut, "the client stopped acknowledging"),
            End::Superseded => Self::new(ErrorKind::ConnectionReset, "the client started over"),
        }
    }
}

impl Connection {
    /// The connection of a client that has received the greeting, and says what it expects and how many segments it takes.
    pub(super) fn open(key: Key, port: Arc<Port>, client: &Head, now: Instant) -> io::Result<Self> {
        let options = port.options();
        let sent = Arc::new(Sent::new(Arc::clone(&port), key.peer));
        let core = if options.stream { Kcp::new_stream } else { Kcp::new };
        let mut core = core(key.conv, Output(Arc::clone(&sent)));
        core.set_mtu(options.mtu)?;
        let interval = i32::try_from(options.interval.as_millis()).unwrap_or(i32::MAX);
        core.set_nodelay(options.nodelay, interval, i32::try_from(options.resend).unwrap_or(i32::MAX), options.nc);
        core.set_wndsize(options.send_window, options.receive_window);

        // The greeting went out before there was a connection. Here it is numbered, and acknowledged; and so is what an earlier connection
        // resent and this client took for its own.
        for number in 0..client.expected.clamp(1, u32::from(options.send_window)) {
            core.send(&[0])?;
            core.update(port.milliseconds(now))?;
            // With congestion control the first flush only opens the window.
            core.flush()?;
            let mut acknowledged = Vec::new();
            Head { command: TELL_WINDOW, timestamp: 0, number: 0, expected: number + 1, length: 0, ..*client }.write(&mut acknowledged);
            core.input(&acknowledged)?;
        }
        let state = State {
            core: Ok(core),
            rest: Vec::new(),
            wanting: 0,
            is_touched: false,
            heard: now,
            hushed_until: None,
            lingers_until: None,
            timer: None,
            reader: None,
            writer: None,
        };
        Ok(Self { key, port, sent, state: Mutex::new(state) })
    }

    /// Takes in a datagram. True for the first since the last [`Connection::settle`].
    pub(super) fn feed(&self, segments: &mut [u8], now: Instant) -> Result<bool, Refusal> {
        let mut state = self.state.lock();
        self.sent.set_open(state.may_speak(now));
        let Ok(core) = &mut state.core else { return Err(Refusal::Stray) };
        let milliseconds = self.port.milliseconds(now);
        let bounds = Bounds { conv: self.key.conv, now: milliseconds, next: self.sent.next(), expected: self.sent.expected() };
        let wanting = segment::admit(segments, &bounds)?;
        // The core measures round trips by its own clock, which only an update sets.
        core.update(milliseconds).and_then(|()| core.input(segments)).map_err(|_| Refusal::Malformed)?;
        state.heard = now;
        state.wanting += wanting;
        if state.wanting > usize::from(self.port.options().receive_window) {
            // A flood of repeated segments: the list of acknowledgements does not grow with it.
            let _ = self.flush(&mut state, now);
        }
        Ok(!mem::replace(&mut state.is_touched, true))
    }

    /// After the datagrams of a batch: answers them, sends what the window now allows, and wakes whoever waits.
    pub(super) fn settle(&self, now: Instant) {
        let mut state = self.state.lock();
        state.is_touched = false;
        let Ok(core) = &state.core else { return };
        let (readable, writable) = (core.peeksize().is_ok(), core.wait_snd() < self.waiting_max());
        if core.wait_snd() > 0 || (state.wanting > 0 && self.port.options().ack_no_delay) {
            let _ = self.flush(&mut state, now);
        }
        self.rearm(&mut state, now);
        let reader = state.reader.take_if(|_| readable);
        let writer = state.writer.take_if(|_| writable);
        drop(state);
        [reader, writer].into_iter().flatten().for_each(Waker::wake);
    }

    /// Does what is due at a deadline. False once the connection has ended.
    pub(super) fn tick(&self, at: Instant, now: Instant) -> bool {
        let mut state = self.state.lock();
        if state.timer != Some(at) {
            return true;
        }
        state.timer = None;
        let flushed = self.flush(&mut state, now);
        let dead_link = self.port.options().dead_link;
        if let Some(later) = grace(at, now) {
            // Nobody has listened for some time, so the client may not have been silent.
            state.heard = later.checked_sub(dead_link).map_or(later, |since| since.max(state.heard));
        }
        let Ok(core) = &state.core else { return false };
        let silent = core.wait_snd() > 0 && now.saturating_duration_since(state.heard) >= dead_link;
        if state.lingers_until.is_some_and(|until| until <= now) {
            Self::finish(state, End::Closed);
            false
        } else if silent || core.is_dead_link() || flushed.is_err() {
            self.port.stats().sessions_dead.fetch_add(1, Ordering::Relaxed);
            Self::finish(state, End::Dead);
            false
        } else {
            self.rearm(&mut state, now);
            true
        }
    }

    /// Ends the connection now, if it has not ended.
    pub(super) fn end(&self, end: End) {
        let state = self.state.lock();
        if state.core.is_ok() {
            Self::finish(state, end);
        }
    }

    /// Sends nothing until then, as if it were lost on the way.
    pub(super) fn hush(&self, until: Option<Instant>) {
        self.state.lock().hushed_until = until;
    }

    /// The number that the client was told is expected from it next. While that is 0, nothing of it was received.
    pub(super) fn expected(&self) -> u32 {
        self.sent.expected()
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let State { core, rest, reader, .. } = &mut *state;
        let core = match core {
            Ok(core) => core,
            Err(End::Closed) => return Poll::Ready(Ok(())),
            Err(end) => return Poll::Ready(Err((*end).into())),
        };
        let before = buf.filled().len();
        fill(core, rest, buf)?;
        if buf.filled().len() == before && buf.remaining() > 0 {
            park(reader, cx);
            return Poll::Pending;
        }
        if self.sent.window() == 0 {
            // The client was told to stop. Only now does it hear that there is room.
            let now = Instant::now();
            let _ = self.flush(&mut state, now);
            self.rearm(&mut state, now);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.lingers_until.is_some() {
            return Err(End::Closed.into());
        }
        let core = state.core.as_mut().map_err(|end| io::Error::from(*end))?;
        let waiting = core.wait_snd();
        let room = self.waiting_max().saturating_sub(waiting);
        if room == 0 && !data.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        // Each chunk is a message of its own: one of several fragments would not fit through a small window.
        for chunk in data.chunks(core.mss()).take(room) {
            taken += core.send(chunk)?;
        }
        let now = Instant::now();
        if waiting == 0 {
            state.heard = now;
        }
        self.flush(&mut state, now)?;
        self.rearm(&mut state, now);
        Ok(taken)
    }

    pub(super) fn try_flush(&self) -> io::Result<bool> {
        let mut state = self.state.lock();
        self.flush(&mut state, Instant::now())?;
        let core = state.core.as_ref().map_err(|end| io::Error::from(*end))?;
        Ok(core.wait_snd() == 0)
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let core = state.core.as_ref().map_err(|end| io::Error::from(*end))?;
        if core.wait_snd() < self.waiting_max() {
            return Poll::Ready(Ok(()));
        }
        park(&mut state.writer, cx);
        Poll::Pending
    }

    pub(super) fn shutdown(&self) {
        let mut state = self.state.lock();
        if state.core.is_ok() && state.lingers_until.is_none() {
            let now = Instant::now();
            state.lingers_until = Some(now + self.port.options().linger);
            self.rearm(&mut state, now);
        }
    }

    /// The most segments that may be in flight or wait.
    fn waiting_max(&self) -> usize {
        usize::from(self.port.options().send_window.max(1)) * 2
    }

    /// Sends what is due: answers, resends, and what the window allows.
    fn flush(&self, state: &mut State, now: Instant) -> io::Result<()> {
        self.sent.set_open(state.may_speak(now));
        let core = state.core.as_mut().map_err(|end| io::Error::from(*end))?;
        core.update(self.port.milliseconds(now))?;
        core.flush()?;
        state.wanting = 0;
        Ok(())
    }

    /// Sets the next deadline. There is none while nothing is owed to the client, nor awaited from it.
    fn rearm(&self, state: &mut State, now: Instant) {
        let work = match &state.core {
            Ok(core) if core.wait_snd() > 0 || state.wanting > 0 => {
                let wait = core.check(self.port.milliseconds(now)).max(1);
                Some(now + Duration::from_millis(u64::from(wait)))
            }
            _ => None,
        };
        if let Some(at) = [work, state.lingers_until].into_iter().flatten().min()
            && state.timer.is_none_or(|timer| at < timer)
        {
            state.timer = Some(at);
            self.port.timers().arm(at, self.key);
        }
    }

    /// Ends the connection. The core is freed, and the two tasks are woken, only after the lock is free: they take it at once.
    fn finish(mut state: MutexGuard<'_, State>, end: End) {
        let core = mem::replace(&mut state.core, Err(end));
        state.rest = Vec::new();
        let waiting = [state.reader.take(), state.writer.take()];
        drop(state);
        drop(core);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Moves received data into a buffer, as much as fits.
fn fill(core: &mut Kcp<Output>, rest: &mut Vec<u8>, buf: &mut ReadBuf<'_>) -> io::Result<()> {
    loop {
        if !rest.is_empty() {
            let part = rest.len().min(buf.remaining());
            buf.put_slice(rest.drain(..part).as_slice());
            if !rest.is_empty() {
                return Ok(());
            }
            *rest = Vec::new();
        }
        let Ok(size) = core.peeksize() else { return Ok(()) };
        if size <= buf.remaining() {
            // Also takes empty segments away.
            core.recv(buf.initialize_unfilled_to(size))?;
            buf.advance(size);
        } else if buf.remaining() > 0 {
            rest.resize(size, 0);
            core.recv(rest)?;
        } else {
            return Ok(());
        }
    }
}

fn park(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

#[cfg(test)]
mod tests;
