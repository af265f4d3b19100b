//! The secret with which a client comes back to its session.

use std::fmt;

use sha2::{Digest, Sha256};

/// A resume token: 128 random bits, which the caller brings. The book keeps only its hash, so that whoever reads the server's memory, or a
/// dump of it, cannot resume anything.
///
/// It has no `PartialEq`: tokens are never compared, see [`Book::resume`](crate::Book::resume).
#[derive(Clone)]
pub struct Token([u8; Token::BYTES]);

impl Token {
    /// How long a token is.
    pub const BYTES: usize = 16;

    /// A token of these bytes, which must come from a source that is good for secrets.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads a token from 32 hex digits, in upper or lower case. `None` for anything else.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != Self::BYTES || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; Self::BYTES];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// Shows the token as 32 hex digits in lower case. Only the client it belongs to may see them.
    pub fn hex(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}")))
    }

    pub(super) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

/// Shows no bit of it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What the book knows of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        b'A'..=b'F' => Some(hex - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00ff102030405060708090a0b0c0d0e9";

    fn shown(digits: &str) -> Option<String> {
        Token::from_hex(digits.as_bytes()).map(|token| token.hex().to_string())
    }

    #[test]
    fn a_token_comes_back_from_its_hex_digits_large_or_small() {
        assert_eq!(shown(HEX).as_deref(), Some(HEX));
        assert_eq!(shown(&HEX.to_uppercase()).as_deref(), Some(HEX));
    }

    #[test]
    fn anything_but_32_hex_digits_is_no_token() {
        let long = format!("{HEX}0");
        let longer = format!("{HEX}00");
        let wide = HEX.replacen("00", "é", 1);
        for wrong in
            ["", "0", &HEX[1..], &HEX[2..], &long, &longer, &wide, &HEX.replace('9', "g"), &HEX.replace('9', " "), &HEX.replace("00", "+0")]
        {
            assert_eq!(shown(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn debug_shows_no_bit_of_a_token() {
        let tokens = [Token::new([0xab; 16]), Token::new([0; 16])].map(|token| format!("{token:?}"));
        assert_eq!(tokens, ["Token(..)", "Token(..)"]);
    }
}
