//! Saving the state of an instance and restoring it in another, piece by piece.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::call::fault::Fault;
use crate::call::guest::{Guest, RestoreIn, RestoreOut, begin};
use crate::call::meter::{WALL_FACTOR, thread_time};
use crate::panic::contained_async;

/// Bytes of a piece of state.
const PIECE_BYTES_MAX: usize = 4 << 20;
/// The least that a state may take on the clock.
const WALL_MIN: Duration = Duration::from_secs(30);

/// Why a function of `state` did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The instance cannot go on.
    #[error("`{function}` failed: {fault}")]
    Fault { function: &'static str, fault: Fault },
    /// It said why. The instance can go on.
    #[error("`{function}` answered: {text}")]
    Answered { function: &'static str, text: String },
    /// Saving and restoring took too long. A call that was ended by that cannot go on.
    #[error(
        "`{function}` ran longer than what was left of {budget:?} for the whole state; raise `state_timeout` of the plugin, or keep less"
    )]
    Budget { function: &'static str, budget: Duration, was_ended: bool },
    /// It took much longer than that by the clock, most of it in naps. The instance can go on.
    #[error("the state was not moved within {0:?}, most of which its calls slept or the machine was busy")]
    Slow(Duration),
    /// What was saved could not be kept for a way back.
    #[error("the state could not be kept for a way back: {0}")]
    Keep(#[from] std::io::Error),
    #[error("it has no state")]
    None,
}

impl StateError {
    const fn panicked(function: &'static str, panic: String) -> Self {
        Self::Fault { function, fault: Fault::Panic(panic) }
    }

    /// Whether the instance that saved cannot go on.
    pub(crate) fn is_end_of_saving(&self) -> bool {
        matches!(self, Self::Fault { function: "save", .. } | Self::Budget { function: "save", was_ended: true, .. })
    }
}

/// What all calls for one state have left, in processor time of this thread; and, because nothing else is handled meanwhile and each call of
/// a plugin that can wait may do so, ten times as much on the clock.
#[derive(Debug)]
pub(crate) struct StateBudget {
    whole: Duration,
    /// When it began.
    began: Duration,
    wall: Duration,
    ends: Instant,
}

impl StateBudget {
    /// For calls on this thread, from now on.
    pub(crate) fn new(whole: Duration) -> Self {
        let wall = whole.saturating_mul(WALL_FACTOR).max(WALL_MIN);
        Self { whole, began: thread_time(), wall, ends: Instant::now() + wall }
    }

    /// A meter does not see calls that are shorter than a tick, and there may be any number of them.
    fn left(&self, function: &'static str) -> Result<Duration, StateError> {
        if Instant::now() >= self.ends {
            return Err(StateError::Slow(self.wall));
        }
        let left = self.whole.checked_sub(thread_time().saturating_sub(self.began)).filter(|left| !left.is_zero());
        left.ok_or(StateError::Budget { function, budget: self.whole, was_ended: false })
    }
}

impl Guest {
    /// A piece of its state; empty behind the last one.
    pub(crate) async fn save(&mut self, piece: u32, budget: &StateBudget) -> Result<Vec<u8>, StateError> {
        contained_async(pin!(self.save_uncontained(piece, budget))).await.unwrap_or_else(|panic| Err(StateError::panicked("save", panic)))
    }

    async fn save_uncontained(&mut self, piece: u32, budget: &StateBudget) -> Result<Vec<u8>, StateError> {
        let save = self.state.ok_or(StateError::None)?.save;
        let left = budget.left("save")?;
        begin(&mut self.store, left);
        let called = self.lane.bounded(self.wait.max(left), self.lane.call(save, &mut self.store, (piece,))).await;
        let bytes: Vec<u8> = self.answer("save", called, budget)?;
        if bytes.len() > PIECE_BYTES_MAX {
            let text = format!("a piece of {} bytes; it may have {PIECE_BYTES_MAX}", bytes.len());
            return Err(StateError::Answered { function: "save", text });
        }
        Ok(bytes)
    }

    /// Takes a piece of what another instance saved; an empty one ends it.
    pub(crate) async fn restore(&mut self, schema: u32, piece: u32, bytes: &[u8], budget: &StateBudget) -> Result<(), StateError> {
        let restored = contained_async(pin!(self.restore_uncontained(schema, piece, bytes, budget))).await;
        restored.unwrap_or_else(|panic| Err(StateError::panicked("restore", panic)))
    }

    async fn restore_uncontained(&mut self, schema: u32, piece: u32, bytes: &[u8], budget: &StateBudget) -> Result<(), StateError> {
        let restore = self.state.ok_or(StateError::None)?.restore;
        let left = budget.left("restore")?;
        begin(&mut self.store, left);
        let Self { store, lane, wait, .. } = self;
        let called = async {
            let restore = restore.typed::<RestoreIn<'_>, RestoreOut>(&*store)?;
            lane.call(restore, store, (schema, piece, bytes)).await
        };
        let called = lane.bounded((*wait).max(left), called).await;
        self.answer("restore", called, budget)
    }

    fn answer<T>(
        &self,
        function: &'static str,
        called: Option<wasmtime::Result<(Result<T, String>,)>>,
        budget: &StateBudget,
    ) -> Result<T, StateError> {
        match called {
            Some(Ok((Ok(done),))) => Ok(done),
            Some(Ok((Err(text),))) => Err(StateError::Answered { function, text }),
            Some(Err(error)) => match Fault::from_call(&error, budget.whole, self.store.data()) {
                Fault::Budget(budget) => Err(StateError::Budget { function, budget, was_ended: true }),
                fault => Err(StateError::Fault { function, fault }),
            },
            None => Err(StateError::Fault { function, fault: Fault::Wait(self.wait) }),
        }
    }
}

/// How long a state was on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) save: Duration,
    pub(crate) restore: Duration,
    pub(crate) bytes: u64,
}

impl Carried {
    pub(crate) const NONE: Self = Self { save: Duration::ZERO, restore: Duration::ZERO, bytes: 0 };

    pub(crate) fn add(&mut self, other: Self) {
        self.save += other.save;
        self.restore += other.restore;
        self.bytes += other.bytes;
    }
}

/// Restores in one instance what another saves, which is of this schema. A piece goes across before the next is asked for; `keep` sees each.
pub(crate) async fn carry(
    from: &mut Guest,
    to: &mut Guest,
    schema: u32,
    budget: &StateBudget,
    mut keep: impl FnMut(&[u8]) -> Result<(), StateError>,
) -> Result<Carried, StateError> {
    let mut carried = Carried::NONE;
    let mut at = Instant::now();
    for piece in 0.. {
        let bytes = from.save(piece, budget).await?;
        let saved = Instant::now();
        carried.save += saved.duration_since(at);
        keep(&bytes)?;
        to.restore(schema, piece, &bytes, budget).await?;
        at = Instant::now();
        carried.restore += at.duration_since(saved);
        carried.bytes += bytes.len() as u64;
        if bytes.is_empty() {
            break;
        }
    }
    Ok(carried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_moved_in_naps_has_an_end_on_the_clock() {
        let budget = StateBudget::new(Duration::from_secs(5));
        assert!(budget.left("save").is_ok_and(|left| left > Duration::from_secs(4)));
        let late = StateBudget { ends: Instant::now(), ..budget };
        assert!(matches!(late.left("save"), Err(StateError::Slow(wall)) if wall == Duration::from_secs(50)));
    }
}
