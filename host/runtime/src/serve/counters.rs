//! What an instance did, for each route of its plugin. Each instance counts for itself, so that counting costs no more than an addition;
//! whoever asks adds them up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use duet_core::packed::RequestIter;
use duet_core::{Request, Route};

/// What was counted for a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that a handler was called with.
    pub requests: u64,
    /// Those among them that the handler answered with an error.
    pub errors: u64,
    /// Those among them that failed: by a trap, an overrun budget or effects that are not valid.
    pub faults: u64,
    /// How long the plugin was busy with them. Requests of one call get equal shares of its time.
    pub guest_time: Duration,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.faults += other.faults;
        self.guest_time += other.guest_time;
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    /// Its requests failed.
    InFault,
    /// Its requests are handled again, each by itself.
    ToBeRepeated,
}

/// The numbers of one instance. Only its own thread writes them.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Counters {
    calls: AtomicU64,
    /// Routes in order.
    routes: Vec<Route>,
    /// One for each route, and one for all events.
    rows: Vec<Row>,
}

#[derive(Debug, Default)]
struct Row {
    requests: AtomicU64,
    errors: AtomicU64,
    faults: AtomicU64,
    guest_nanos: AtomicU64,
}

impl Counters {
    pub(crate) fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_unstable();
        Self { calls: AtomicU64::new(0), rows: (0..=routes.len()).map(|_| Row::default()).collect(), routes }
    }

    /// Counts a call with these requests, which took this long.
    pub(crate) fn call(&self, requests: &[u8], messages: usize, time: Duration, ended: Ended) {
        add(&self.calls, 1);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / messages.max(1) as u64;
        let mut run: Option<(usize, u64)> = None;
        for request in RequestIter::new(requests) {
            run = match run {
                // Most calls are about one route, which is then looked up once.
                Some((at, count)) if self.is_row(at, &request) => Some((at, count + 1)),
                before => {
                    self.count(before, nanos, ended);
                    self.row(&request).map(|at| (at, 1))
                }
            };
        }
        self.count(run, nanos, ended);
    }

    /// Counts an answer that is an error.
    pub(crate) fn error(&self, route: Route) {
        if let Some(row) = self.routes.binary_search(&route).ok().and_then(|at| self.rows.get(at)) {
            add(&row.errors, 1);
        }
    }

    fn count(&self, run: Option<(usize, u64)>, nanos: u64, ended: Ended) {
        let Some((row, count)) = run.and_then(|(at, count)| Some((self.rows.get(at)?, count))) else { return };
        add(&row.guest_nanos, nanos * count);
        if ended != Ended::ToBeRepeated {
            add(&row.requests, count);
        }
        if ended == Ended::InFault {
            add(&row.faults, count);
        }
    }

    fn is_row(&self, at: usize, request: &Request<'_>) -> bool {
        self.routes.get(at).map_or(request.kind.is_event(), |route| *route == request.route && !request.kind.is_event())
    }

    fn row(&self, request: &Request<'_>) -> Option<usize> {
        if request.kind.is_event() { Some(self.routes.len()) } else { self.routes.binary_search(&request.route).ok() }
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The counts of each route, then those of all events.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Option<Route>, Counts)> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let routes = self.routes.iter().copied().map(Some).chain([None]);
        routes.zip(&self.rows).map(move |(route, row)| {
            let guest_time = Duration::from_nanos(of(&row.guest_nanos));
            (route, Counts { requests: of(&row.requests), errors: of(&row.errors), faults: of(&row.faults), guest_time })
        })
    }
}

/// There is one writer, so this needs no locked instruction.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}
