//! Events of connections: what a gate tells a plugin without being asked.

use std::fmt;
use std::net::SocketAddr;

/// What happened to a connection. `#[event(connect)]` chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// `connect`: it was opened, and has sent nothing yet.
    Connect = 1,
    /// `bind`: it was bound to the uid of the context.
    Bind = 2,
    /// `disconnect`: it has ended, and its last message has been handled. The uid is the one it was bound to.
    Disconnect = 3,
    /// `suspend`: it was lost, and may be resumed.
    Suspend = 4,
    /// `resume`: it is back, with the same connection and uid.
    Resume = 5,
}

impl EventKind {
    /// Its name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Bind => "bind",
            Self::Disconnect => "disconnect",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    /// The kind of a packed request; None if it is a message, or a kind that only a later host knows.
    pub(crate) fn of(kind: u8) -> Option<Self> {
        [Self::Connect, Self::Bind, Self::Disconnect, Self::Suspend, Self::Resume].into_iter().find(|known| *known as u8 == kind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One event. The context says whose it is: `ctx.conn()` and `ctx.uid()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// The remote address of `connect` and `resume`; the cause of `disconnect` and `suspend`, as the gate counts it (`client_left`,
    /// `kicked`, `silence`, ...); nothing for `bind`.
    pub detail: &'a str,
}

impl Event<'_> {
    /// The remote address, if the event is a `connect` or a `resume`.
    pub fn address(&self) -> Option<SocketAddr> {
        self.detail.parse().ok()
    }
}

/// True if handler `index` has an event that an earlier one also has. `plugin!` checks this at compile time.
#[doc(hidden)]
pub const fn is_taken(handlers: &[&[EventKind]], index: usize) -> bool {
    let (mut before, rest) = handlers.split_at(index);
    let Some(kinds) = rest.first() else { return false };
    while let Some((earlier, others)) = before.split_first() {
        let mut kinds: &[EventKind] = kinds;
        while let Some((kind, more)) = kinds.split_first() {
            if has(earlier, *kind) {
                return true;
            }
            kinds = more;
        }
        before = others;
    }
    false
}

const fn has(mut kinds: &[EventKind], wanted: EventKind) -> bool {
    while let Some((kind, others)) = kinds.split_first() {
        if *kind as u8 == wanted as u8 {
            return true;
        }
        kinds = others;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_known_by_their_numbers_and_others_are_not() {
        let names: Vec<_> = (0..=6).map(|kind| EventKind::of(kind).map(EventKind::name)).collect();
        assert_eq!(names, [None, Some("connect"), Some("bind"), Some("disconnect"), Some("suspend"), Some("resume"), None]);
    }

    #[test]
    fn the_address_is_read_and_a_cause_is_none() {
        let address = |detail| Event { kind: EventKind::Connect, detail }.address();
        assert_eq!(address("203.0.113.9:4711"), Some(SocketAddr::from(([203, 0, 113, 9], 4711))));
        assert_eq!(address("[2001:db8::1]:80").map(|address| address.is_ipv6()), Some(true));
        assert_eq!(address("silence"), None);
    }

    #[test]
    fn a_second_handler_of_an_event_is_found() {
        use EventKind::{Bind, Connect, Resume};
        let handlers: &[&[EventKind]] = &[&[Connect, Resume], &[Bind], &[Resume]];
        assert_eq!([0, 1, 2].map(|index| is_taken(handlers, index)), [false, false, true]);
    }
}
