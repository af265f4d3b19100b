//! Every event in every state of a connection.

use std::time::{Duration, Instant};

use duet_session::{Deadlines, Event, Heartbeat, State, Timeouts};

/// Defines [`EVENTS`] from a match, so that an event that is not listed does not compile.
macro_rules! events {
    ($($event:ident),*) => {
        const EVENTS: &[Event] = &[$(Event::$event),*];

        const fn listed(event: Event) -> bool {
            match event {
                $(Event::$event)|* => true,
            }
        }
    };
}
events!(
    Packet,
    PartialBegun,
    PartialDone,
    WriteBlocked,
    WriteProgress,
    WriteDone,
    HeartbeatSent,
    Bound,
    Unbound,
    ReadHeld,
    ReadOn,
    InputEnded,
    Drain
);

/// What a connection is doing when the event comes.
#[derive(Clone, Copy, Debug)]
enum Doing {
    /// Nothing.
    Quiet,
    /// Bound; a packet was begun.
    Reading,
    /// Bound; bytes wait.
    Writing,
}

/// What follows from an event at second 1: state, next deadline, what is due then.
/// By what the connection does, then by the state it is in: opened, active, draining.
fn expected(event: Event) -> [[&'static str; 3]; 3] {
    let active = "Active 20 Authorize";
    let closing = "Draining 1 Closing";
    match event {
        Event::Packet => {
            [[active, active, closing], ["Active 5 Packet", "Active 5 Packet", closing], ["Active 3 Write", "Active 3 Write", closing]]
        }
        Event::PartialBegun => [
            ["Opened 6 Packet", "Active 6 Packet", closing],
            ["Opened 5 Packet", "Active 5 Packet", closing],
            ["Opened 3 Write", "Active 3 Write", closing],
        ],
        Event::PartialDone => [
            ["Opened 20 Authorize", active, closing],
            ["Opened 30 FirstPacket", "Active 40 Silence", closing],
            ["Opened 3 Write", "Active 3 Write", closing],
        ],
        Event::WriteBlocked => [
            ["Opened 4 Write", "Active 4 Write", closing],
            ["Opened 4 Write", "Active 4 Write", closing],
            ["Opened 3 Write", "Active 3 Write", closing],
        ],
        Event::WriteProgress => [
            ["Opened 4 Write", "Active 4 Write", closing],
            ["Opened 4 Write", "Active 4 Write", closing],
            ["Opened 4 Write", "Active 4 Write", closing],
        ],
        Event::WriteDone => [
            ["Opened 20 Authorize", active, closing],
            ["Opened 5 Packet", "Active 5 Packet", closing],
            ["Opened 30 FirstPacket", "Active 40 Silence", closing],
        ],
        Event::HeartbeatSent | Event::Unbound | Event::ReadOn => [
            ["Opened 20 Authorize", active, closing],
            ["Opened 5 Packet", "Active 5 Packet", closing],
            ["Opened 3 Write", "Active 3 Write", closing],
        ],
        Event::Bound => [
            ["Opened 30 FirstPacket", "Active 40 Silence", closing],
            ["Opened 5 Packet", "Active 5 Packet", closing],
            ["Opened 3 Write", "Active 3 Write", closing],
        ],
        Event::ReadHeld => [
            ["Opened 20 Authorize", active, closing],
            ["Opened, nothing", "Active, nothing", closing],
            ["Opened 3 Write", "Active 3 Write", closing],
        ],
        Event::InputEnded => [
            ["HalfClosed 31 Closing", "HalfClosed 31 Closing", closing],
            ["HalfClosed 31 Closing", "HalfClosed 31 Closing", closing],
            ["HalfClosed 3 Write", "HalfClosed 3 Write", closing],
        ],
        Event::Drain => [["Draining 2 Closing", "Draining 2 Closing", closing]; 3],
    }
}

/// The same in a connection whose client sends no more since second 0: only its end, and what waits, matter.
fn expected_half_closed(event: Event) -> [&'static str; 3] {
    let waits = "HalfClosed 30 Closing";
    match event {
        Event::WriteBlocked => ["HalfClosed 4 Write", "HalfClosed 4 Write", "HalfClosed 3 Write"],
        Event::WriteProgress => ["HalfClosed 4 Write"; 3],
        Event::WriteDone => [waits; 3],
        Event::Drain => ["Draining 2 Closing"; 3],
        _ => [waits, waits, "HalfClosed 3 Write"],
    }
}

fn connection(state: State, doing: Doing, t: Instant) -> Deadlines {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts {
        first_packet: second * 30,
        authorize: second * 20,
        packet: second * 5,
        write: second * 3,
        heartbeat: Heartbeat::Respond,
        heartbeat_interval: second * 20,
    };
    let mut connection = Deadlines::new(timeouts, t);
    match state {
        State::Opened => {}
        State::Active => connection.on(Event::Packet, t),
        State::HalfClosed => connection.on(Event::InputEnded, t),
        State::Draining => connection.on(Event::Drain, t),
    }
    let events: &[Event] = match doing {
        Doing::Quiet => &[],
        Doing::Reading => &[Event::Bound, Event::PartialBegun],
        Doing::Writing => &[Event::Bound, Event::WriteBlocked],
    };
    for event in events {
        connection.on(*event, t);
    }
    assert_eq!(connection.state(), state);
    connection
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let t = Instant::now();
    for event in EVENTS.iter().copied().filter(|event| listed(*event)) {
        let rows = expected(event).into_iter().zip(expected_half_closed(event));
        for (doing, ([opened, active, draining], half_closed)) in [Doing::Quiet, Doing::Reading, Doing::Writing].into_iter().zip(rows) {
            let row = [(State::Opened, opened), (State::Active, active), (State::HalfClosed, half_closed), (State::Draining, draining)];
            for (state, expected) in row {
                let mut connection = connection(state, doing, t);
                connection.on(event, t + Duration::from_secs(1));
                let found = match connection.earliest() {
                    None => format!("{:?}, nothing", connection.state()),
                    Some(next) => {
                        assert_eq!(connection.due(next - Duration::from_millis(1)), None, "{event:?} in {state:?}, {doing:?}");
                        let due = connection.due(next).unwrap();
                        format!("{:?} {} {due:?}", connection.state(), (next - t).as_secs())
                    }
                };
                assert_eq!(found, expected, "{event:?} in {state:?}, {doing:?}");
            }
        }
    }
}
