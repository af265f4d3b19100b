//! What became of a call: its effects, checked as a whole before any of them happens.

mod link;
mod receivers;

use std::collections::HashMap;

pub use self::receivers::Receivers;
use crate::packed::{EffectError, EffectIter, EffectRecord, RequestIter};
use crate::{Action, Directory, Effect, GateId, Origin, Request, Source, Target, Uid};

/// Bytes of the effects of one request beside its answer, as records; and of its answer.
pub const EFFECT_BYTES_MAX: usize = 4 << 20;
/// Bytes of the list that a call returns. Whoever handles no further request once there are [`EFFECT_BYTES_MAX`] has room for all that the
/// last one may make, and for its answer.
pub const LIST_BYTES_MAX: usize = 3 * EFFECT_BYTES_MAX;
/// Effects that one request may have besides its answer.
pub const EFFECTS_MAX: usize = 4096;
/// How many receivers the messages of one request may have in all. Once there are this many, no further message is accepted: a single
/// message to everybody is always possible, and what a call makes the gate do takes a fraction of a second. Enough for 40 messages to
/// 10,000 players.
pub const RECEIVERS_MAX: usize = 400_000;

/// The effects of a call, in order. It exists only if the whole list is valid.
///
/// In a single process, its gate gets them all. Where each happens ([`Outcome::runs`]) and how they are written and read ([`Outcome::put`],
/// [`Outcome::read`]) is what a link between processes needs; so far only tests use it.
#[derive(Debug, Default)]
pub struct Outcome<'a> {
    effects: Vec<Effect<'a>>,
    receivers: usize,
    handled: usize,
}

/// Why a call has no outcome: what it returned is dropped as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeError {
    /// The bytes are not a valid list of effects.
    #[error("returned a list of effects that is not valid: {0}")]
    Effect(#[from] EffectError),
    /// An effect contradicts the requests.
    #[error("returned an effect for request {request} of a call with {requests}, a second answer to it, or an answer to an event")]
    Answer {
        /// Index of the request.
        request: usize,
        /// How many requests the call had.
        requests: usize,
    },
    /// A request has too many effects.
    #[error("returned more than {EFFECTS_MAX} effects for one request")]
    TooManyEffects,
    /// The effects of a request, or its answer, are too large.
    #[error("returned more than {EFFECT_BYTES_MAX} bytes of effects for one request, or a larger answer")]
    TooManyBytes,
    /// It leaves requests for the next call that it must not leave.
    #[error("left the requests from {rest} on of a call with {requests}: the first is never left, and what is left has no effects")]
    Rest {
        /// Index of the first that it leaves.
        rest: usize,
        /// How many there are.
        requests: usize,
    },
    /// The messages of a request go to too many receivers.
    #[error("returned messages for one request that go to more than {RECEIVERS_MAX} receivers in all")]
    TooManyReceivers,
}

/// Where an effect happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At the gate that has the connection.
    Gate(GateId),
    /// At whichever gate has the connection of this account.
    Uid(Uid),
    /// At every gate that has one of the targets.
    Gates,
    /// Nowhere: no gate gives out such an id.
    Nowhere,
}

impl Effect<'_> {
    /// Where it happens.
    pub fn place(&self) -> Place {
        let of = |target: Target| match target {
            Target::Conn(conn) => conn.gate().map_or(Place::Nowhere, Place::Gate),
            Target::Uid(uid) => Place::Uid(uid),
        };
        match self.action {
            Action::Reply(_) | Action::Error(..) => of(Target::Conn(self.origin.source.conn())),
            Action::Push { to, .. } => of(to),
            Action::Multicast { to, .. } => {
                let mut places = to.iter().map(of);
                let first = places.next().unwrap_or(Place::Nowhere);
                if places.all(|place| place == first) { first } else { Place::Gates }
            }
            Action::Broadcast { .. } | Action::Publish { .. } => Place::Gates,
            Action::Bind(conn, _) => of(Target::Conn(conn)),
            Action::Subscribe(who, _) | Action::Unsubscribe(who, _) | Action::Unbind(who) | Action::Kick { who, .. } => of(who),
        }
    }
}

/// What is known of a request while its effects are checked.
struct Asked {
    source: Source,
    answered: bool,
    failed: bool,
    made: usize,
    bytes: usize,
}

impl Asked {
    const fn new(request: &Request<'_>) -> Self {
        Self { source: Source::of(request), answered: false, failed: false, made: 0, bytes: 0 }
    }

