//! What a handler returns when it cannot answer.

use std::fmt;

/// Result of a handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error codes of the host that the SDK itself uses.
pub mod code {
    /// A handler failed and gave no code of its own.
    pub const HANDLER: u16 = 1;
    /// The body of a request could not be decoded.
    pub const BAD_REQUEST: u16 = 2;
    /// The plugin has no such route.
    pub const UNKNOWN_ROUTE: u16 = 3;
}

/// An error packet for the client: a code and a text.
///
/// `?` turns every [`std::error::Error`] into one with code [`code::HANDLER`] and the error's text, which the client will see.
/// Therefore this type does not implement `std::error::Error` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: u16,
    message: String,
}

impl Error {
    /// An error with a code of the plugin's own: 1,000 and above. 0 is not a code and becomes [`code::HANDLER`].
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        let code = if code == 0 { self::code::HANDLER } else { code };
        Self { code, message: message.into() }
    }

    /// An error with code [`code::HANDLER`].
    pub fn handler(message: impl Into<String>) -> Self {
        Self::new(code::HANDLER, message)
    }

    pub(crate) fn bad_request(what: impl fmt::Display) -> Self {
        Self::new(code::BAD_REQUEST, format!("bad request: {what}"))
    }

    /// The code the client gets, 1 to 65,535.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text the client gets.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::handler(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_standard_error_becomes_a_handler_error_with_its_text() {
        fn parse(text: &str) -> Result<u32> {
            Ok(text.parse::<u32>()?)
        }
        let error = parse("x").unwrap_err();
        assert_eq!((error.code(), error.message()), (code::HANDLER, "invalid digit found in string"));
    }

    #[test]
    fn code_zero_is_not_sent() {
        assert_eq!(Error::new(0, "").code(), code::HANDLER);
    }
}
