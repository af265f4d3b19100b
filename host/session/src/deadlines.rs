//! The state of one connection, changed by events, asked for deadlines.

use std::time::{Duration, Instant};

use duet_core::grace;

use crate::{Due, Heartbeat, Timeouts};

/// How long a connection that was closed may take to deliver its last bytes.
const CLOSING: Duration = Duration::from_secs(1);
/// How long a client that sends no more may take to get the answers to what it sent: more than any request takes.
pub const HALF_CLOSED: Duration = Duration::from_secs(30);

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Accepted; no whole packet yet.
    Opened,
    /// In use.
    Active,
    /// The client sends no more; what it asked for is still answered.
    HalfClosed,
    /// The server will close it: what comes is thrown away, what is queued is still delivered.
    Draining,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// At least one whole packet came.
    Packet,
    /// A packet was begun. Does nothing if one was begun already.
    PartialBegun,
    /// No part of a packet is left over.
    PartialDone,
    /// Bytes wait because the client does not read. Does nothing if some waited already.
    WriteBlocked,
    /// Some of the bytes that waited went out; more wait.
    WriteProgress,
    /// Nothing waits.
    WriteDone,
    /// The server sent a heartbeat.
    HeartbeatSent,
    /// Its session is bound to a uid. Does nothing if it was already.
    Bound,
    /// Its session is no longer bound. Does nothing if it was not.
    Unbound,
    /// Nothing is read for now: the client has to wait for the server, and no deadline of its own runs. Does nothing if it waited already.
    ReadHeld,
    /// The client is read again. Does nothing if it was read.
    ReadOn,
    /// The client sends no more.
    InputEnded,
    /// The server will close it.
    Drain,
}

/// The life of one connection.
#[derive(Clone, Debug)]
pub struct Deadlines {
    timeouts: Timeouts,
    state: State,
    opened: Instant,
    last_packet: Instant,
    last_heartbeat: Instant,
    unbound: Option<Instant>,
    partial: Option<Instant>,
    blocked: Option<Instant>,
    held: Option<Instant>,
    ending: Option<Instant>,
    /// No deadline of the client is judged before this time.
    grace: Option<Instant>,
}

impl Deadlines {
    /// A connection that was just accepted.
    pub const fn new(timeouts: Timeouts, now: Instant) -> Self {
        Self {
            timeouts,
            state: State::Opened,
            opened: now,
            last_packet: now,
            last_heartbeat: now,
            unbound: Some(now),
            partial: None,
            blocked: None,
            held: None,
            ending: None,
            grace: None,
        }
    }

    /// Its state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether the session is known to be bound.
    pub const fn is_bound(&self) -> bool {
        self.unbound.is_none()
    }

    /// Whether bytes are known to wait.
    pub const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Whether nothing is read for now.
    pub const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Notes an event.
    pub fn on(&mut self, event: Event, now: Instant) {
        match event {
            Event::Packet => {
                self.last_packet = now;
                if self.state == State::Opened {
                    self.state = State::Active;
                }
            }
            Event::PartialBegun => self.partial = self.partial.or(Some(now)),
            Event::PartialDone => self.partial = None,
            Event::WriteBlocked => self.blocked = self.blocked.or(Some(now)),
            Event::WriteProgress => self.blocked = Some(now),
            Event::WriteDone => self.blocked = None,
            Event::HeartbeatSent => self.last_heartbeat = now,
            Event::Bound => self.unbound = None,
            Event::Unbound => self.unbound = self.unbound.or(Some(now)),
            Event::ReadHeld => self.held = self.held.or(Some(now)),
            Event::ReadOn => self.read_on(now),
            // Opened, Active -> HalfClosed: the client ended its side.
            Event::InputEnded if matches!(self.state, State::Opened | State::Active) => {
                self.state = State::HalfClosed;
                self.ending = Some(now);
            }
            Event::InputEnded => {}
            // Any -> Draining: the end was decided.
            Event::Drain => {
                if self.state != State::Draining {
                    self.ending = Some(now);
                }
                self.state = State::Draining;
            }
        }
    }

    /// Moves the client's deadlines by the time in which it was not read: nothing was due from it then.
    fn read_on(&mut self, now: Instant) {
        let Some(since) = self.held.take() else { return };
        let held = now.saturating_duration_since(since);
        self.opened += held;
        self.last_packet += held;
        self.partial = self.partial.map(|begun| begun + held);
    }

    /// The next moment at which [`Self::due`] may answer. `None` if nothing can become due by time alone.
    pub fn earliest(&self) -> Option<Instant> {
        self.deadlines().map(|(at, _)| at).min()
    }