    /// Counts an effect beside the answer, whose record has so many bytes.
    const fn make(&mut self, bytes: usize) -> Result<(), OutcomeError> {
        self.made += 1;
        self.bytes += bytes;
        if self.made > EFFECTS_MAX {
            return Err(OutcomeError::TooManyEffects);
        }
        if self.bytes > EFFECT_BYTES_MAX {
            return Err(OutcomeError::TooManyBytes);
        }
        Ok(())
    }
}

impl<'a> Outcome<'a> {
    /// Checks the list of effects that a call with these requests returned.
    ///
    /// # Errors
    /// [`OutcomeError`] for the first thing wrong with it.
    pub fn new(requests: &[u8], list: &'a [u8], directory: &dyn Directory) -> Result<Self, OutcomeError> {
        let mut asked: Vec<Asked> = RequestIter::new(requests).map(|request| Asked::new(&request)).collect();
        let (mut failed, mut receivers, mut at_most) = (false, Receivers::default(), 0_usize);
        let mut effects = Vec::with_capacity(asked.len());
        let (mut records, mut begin) = (EffectIter::new(list), 0);
        while let Some(record) = records.next() {
            let EffectRecord { request, action } = record?;
            let bytes = records.at() - std::mem::replace(&mut begin, records.at());
            let contradiction = OutcomeError::Answer { request, requests: asked.len() };
            let Some(asker) = asked.get_mut(request) else { return Err(contradiction) };
            if action.is_answer() {
                if asker.answered || !asker.source.is_answered() {
                    return Err(contradiction);
                }
                asker.answered = true;
                asker.failed = matches!(action, Action::Error(..));
                failed |= asker.failed;
                if bytes > EFFECT_BYTES_MAX {
                    return Err(OutcomeError::TooManyBytes);
                }
            } else {
                asker.make(bytes)?;
                at_most = at_most.saturating_add(receivers.at_most(directory, &action));
            }
            effects.push(Effect { origin: Origin { index: request as u32, source: asker.source }, action });
        }
        let handled = handled(records.rest(), asked.len(), &effects)?;
        // If all requests together stay below the limit, so does each one, and nothing has to be counted exactly.
        let receivers = if at_most < RECEIVERS_MAX { at_most } else { count(&effects, asked.len(), directory, receivers)? };
        // A request that failed has no effect but its error.
        if failed {
            let stays =
                |effect: &Effect<'_>| effect.action.is_answer() || asked.get(effect.origin.index as usize).is_some_and(|a| !a.failed);
            effects.retain(stays);
        }
        Ok(Self { effects, receivers, handled })
    }

    /// How many of the requests were handled, from the first on. The others are left for another call.
    pub const fn handled(&self) -> usize {
        self.handled
    }

    /// The effects in order.
    pub fn effects(&self) -> &[Effect<'a>] {
        &self.effects
    }

    /// How many receivers their messages have: an upper bound if it is below [`RECEIVERS_MAX`], otherwise the exact number.
    pub const fn receivers(&self) -> usize {
        self.receivers
    }

    /// The effects in order, in runs that happen at the same place. Between places there is no order.
    pub fn runs(&self) -> impl Iterator<Item = (Place, &[Effect<'a>])> {
        let runs = self.effects.chunk_by(|a, b| a.place() == b.place());
        runs.filter_map(|run| Some((run.first()?.place(), run)))
    }
}

/// How many of the requests of a call are handled that leaves those from `rest` on. At least one is, so that a call always gets on.
fn handled(rest: Option<usize>, requests: usize, effects: &[Effect<'_>]) -> Result<usize, OutcomeError> {
    let Some(rest) = rest else { return Ok(requests) };
    let has_effects = effects.iter().any(|effect| effect.origin.index as usize >= rest);
    if has_effects || rest == 0 || rest >= requests { Err(OutcomeError::Rest { rest, requests }) } else { Ok(rest) }
}

/// Counts the receivers of each request's messages and returns their sum. Each channel is looked up once.
fn count(effects: &[Effect<'_>], requests: usize, directory: &dyn Directory, mut receivers: Receivers) -> Result<usize, OutcomeError> {
    let mut channels: HashMap<&str, usize> = HashMap::new();
    let mut reached = vec![0_usize; requests];
    for effect in effects {
        let count = match effect.action {
            Action::Publish { channel, .. } => *channels.entry(channel).or_insert_with(|| receivers.exactly(directory, &effect.action)),
            _ => receivers.exactly(directory, &effect.action),
        };
        let Some(reached) = reached.get_mut(effect.origin.index as usize).filter(|_| count > 0) else { continue };
        if *reached >= RECEIVERS_MAX {
            return Err(OutcomeError::TooManyReceivers);
        }
        *reached += count;
    }
    Ok(reached.iter().sum())
}

#[cfg(test)]
mod tests;
