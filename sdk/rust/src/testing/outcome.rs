//! What came of a message or an event.

use serde::de::DeserializeOwned;

use super::effect::{Effect, Push, Record, read_json};
use crate::Error;
use crate::effects::kind;

/// The effects of one message or event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    reply: Option<Vec<u8>>,
    error: Option<Error>,
    effects: Vec<Effect>,
}

impl Outcome {
    /// The body of the reply, if there is one.
    pub fn reply(&self) -> Option<&[u8]> {
        self.reply.as_deref()
    }

    /// The reply as json.
    ///
    /// # Panics
    /// If there is none, or it is not a `T`.
    #[allow(clippy::panic, reason = "a test fails by panicking")]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match &self.reply {
            Some(body) => read_json(body),
            None => panic!("no reply, but {self:?}"),
        }
    }

    /// The error, if the message failed.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Everything but reply and error, in its order.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// The messages among the effects: to one, to many, to all or to a channel.
    pub fn pushes(&self) -> Vec<&Push> {
        self.effects.iter().filter_map(|effect| if let Effect::Push(push) = effect { Some(push) } else { None }).collect()
    }

    /// Reads the effects of a call with one request, as strictly as a host.
    #[allow(clippy::panic, reason = "a test fails by panicking")]
    pub(crate) fn read(mut effects: &[u8]) -> Self {
        let mut outcome = Self::default();
        while !effects.is_empty() {
            let Some((record, rest)) = Record::split(effects) else { panic!("a malformed list of effects: {effects:?}") };
            outcome.add(&record);
            effects = rest;
        }
        outcome
    }

    /// The same for an event, which has no answer.
    #[allow(clippy::panic, reason = "a test fails by panicking")]
    pub(crate) fn read_event(effects: &[u8]) -> Self {
        let outcome = Self::read(effects);
        assert!(!outcome.answered(), "an event was answered: {outcome:?}");
        outcome
    }

    #[allow(clippy::panic, reason = "a test fails by panicking")]
    fn add(&mut self, record: &Record<'_>) {
        assert!(record.request == 0, "an effect for a request that was not sent: {record:?}");
        match record.kind {
            kind::REPLY | kind::ERROR if self.answered() => panic!("a message was answered twice"),
            kind::REPLY => self.reply = Some(record.body.to_vec()),
            kind::ERROR => {
                let code = u16::try_from(record.route).unwrap_or_else(|_| panic!("error code {}", record.route));
                self.error = Some(Error::new(code, String::from_utf8_lossy(record.body)));
            }
            _ => match record.effect() {
                Some(effect) => self.effects.push(effect),
                None => panic!("an effect that the host refuses: {record:?}"),
            },
        }
    }

    fn answered(&self) -> bool {
        self.reply.is_some() || self.error.is_some()
    }
}
