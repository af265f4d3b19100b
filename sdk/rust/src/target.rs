//! Whom an effect is for.

/// A connection, or whoever is bound to a uid. A plain `u64` is a connection.
///
/// The prelude has the variants by their short names: `ctx.push(Uid(9), ..)` and `ctx.push(ctx.conn(), ..)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A connection.
    Conn(u64),
    /// The connection of this account.
    Uid(i64),
}

impl Target {
    pub(crate) fn is_uid(self) -> bool {
        matches!(self, Self::Uid(_))
    }

    /// The number, as effects carry it.
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::Conn(conn) => conn,
            Self::Uid(uid) => uid.cast_unsigned(),
        }
    }
}

impl From<u64> for Target {
    fn from(conn: u64) -> Self {
        Self::Conn(conn)
    }
}

impl From<&u64> for Target {
    fn from(conn: &u64) -> Self {
        Self::Conn(*conn)
    }
}

impl From<&Self> for Target {
    fn from(target: &Self) -> Self {
        *target
    }
}
