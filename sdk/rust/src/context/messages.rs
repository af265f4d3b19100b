//! Sending: replies, and messages that nobody asked for, which have seq 0.

use prost::Message;

use super::{Ctx, channel_name};
use crate::effects::Effect;
use crate::{Body, Error, Proto, Raw, Result, Target};

/// Sending.
impl Ctx {
    /// Answers the message before the handler returns, in the route's codec. For handlers that return `Result<()>`.
    ///
    /// # Errors
    /// If the message was answered already, this is an event, or the value cannot be encoded. Serde values have no form in the codecs
    /// `protobuf` and `bytes`: send [`Proto`] or [`Raw`].
    pub fn reply(&mut self, body: impl Body) -> Result<()> {
        let codec = self.codec;
        self.reply_with(|out| body.write(codec, out))
    }

    /// Answers the message with a protobuf message: short for [`Ctx::reply`] with [`Proto`].
    ///
    /// # Errors
    /// If the message was answered already, or this is an event.
    pub fn reply_protobuf<T: Message>(&mut self, value: &T) -> Result<()> {
        self.reply(Proto(value))
    }

    /// Answers the message with these bytes: short for [`Ctx::reply`] with [`Raw`].
    ///
    /// # Errors
    /// If the message was answered already, or this is an event.
    pub fn reply_bytes(&mut self, body: &[u8]) -> Result<()> {
        self.reply(Raw(body))
    }

    /// Sends a message to a connection (a plain `u64`) or to an account (`Uid(9)`), in the codec of the route or event that is handled.
    ///
    /// # Errors
    /// If the value cannot be encoded. Serde values have no form in the codecs `protobuf` and `bytes`: send [`Proto`] or [`Raw`].
    pub fn push(&mut self, to: impl Into<Target>, route: i32, body: impl Body) -> Result<()> {
        self.act(Effect::push(to.into(), route), b"", body)
    }

    /// Sends a protobuf message to one: short for [`Ctx::push`] with [`Proto`].
    ///
    /// # Errors
    /// If the message is larger than 4 MiB.
    pub fn push_protobuf<T: Message>(&mut self, to: impl Into<Target>, route: i32, value: &T) -> Result<()> {
        self.push(to, route, Proto(value))
    }

    /// Sends these bytes to one: short for [`Ctx::push`] with [`Raw`].
    ///
    /// # Errors
    /// If there are more than 4 MiB of them.
    pub fn push_bytes(&mut self, to: impl Into<Target>, route: i32, body: &[u8]) -> Result<()> {
        self.push(to, route, Raw(body))
    }

    /// Sends a message to many connections or to many uids; it is encoded once. `to` is anything that yields them: `&players`, or
    /// `party.iter().map(|member| Uid(member.uid))`. An empty one is fine.
    ///
    /// # Errors
    /// If connections and uids are mixed, or the value cannot be encoded, as in [`Ctx::push`].
    pub fn multicast<I>(&mut self, to: I, route: i32, body: impl Body) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Into<Target>,
    {
        let mut targets = to.into_iter().map(Into::<Target>::into).peekable();
        let Some(first) = targets.peek() else { return Ok(()) };
        let uids = first.is_uid();
        self.make(|codec, out| {
            let mut count = 0;
            for target in targets {
                if target.is_uid() != uids {
                    return Err(Error::handler("a multicast goes to connections or to uids, not to both"));
                }
                out.extend_from_slice(&target.bits().to_le_bytes());
                count += 1;
            }
            body.write(codec, out)?;
            Ok(Effect::multicast(count, uids, route))
        })
    }

    /// Sends a message to every connection of the gate.
    ///
    /// # Errors
    /// If the value cannot be encoded, as in [`Ctx::push`].
    pub fn broadcast(&mut self, route: i32, body: impl Body) -> Result<()> {
        self.act(Effect::broadcast(false, route), b"", body)
    }

    /// Sends a message to every connection of the gate that is bound to a uid.
    ///
    /// # Errors
    /// If the value cannot be encoded, as in [`Ctx::push`].
    pub fn broadcast_bound(&mut self, route: i32, body: impl Body) -> Result<()> {
        self.act(Effect::broadcast(true, route), b"", body)
    }

    /// Sends a message to all members of a channel.
    ///
    /// # Errors
    /// If the channel's name is not 1 to 255 bytes long, or the value cannot be encoded, as in [`Ctx::push`].
    pub fn publish(&mut self, channel: &str, route: i32, body: impl Body) -> Result<()> {
        let name = channel_name(channel)?;
        self.act(Effect::publish(name, route), name.as_bytes(), body)
    }
}