    /// What is due, the end of the connection before a heartbeat. If this is asked far too late, the client first gets some time to be
    /// heard.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        let due = self.deadlines().filter(|(at, _)| *at <= now);
        let (at, due) = due.min_by_key(|(at, due)| (*due == Due::Heartbeat, *at))?;
        if due.is_judged()
            && let Some(later) = grace(at, now)
        {
            self.grace = Some(later);
            return self.due(now);
        }
        Some(due)
    }

    fn deadlines(&self) -> impl Iterator<Item = (Instant, Due)> {
        let t = &self.timeouts;
        let reading = matches!(self.state, State::Opened | State::Active);
        let heard = reading && self.held.is_none();
        let beats = !t.heartbeat_interval.is_zero();
        let ticks = beats && t.heartbeat == Heartbeat::Tick;
        let authorizes = !t.authorize.is_zero();
        let ending = if self.state == State::HalfClosed { HALF_CLOSED } else { CLOSING };
        let grace = self.grace;
        [
            (heard && self.state == State::Opened).then(|| (self.opened + t.first_packet, Due::FirstPacket)),
            self.unbound.filter(|_| authorizes && reading).map(|since| (since + t.authorize, Due::Authorize)),
            self.partial.filter(|_| heard).map(|since| (since + t.packet, Due::Packet)),
            (heard && beats && self.state == State::Active).then(|| (self.last_packet + t.heartbeat_interval * 2, Due::Silence)),
            self.blocked.map(|since| (since + t.write, Due::Write)),
            self.ending.map(|since| (since + ending, Due::Closing)),
            (ticks && reading).then(|| (self.last_heartbeat + t.heartbeat_interval, Due::Heartbeat)),
        ]
        .into_iter()
        .flatten()
        .map(move |(at, due)| (grace.filter(|_| due.is_judged()).map_or(at, |grace| at.max(grace)), due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        first_packet: Duration::from_secs(15),
        authorize: Duration::ZERO,
        packet: Duration::from_secs(5),
        write: Duration::from_secs(10),
        heartbeat: Heartbeat::Respond,
        heartbeat_interval: Duration::from_secs(10),
    };

    fn secs(t: Instant, s: f64) -> Instant {
        t + Duration::from_secs_f64(s)
    }

    #[test]
    fn silence_counts_from_the_last_packet_whatever_it_was() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(TIMEOUTS, t);
        deadlines.on(Event::Packet, secs(t, 10.0));
        assert_eq!(deadlines.state(), State::Active);
        assert_eq!(deadlines.due(secs(t, 29.9)), None);
        assert_eq!(deadlines.due(secs(t, 30.0)), Some(Due::Silence));
    }

    #[test]
    fn an_interval_of_zero_switches_silence_and_ticks_off() {
        let t = Instant::now();
        let off = Timeouts { heartbeat_interval: Duration::ZERO, heartbeat: Heartbeat::Tick, ..TIMEOUTS };
        let mut deadlines = Deadlines::new(off, t);
        deadlines.on(Event::Packet, t);
        assert_eq!(deadlines.earliest(), None);
    }

    #[test]
    fn a_tick_is_due_every_interval_and_never_hides_the_end() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(Timeouts { heartbeat: Heartbeat::Tick, ..TIMEOUTS }, t);
        deadlines.on(Event::Packet, t);
        assert_eq!(deadlines.due(secs(t, 10.0)), Some(Due::Heartbeat));
        deadlines.on(Event::HeartbeatSent, secs(t, 10.0));
        assert_eq!(deadlines.due(secs(t, 19.9)), None);
        assert_eq!(deadlines.due(secs(t, 20.0)), Some(Due::Silence));
    }

    #[test]
    fn a_client_that_reads_a_little_now_and_then_keeps_its_connection() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(Timeouts { heartbeat_interval: Duration::ZERO, ..TIMEOUTS }, t);
        deadlines.on(Event::Packet, t);
        deadlines.on(Event::WriteBlocked, t);
        deadlines.on(Event::WriteProgress, secs(t, 9.0));
        deadlines.on(Event::WriteBlocked, secs(t, 12.0));
        assert_eq!(deadlines.due(secs(t, 18.9)), None);
        assert_eq!(deadlines.due(secs(t, 19.0)), Some(Due::Write));
        deadlines.on(Event::WriteDone, secs(t, 18.0));
        assert_eq!(deadlines.due(secs(t, 60.0)), None);
    }

    const AUTHORIZED: Timeouts = Timeouts { authorize: Duration::from_secs(7), heartbeat_interval: Duration::ZERO, ..TIMEOUTS };

    #[test]
    fn a_connection_that_nobody_logs_in_on_ends_however_busy_it_is() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(AUTHORIZED, t);
        assert_eq!(deadlines.earliest(), Some(secs(t, 7.0)));
        for i in 1..7 {
            deadlines.on(Event::Packet, secs(t, f64::from(i)));
        }
        assert_eq!(deadlines.earliest(), Some(secs(t, 7.0)));
        assert_eq!(deadlines.due(secs(t, 6.9)), None);
        assert_eq!(deadlines.due(secs(t, 7.0)), Some(Due::Authorize));
    }

    #[test]
    fn a_login_ends_the_wait_and_a_logout_begins_it_anew() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(AUTHORIZED, t);
        deadlines.on(Event::Packet, t);
        deadlines.on(Event::Bound, secs(t, 6.0));
        deadlines.on(Event::Bound, secs(t, 6.5));
        assert_eq!(deadlines.earliest(), None);
        deadlines.on(Event::Unbound, secs(t, 100.0));
        assert_eq!(deadlines.earliest(), Some(secs(t, 107.0)));
        deadlines.on(Event::Bound, secs(t, 106.0));
        assert_eq!(deadlines.due(secs(t, 200.0)), None);
    }

    #[test]
    fn a_logout_without_a_login_does_not_extend_the_wait() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(AUTHORIZED, t);
        deadlines.on(Event::Packet, t);
        deadlines.on(Event::Unbound, secs(t, 6.0));
        assert_eq!(deadlines.due(secs(t, 7.0)), Some(Due::Authorize));
        deadlines.on(Event::Bound, secs(t, 7.0));
        deadlines.on(Event::Unbound, secs(t, 8.0));
        deadlines.on(Event::Unbound, secs(t, 14.0));
        assert_eq!(deadlines.due(secs(t, 15.0)), Some(Due::Authorize));
    }

    #[test]
    fn the_earlier_of_first_packet_and_login_is_due_first() {
        let t = Instant::now();
        let patient = Timeouts { authorize: Duration::from_secs(20), ..AUTHORIZED };
        assert_eq!(Deadlines::new(AUTHORIZED, t).due(secs(t, 7.0)), Some(Due::Authorize));
        assert_eq!(Deadlines::new(patient, t).due(secs(t, 15.0)), Some(Due::FirstPacket));
    }

    #[test]
    fn zero_switches_the_wait_for_a_login_off() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(Timeouts { heartbeat_interval: Duration::ZERO, ..TIMEOUTS }, t);
        deadlines.on(Event::Packet, t);
        deadlines.on(Event::Bound, t);
        deadlines.on(Event::Unbound, t);
        assert_eq!(deadlines.earliest(), None);
    }

    #[test]
    fn a_client_that_is_not_read_owes_nothing() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(TIMEOUTS, t);
        deadlines.on(Event::ReadHeld, secs(t, 5.0));
        deadlines.on(Event::ReadHeld, secs(t, 6.0));
        assert_eq!(deadlines.earliest(), None);
        deadlines.on(Event::ReadOn, secs(t, 105.0));
        deadlines.on(Event::ReadOn, secs(t, 200.0));
        assert_eq!(deadlines.earliest(), Some(secs(t, 115.0)), "10 of 15 s are left for the first packet");
        deadlines.on(Event::Packet, secs(t, 110.0));
        deadlines.on(Event::PartialBegun, secs(t, 110.0));
        deadlines.on(Event::ReadHeld, secs(t, 111.0));
        assert_eq!(deadlines.earliest(), None);
        deadlines.on(Event::ReadOn, secs(t, 150.0));
        assert_eq!(deadlines.due(secs(t, 153.9)), None);
        assert_eq!(deadlines.due(secs(t, 154.0)), Some(Due::Packet), "4 of 5 s were left");
        deadlines.on(Event::PartialDone, secs(t, 154.0));
        assert_eq!(deadlines.earliest(), Some(secs(t, 169.0)), "19 of 20 s of silence were left");
    }

    #[test]
    fn who_does_not_read_is_not_excused_by_not_being_read() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(AUTHORIZED, t);
        deadlines.on(Event::WriteBlocked, t);
        deadlines.on(Event::ReadHeld, t);
        assert_eq!(deadlines.earliest(), Some(secs(t, 7.0)), "and a login is due however long nothing is read");
        deadlines.on(Event::Bound, t);
        assert_eq!(deadlines.due(secs(t, 10.0)), Some(Due::Write));
    }

    #[test]
    fn after_a_stall_a_client_has_some_time_to_be_heard() {
        let t = Instant::now();
        let mut deadlines = Deadlines::new(TIMEOUTS, t);
        deadlines.on(Event::Packet, t);
        assert_eq!(deadlines.due(secs(t, 60.0)), None, "nobody has watched it for 60 s");
        assert_eq!(deadlines.earliest(), Some(secs(t, 62.0)));
        let mut silent = deadlines.clone();
        assert_eq!(silent.due(secs(t, 62.0)), Some(Due::Silence));
        assert_eq!(silent.due(secs(t, 90.0)), None, "stalled once more");
        deadlines.on(Event::Packet, secs(t, 61.0));
        assert_eq!(deadlines.earliest(), Some(secs(t, 81.0)));
    }
}
