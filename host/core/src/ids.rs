//! Identifiers as types of their own, so that one cannot be taken for another.

use std::fmt;

/// A connection of a client: below 2^53 (a JavaScript plugin gets it as a number) and not reused while its gate lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// An account. Positive; 0 on the wire means that a connection is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub i64);

/// What a message is about; decides which plugin handles it. Signed, as `due` sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route(pub i32);

/// A client's own number for a request; its reply carries it back. A push has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub i32);

impl Seq {
    /// The sequence number of every message that answers no request.
    pub const PUSH: Self = Self(0);
}

macro_rules! shown_as_a_number {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
shown_as_a_number!(ConnId, Uid, Route, Seq);
