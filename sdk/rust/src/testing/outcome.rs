//! What came of a message.

use serde::de::DeserializeOwned;

use crate::Error;
use crate::codec::{Decode, Json};
use crate::effects::HEADER_BYTES;
use crate::requests::field;

/// A message to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The connection.
    pub conn: u64,
    /// The route.
    pub route: i32,
    /// The body.
    pub body: Vec<u8>,
}

impl Push {
    /// The body as json.
    ///
    /// # Panics
    /// If it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        read_json(&self.body)
    }
}

/// The effects of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    reply: Option<Vec<u8>>,
    error: Option<Error>,
    pushes: Vec<Push>,
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

    /// The pushes, in their order.
    pub fn pushes(&self) -> &[Push] {
        &self.pushes
    }

    /// Reads the effects of a call with one request, as strictly as a host.
    #[allow(clippy::panic, reason = "a test fails by panicking")]
    pub(crate) fn read(mut effects: &[u8]) -> Self {
        let mut outcome = Self::default();
        while !effects.is_empty() {
            let size = u32::from_le_bytes(field(effects, 0)) as usize;
            let header = usize::from(u16::from_le_bytes(field(effects, 4)));
            let Some((record, rest)) = effects.split_at_checked(size).filter(|_| header >= HEADER_BYTES) else {
                panic!("a malformed list of effects: {effects:?}");
            };
            let Some(body) = record.get(header..) else { panic!("a malformed effect: {record:?}") };
            outcome.add(record, body);
            effects = rest;
        }
        outcome
    }

    #[allow(clippy::panic, reason = "a test fails by panicking")]
    fn add(&mut self, record: &[u8], body: &[u8]) {
        let [kind] = field(record, 6);
        let route = i32::from_le_bytes(field(record, 12));
        let answered = self.reply.is_some() || self.error.is_some();
        assert!(u32::from_le_bytes(field(record, 8)) == 0, "an effect for a request that was not sent");
        match kind {
            0 | 1 if answered => panic!("a message was answered twice"),
            0 => self.reply = Some(body.to_vec()),
            1 => {
                let code = u16::try_from(route).unwrap_or_else(|_| panic!("error code {route}"));
                self.error = Some(Error::new(code, String::from_utf8_lossy(body)));
            }
            2 => self.pushes.push(Push { conn: u64::from_le_bytes(field(record, 16)), route, body: body.to_vec() }),
            other => panic!("an effect of kind {other}, which the host does not know"),
        }
    }
}

#[allow(clippy::panic, reason = "a test fails by panicking")]
fn read_json<T: DeserializeOwned>(body: &[u8]) -> T {
    let mut bytes = body.to_vec();
    match Json::decode(&mut bytes) {
        Ok(value) => value,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(body)),
    }
}
