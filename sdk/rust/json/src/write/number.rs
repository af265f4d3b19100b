//! Floats. Positions and speeds are short decimals: those are written as integers, ten times faster than any float.

use super::writer::Writer;
use crate::doubt::Result;

/// Decimals of the quick way.
const SCALE: u32 = 1000;

/// Below this, a float with 3 decimals has at most 12 digits. No two decimals of up to 15 digits are the same `f64`, so there is no shorter
/// text for it.
const LIMIT_64: f64 = 1e9;

/// The same for `f32` and 6 digits.
const LIMIT_32: f32 = 1e3;

impl Writer<'_> {
    #[inline(always)]
    pub(super) fn float64(&mut self, number: f64) -> Result<()> {
        let scaled = number * f64::from(SCALE);
        let integer = scaled as i64;
        let short = number.abs() < LIMIT_64 && integer as f64 == scaled && integer as f64 / f64::from(SCALE) == number;
        // Zero may be negative, and then has a sign.
        if !short || (integer == 0 && number.is_sign_negative()) {
            return self.any_float(number);
        }
        self.thousandths(integer)
    }

    #[inline(always)]
    pub(super) fn float32(&mut self, number: f32) -> Result<()> {
        let scaled = number * SCALE as f32;
        let integer = scaled as i32;
        let short = number.abs() < LIMIT_32 && integer as f32 == scaled && integer as f32 / SCALE as f32 == number;
        if !short || (integer == 0 && number.is_sign_negative()) {
            return self.any_float(number);
        }
        self.thousandths(i64::from(integer))
    }

    /// A number of thousandths, without its trailing zeros except for one right after the point.
    fn thousandths(&mut self, number: i64) -> Result<()> {
        if number < 0 {
            self.out.push(b'-');
        }
        let number = number.unsigned_abs();
        self.integer(number / u64::from(SCALE))?;
        let decimals = (number % u64::from(SCALE)) as u32;
        let digit = |digit: u32| b'0' + digit as u8;
        self.out.extend_from_slice(&[b'.', digit(decimals / 100), digit(decimals / 10 % 10), digit(decimals % 10)]);
        let zeros = if decimals.is_multiple_of(100) { 2 } else { usize::from(decimals.is_multiple_of(10)) };
        self.out.truncate(self.out.len() - zeros);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn any_float(&mut self, number: impl serde::Serialize) -> Result<()> {
        match serde_json::to_writer(&mut *self.out, &number) {
            Ok(()) => Ok(()),
            Err(_) => self.give_up(),
        }
    }
}
