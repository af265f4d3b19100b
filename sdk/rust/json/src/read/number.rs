//! Numbers.

use serde::de::{Deserializer, Visitor};

use super::reader::Reader;
use crate::doubt::Result;

/// With its feature `arbitrary_precision` a `serde_json` number is the text that was read, and a value of any type gets that.
const NUMBERS_ARE_TEXT: bool = size_of::<serde_json::Number>() == size_of::<String>();

/// This many digits fit into 64 bits, whatever they are.
const DIGITS_MAX: usize = 18;

/// Up to this, a float holds every integer exactly.
const EXACT_MAX: u64 = 1 << 53;

/// What a number with this many decimals is divided by. All of them are exact, so the one division is also the only rounding.
const POWERS: [f64; DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

impl<'de> Reader<'de> {
    /// A number that was peeked at, for a visitor that takes any value.
    #[inline(always)]
    pub(super) fn visit_any_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if NUMBERS_ARE_TEXT {
            return self.give_up();
        }
        self.visit_number(visitor)
    }

    /// A number that was peeked at.
    #[inline(always)]
    pub(super) fn visit_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let (negative, first) = match self.rest {
            [b'-', behind @ ..] => (true, behind),
            all => (false, all),
        };
        let (whole, behind) = digits(first, 0);
        let mut count = first.len() - behind.len();
        // No digit, too many, or a zero in front of others.
        if count == 0 || count > DIGITS_MAX || (count > 1 && first.starts_with(b"0")) {
            return self.visit_doubtful_number(visitor);
        }
        match behind {
            [b'.', decimals @ ..] => {
                let (number, behind) = digits(decimals, whole);
                let places = decimals.len() - behind.len();
                count += places;
                if places == 0 || count > DIGITS_MAX || number > EXACT_MAX || matches!(behind, [b'e' | b'E', ..]) {
                    return self.visit_doubtful_number(visitor);
                }
                self.rest = behind;
                let float = number as f64 / POWERS.get(places).copied().unwrap_or(f64::NAN);
                visitor.visit_f64(if negative { -float } else { float })
            }
            [b'e' | b'E', ..] => self.visit_doubtful_number(visitor),
            _ => {
                self.rest = behind;
                match (negative, whole) {
                    (false, _) => visitor.visit_u64(whole),
                    (true, 0) => visitor.visit_f64(-0.0),
                    // At most 18 digits.
                    (true, _) => visitor.visit_i64(-whole.cast_signed()),
                }
            }
        }
    }

    /// Has `serde_json` read just this number: it has an exponent, or more digits than are exact.
    #[cold]
    #[inline(never)]
    fn visit_doubtful_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let length = self.rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let (number, behind) = self.rest.split_at_checked(length.unwrap_or(self.rest.len())).unwrap_or_default();
        let mut deserializer = serde_json::Deserializer::from_slice(number);
        match deserializer.deserialize_f64(visitor) {
            Ok(value) if deserializer.end().is_ok() => {
                self.rest = behind;
                Ok(value)
            }
            _ => self.give_up(),
        }
    }
}

/// Appends the digits at the beginning to those that `number` already has. Too many overflow.
#[inline(always)]
fn digits(mut text: &[u8], mut number: u64) -> (u64, &[u8]) {
    while let [digit @ b'0'..=b'9', behind @ ..] = text {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        text = behind;
    }
    (number, text)
}
