//! The integer types a setting can have.

use std::fmt::Display;

/// An integer type a setting can be read into.
pub trait Integer: Copy + PartialOrd + Display + TryFrom<i128> + sealed::Sealed + 'static {
    /// The smallest value of the type.
    const MIN: Self;
    /// The largest value of the type.
    const MAX: Self;

    /// The value in a type that holds all of them.
    fn widen(self) -> i128;
}

mod sealed {
    /// Keeps [`Integer`](super::Integer) to the types below.
    pub trait Sealed {}
}

macro_rules! integers {
    ($($name:ident)*) => {$(
        impl sealed::Sealed for $name {}
        impl Integer for $name {
            const MIN: Self = $name::MIN;
            const MAX: Self = $name::MAX;

            fn widen(self) -> i128 {
                // Lossless for every type in the list; `usize` has no `From`.
                self as i128
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 usize i16 i32 i64);
