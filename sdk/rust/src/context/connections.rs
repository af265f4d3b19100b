//! What happens to connections: channels, accounts and kicks.

use super::{Answer, Ctx, channel_name};
use crate::effects::Effect;
use crate::{Error, Raw, Result, Target};

/// Channels: whoever is a member gets what is published. Members stay members while they are suspended. A connection is in at most 64
/// channels; the host drops and logs a further subscription. Names have 1 to 255 bytes.
impl Ctx {
    /// Makes this connection a member of a channel.
    ///
    /// # Errors
    /// If the channel's name is not 1 to 255 bytes long.
    pub fn subscribe(&mut self, channel: &str) -> Result<()> {
        self.subscribe_for(self.conn, channel)
    }

    /// Makes another connection, or that of a uid, a member of a channel.
    ///
    /// # Errors
    /// If the channel's name is not 1 to 255 bytes long.
    pub fn subscribe_for(&mut self, target: impl Into<Target>, channel: &str) -> Result<()> {
        let name = channel_name(channel)?;
        self.act(Effect::subscribe(target.into()), b"", Raw(name.as_bytes()))
    }

    /// Ends the membership of this connection in a channel.
    ///
    /// # Errors
    /// If the channel's name is not 1 to 255 bytes long.
    pub fn unsubscribe(&mut self, channel: &str) -> Result<()> {
        self.unsubscribe_for(self.conn, channel)
    }

    /// Ends the membership of another connection, or that of a uid, in a channel.
    ///
    /// # Errors
    /// If the channel's name is not 1 to 255 bytes long.
    pub fn unsubscribe_for(&mut self, target: impl Into<Target>, channel: &str) -> Result<()> {
        let name = channel_name(channel)?;
        self.act(Effect::unsubscribe(target.into()), b"", Raw(name.as_bytes()))
    }

    /// Ends all memberships of this connection.
    ///
    /// # Errors
    /// Only if the handler makes too many effects.
    pub fn unsubscribe_all(&mut self) -> Result<()> {
        self.unsubscribe_all_for(self.conn)
    }

    /// Ends all memberships of another connection, or that of a uid.
    ///
    /// # Errors
    /// Only if the handler makes too many effects.
    pub fn unsubscribe_all_for(&mut self, target: impl Into<Target>) -> Result<()> {
        self.act(Effect::unsubscribe(target.into()), b"", Raw(b""))
    }
}

/// Accounts: which uid a connection is bound to, and ending connections.
impl Ctx {
    /// Binds this connection to a uid. The plugin vouches for it: nothing else ever binds.
    ///
    /// **Bind first, then reply.** If the uid is online elsewhere, the listener's `duplicate_login` decides: `kick-old` replaces the other
    /// connection, `reject` refuses the bind. A refused bind, also that of a connection that has ended, drops every later effect of this
    /// handler, its reply too, and the client gets error 13 (`already online`) instead. The handler does not see this: it has returned by
    /// then. State that must only change after a bind belongs in the event `bind`.
    ///
    /// # Errors
    /// If the uid is not above 0, or the message was answered already.
    pub fn bind(&mut self, uid: i64) -> Result<()> {
        self.bind_conn(self.conn, uid)
    }

    /// Binds another connection to a uid. If it is refused, the client of *this* message gets the error, as in [`Ctx::bind`].
    ///
    /// # Errors
    /// If the uid is not above 0, or the message was answered already.
    pub fn bind_conn(&mut self, conn: u64, uid: i64) -> Result<()> {
        if uid <= 0 {
            return Err(Error::handler(format!("a uid is above 0, not {uid}")));
        }
        if self.answer == Answer::Given {
            return Err(Error::handler("bind before the reply: a refused bind is answered with an error instead"));
        }
        self.act(Effect::bind(conn), b"", Raw(&uid.to_le_bytes()))
    }

    /// Takes the uid from this connection. Its `authorize_timeout` starts again.
    ///
    /// # Errors
    /// Only if the handler makes too many effects.
    pub fn unbind(&mut self) -> Result<()> {
        self.unbind_for(self.conn)
    }

    /// Takes the uid from another connection, or from the one that is bound to it.
    ///
    /// # Errors
    /// Only if the handler makes too many effects.
    pub fn unbind_for(&mut self, target: impl Into<Target>) -> Result<()> {
        self.act(Effect::unbind(target.into()), b"", Raw(b""))
    }

    /// Closes a connection after what was sent to it before and an error packet on route 0 with this code and reason. Code 0 becomes 12
    /// (`kicked`); codes of your own begin at 1,000.
    ///
    /// # Errors
    /// If the reason is larger than 4 MiB.
    pub fn kick(&mut self, target: impl Into<Target>, code: u16, reason: &str) -> Result<()> {
        self.act(Effect::kick(target.into(), code, false), b"", Raw(reason.as_bytes()))
    }

    /// The same without waiting: what was sent to it before and has not left yet is lost.
    ///
    /// # Errors
    /// If the reason is larger than 4 MiB.
    pub fn kick_now(&mut self, target: impl Into<Target>, code: u16, reason: &str) -> Result<()> {
        self.act(Effect::kick(target.into(), code, true), b"", Raw(reason.as_bytes()))
    }
}
