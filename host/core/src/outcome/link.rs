//! Outcomes as bytes, for a process that does not see the requests.

use super::{Outcome, OutcomeError};
use crate::packed::{EffectError, EffectRecord, RequestIter, Requests, put_effect};
use crate::{Directory, Effect};

impl<'a> Outcome<'a> {
    /// Appends effects with their origins: a u32 with the size of the origins in bytes, the origins as request records without bodies, then
    /// the effects as records whose `request` is an index into these origins.
    pub fn put(effects: &[Effect<'_>], out: &mut Vec<u8>) {
        let (mut origins, mut list) = (Requests::new(), Vec::new());
        let mut known: Vec<u32> = Vec::new();
        for effect in effects {
            let index = effect.origin.index;
            let request = known.iter().rposition(|other| *other == index).unwrap_or_else(|| {
                origins.push(&effect.origin.source.request());
                known.push(index);
                known.len() - 1
            });
            put_effect(&mut list, &EffectRecord { request, action: effect.action });
        }
        out.extend_from_slice(&(origins.bytes().len() as u32).to_le_bytes());
        out.extend_from_slice(origins.bytes());
        out.extend_from_slice(&list);
    }

    /// Reads and checks what [`Outcome::put`] wrote: another process is trusted no more than a plugin.
    ///
    /// # Errors
    /// [`OutcomeError`] as for a plugin's list.
    pub fn read(bytes: &'a [u8], directory: &dyn Directory) -> Result<Self, OutcomeError> {
        let parts = bytes.split_first_chunk().and_then(|(size, rest)| rest.split_at_checked(u32::from_le_bytes(*size) as usize));
        let (origins, list) = parts.ok_or(EffectError::Misfit { at: 0, size: bytes.len(), header: 0 })?;
        let outcome = Self::new(origins, list, directory)?;
        let requests = RequestIter::new(origins).count();
        // What was not handled has no effects, and so is not among the origins.
        if outcome.handled < requests {
            return Err(OutcomeError::Rest { rest: outcome.handled, requests });
        }
        Ok(outcome)
    }
}
