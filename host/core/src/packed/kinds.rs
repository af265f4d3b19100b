//! The kind numbers of the packed layout, each in one place. `wit/packed.md` is the contract; a test compares the two.

/// An enum of kinds with the number and the name that the contract gives each.
macro_rules! kinds {
    ($(#[$doc:meta])* $kinds:ident { $($(#[$about:meta])* $kind:ident = $number:literal, $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $kinds {
            $($(#[$about])* $kind = $number,)*
        }

        impl $kinds {
            /// All kinds in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Its name in the contract.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The kind with this number; `None` if it is from a later version.
            #[inline]
            pub const fn of(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// What a request record is about.
    RequestKind {
        /// A message of a client.
        Message = 0, "message";
        /// A connection was opened.
        Connect = 1, "connect";
        /// It was bound to a uid.
        Bind = 2, "bind";
        /// It ended.
        Disconnect = 3, "disconnect";
        /// It was lost and may be resumed.
        Suspend = 4, "suspend";
        /// It was resumed.
        Resume = 5, "resume";
    }
}

impl RequestKind {
    /// The kinds that are events of a connection.
    pub fn events() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|kind| kind.is_event())
    }

    /// Whether it is an event, which nobody answers.
    pub const fn is_event(self) -> bool {
        !matches!(self, Self::Message)
    }
}

kinds! {
    /// What a record in a list of effects does.
    EffectKind {
        /// Answers the request.
        Reply = 0, "reply";
        /// Answers it with an error.
        Error = 1, "error";
        /// Sends a message to one.
        Push = 2, "push";
        /// Sends it to a list.
        Multicast = 3, "multicast";
        /// Sends it to all connections of the gate.
        Broadcast = 4, "broadcast";
        /// Sends it to the members of a channel.
        Publish = 5, "publish";
        /// Makes a connection a member of a channel.
        Subscribe = 6, "subscribe";
        /// Ends a membership.
        Unsubscribe = 7, "unsubscribe";
        /// Binds a connection to a uid.
        Bind = 8, "bind";
        /// Takes the uid from a connection.
        Unbind = 9, "unbind";
        /// Closes a connection.
        Kick = 10, "kick";
        /// Leaves requests of the call for the next one.
        Rest = 11, "rest";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and names of a table in `wit/packed.md`, which begins with this line.
    fn contract(head: &str) -> Vec<(u8, &'static str)> {
        let text = include_str!("../../../../wit/packed.md");
        let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            (cells.next().unwrap().parse().unwrap(), cells.next().unwrap())
        })
        .collect()
    }

    #[test]
    fn numbers_and_names_are_those_of_the_contract() {
        let requests: Vec<_> = RequestKind::ALL.iter().map(|kind| (*kind as u8, kind.name())).collect();
        assert_eq!(requests, contract("| kind | name | when |"));
        let effects: Vec<_> = EffectKind::ALL.iter().map(|kind| (*kind as u8, kind.name())).collect();
        assert_eq!(effects, contract("| kind | name | target |"));
    }

    #[test]
    fn a_number_is_read_back_as_its_kind_and_a_later_one_is_not() {
        for number in 0..=u8::MAX {
            let (request, effect) = (RequestKind::of(number), EffectKind::of(number));
            assert_eq!(request, RequestKind::ALL.get(usize::from(number)).copied());
            assert_eq!(effect, EffectKind::ALL.get(usize::from(number)).copied());
        }
    }
}
