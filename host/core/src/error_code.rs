//! The codes of error packets.

use std::fmt;

/// The code in the first two bytes of an error packet. Codes below 1,000 belong to the host, the others to plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The name of one of the host's own codes; empty for a plugin's code.
            pub const fn text(self) -> &'static str {
                match self.0 {
                    $($code => $text,)*
                    _ => "",
                }
            }
        }
    };
}

codes! {
    /// A handler failed and gave no code of its own.
    HANDLER = 1, "handler failed";
    /// The body could not be decoded.
    BAD_REQUEST = 2, "bad request";
    /// No plugin handles the route.
    UNKNOWN_ROUTE = 3, "unknown route";
    /// The route needs a connection that is bound to a uid, or is not for clients.
    NOT_AUTHORIZED = 4, "not authorized";
    /// A queue or a limit is full; worth trying again later.
    BUSY = 5, "busy";
    /// The plugin trapped. It may have lost its state.
    PLUGIN_FAULT = 6, "plugin fault";
    /// The call ran out of its budget, or waited too long in a queue.
    TIMEOUT = 7, "timeout";
    /// The plugin is out of service for a while, after several faults.
    UNAVAILABLE = 8, "unavailable";
    /// A body exceeds the limit of the listener.
    TOO_LARGE = 9, "too large";
    /// The server is stopping; connect again.
    GOING_AWAY = 10, "going away";
    /// The session cannot be resumed; log in again.
    SESSION_GONE = 11, "session gone";
    /// A plugin closes the connection.
    KICKED = 12, "kicked";
    /// The account is online on another connection.
    ALREADY_ONLINE = 13, "already online";
    /// The account logged in on another connection; this one is closed.
    REPLACED = 14, "replaced";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            "" => write!(f, "{}", self.0),
            text => write!(f, "{} ({text})", self.0),
        }
    }
}
