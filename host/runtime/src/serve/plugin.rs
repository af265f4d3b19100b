//! A plugin as the threads of a runtime share it, and what becomes of a call.

use std::sync::Arc;
use std::time::Instant;

use duet_core::packed::{EffectIter, EffectRecord, RequestIter};
use duet_core::{Action, Directory, Effect, Egress, ErrorCode, Origin, Request, Source};

use crate::call::fault::Fault;
use crate::host::gateway::receivers;
use crate::host::log::one_line;
use crate::host::state::{EFFECTS_MAX, RECEIVERS_MAX};
use crate::panic::{contained, report};
use crate::serve::inbox::Inbox;
use crate::serve::seat::Seat;
use crate::serve::version::Version;

/// A plugin that serves: a seat, and the version that is in it.
pub(crate) struct Plugin {
    pub(crate) seat: Arc<Seat>,
    pub(crate) version: Version,
}

impl Plugin {
    /// The queue of the instance that has to handle a request.
    #[inline]
    pub(crate) fn inbox_for(&self, request: &Request<'_>) -> Option<&Arc<Inbox>> {
        self.seat.inbox_for(self.version.options.affinity, request)
    }

    /// Whether the other is a version of the same plugin.
    pub(crate) fn shares_seat(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.seat, &other.seat)
    }

    /// Whether requests are refused now.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.version.health.is_quarantined(Instant::now)
    }

    /// Logs a fault that does not count against the plugin.
    pub(crate) fn log(&self, fault: &Fault, requests: &[u8]) {
        // A log that panics takes nobody's answer away.
        drop(contained(|| self.write(fault, requests)));
    }

    fn write(&self, fault: &Fault, requests: &[u8]) {
        let mut all = RequestIter::new(requests);
        let fault = one_line(&fault.to_string());
        let (plugin, version) = (&*self.seat.name, &*self.version.manifest.version);
        match (all.next(), all.count()) {
            (Some(Request { kind, route, body, .. }), 0) => {
                tracing::warn!(%plugin, %version, kind = kind.name(), route = route.0, body = hex(body), "plugin fault: {fault}");
            }
            (_, others) => {
                let (messages, routes) = (others + 1, routes(requests));
                tracing::warn!(
                    %plugin,
                    %version,
                    messages,
                    routes,
                    "plugin fault: {fault}; in a batch of {messages}, none of which fails alone"
                );
            }
        }
    }

    /// Notes a fault in a call with these requests: one log line, and the end of service for a while if it was one too many.
    pub(crate) fn fault(&self, fault: &Fault, requests: &[u8]) {
        let out_of_service = self.version.health.fault(Instant::now());
        self.log(fault, requests);
        if let Some(time) = out_of_service {
            drop(contained(|| {
                tracing::error!(plugin = %self.seat.name, version = %self.version.manifest.version, faults = self.version.health.faults(), "out of service for {time:?} after repeated faults");
            }));
        }
    }
}

/// The effects that a call returned, checked as a whole, and how many receivers their messages have.
pub(crate) fn checked<'a>(directory: &dyn Directory, requests: &'a [u8], list: &'a [u8]) -> Result<(Vec<Effect<'a>>, usize), Fault> {
    let asked: Vec<Request<'_>> = RequestIter::new(requests).collect();
    // A call has at most 64 requests.
    let (mut answered, mut failed, mut made) = (0u64, 0u64, [0u16; 64]);
    // Of each request; made when there is a first message beside the answers.
    let mut reached: Vec<usize> = Vec::new();
    let mut effects = Vec::with_capacity(asked.len());
    for record in EffectIter::new(list) {
        let EffectRecord { request, action } = record?;
        let contradiction = Fault::Answer { request, requests: asked.len() };
        let (Some(asker), Some(made)) = (asked.get(request), made.get_mut(request)) else {
            return Err(contradiction);
        };
        if let Action::Reply(_) | Action::Error(..) = action {
            let bit = 1 << request;
            if answered & bit != 0 || asker.kind.is_event() {
                return Err(contradiction);
            }
            answered |= bit;
            failed |= if matches!(action, Action::Error(..)) { bit } else { 0 };
        } else {
            *made += 1;
            if usize::from(*made) > EFFECTS_MAX {
                return Err(Fault::TooManyEffects(EFFECTS_MAX));
            }
            reached.resize(asked.len(), 0);
            let receivers = receivers(directory, &action);
            if let Some(reached) = reached.get_mut(request).filter(|_| receivers > 0) {
                if *reached >= RECEIVERS_MAX {
                    return Err(Fault::TooManyReceivers(RECEIVERS_MAX));
                }
                *reached += receivers;
            }
        }
        effects.push(Effect { origin: Origin { index: request as u32, source: Source::of(asker) }, action });
    }
    // A request that failed has no other effect than its error.
    if failed != 0 {
        effects.retain(|e| matches!(e.action, Action::Error(..)) || failed & (1 << e.origin.index) == 0);
    }
    Ok((effects, reached.iter().sum()))
}

/// How many of the requests have which route, the most frequent first: `7 (30), 8 (2)`. Events count by their name.
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
    if let Err(panic) = contained(|| egress.apply(&effects)) {
        report("the gate", &panic);
    }
}

/// The first bytes of a body, for the operator who wants to try it again.
fn hex(body: &[u8]) -> String {
    body.iter().take(64).map(|b| format!("{b:02x}")).collect()
}
