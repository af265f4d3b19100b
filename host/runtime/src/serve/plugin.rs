//! A plugin as the threads of a runtime share it, and what becomes of a call.

use std::sync::Arc;
use std::time::Instant;

use duet_core::packed::RequestIter;
use duet_core::{Action, Effect, Egress, ErrorCode, Origin, Request, Source};

use crate::call::fault::Fault;
use crate::host::log::one_line;
use crate::panic::{contained, report};
use crate::serve::inbox::Inbox;
use crate::serve::seat::Seat;
use crate::serve::version::Version;

/// A serving plugin: a seat, and the version that is in it.
pub(crate) struct Plugin {
    pub(crate) seat: Arc<Seat>,
    pub(crate) version: Arc<Version>,
}

impl Plugin {
    /// The queue of the instance that has to handle a request.
    #[inline]
    pub(crate) fn inbox_for(&self, request: &Request<'_>) -> Option<&Arc<Inbox>> {
        self.seat.inbox_for(request)
    }

    /// Whether the other is a version of the same plugin.
    pub(crate) fn shares_seat(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.seat, &other.seat)
    }

    /// Notes which routes were called since this was done last.
    pub(crate) fn count(&self, now: Instant) {
        let counts = self.version.counts().into_iter().filter_map(|(route, counts)| Some((route?, counts.requests)));
        self.seat.record.lock().count(now, counts);
    }

    /// Whether requests are refused now.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.version.health.is_quarantined(Instant::now)
    }

    /// Logs a fault that does not count against the plugin.
    pub(crate) fn log(&self, fault: &Fault, requests: &[u8]) {
        // A log that panics must not cost anybody an answer.
        drop(contained(|| self.write(fault, requests)));
    }

    fn write(&self, fault: &Fault, requests: &[u8]) {
        let mut all = RequestIter::new(requests);
        let fault = one_line(&fault.to_string());
        let (plugin, version, hash) = (&*self.seat.name, &*self.version.id.version, self.version.id.short_hash());
        match (all.next(), all.count()) {
            (Some(Request { kind, route, body, .. }), 0) => {
                tracing::warn!(%plugin, %version, hash, kind = kind.name(), route = route.0, body = hex(body), "plugin fault: {fault}");
            }
            (_, others) => {
                let (messages, routes) = (others + 1, routes(requests));
                tracing::warn!(
                    %plugin,
                    %version,
                    hash,
                    messages,
                    routes,
                    "plugin fault: {fault}; in a batch of {messages}, none of which fails alone"
                );
            }
        }
    }

    /// Notes a fault in a call with these requests: one log line, and out of service for a while if it was one too many.
    pub(crate) fn fault(&self, fault: &Fault, requests: &[u8]) {
        let out_of_service = self.version.health.fault(Instant::now());
        self.log(fault, requests);
        if let Some(time) = out_of_service {
            drop(contained(|| {
                tracing::error!(plugin = %self.seat.name, version = %self.version.id.version, hash = self.version.id.short_hash(), faults = self.version.health.faults(), "out of service for {time:?} after repeated faults");
            }));
        }
    }
}

/// How many of the requests have which route, the most frequent first: `7 (30), 8 (2)`. Events are counted by name.
fn routes(requests: &[u8]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for request in RequestIter::new(requests) {
        let name = if request.kind.is_event() { request.kind.name().to_owned() } else { request.route.0.to_string() };
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().map(|(name, count)| format!("{name} ({count})")).collect::<Vec<_>>().join(", ")
}

/// Answers messages with an error each. Events have no answer.
pub(crate) fn refuse<'a>(egress: &dyn Egress, requests: impl Iterator<Item = Request<'a>>, code: ErrorCode) {
    let effects: Vec<_> = requests
        .filter(|r| !r.kind.is_event())
        .zip(0..)
        .map(|(request, index)| Effect { origin: Origin { index, source: Source::of(&request) }, action: Action::Error(code, code.text()) })
        .collect();
    if let Err(panic) = contained(|| egress.apply(&mut &effects[..])) {
        report("the gate", &panic);
    }
}

/// The first bytes of a body, for the operator who wants to try it again.
fn hex(body: &[u8]) -> String {
    body.iter().take(64).map(|b| format!("{b:02x}")).collect()
}
