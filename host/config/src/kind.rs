//! What values a setting can have: how one is read, how it is written, and what a mistake says is allowed.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::integer::Integer;
use crate::tree::Value;
use crate::unit::{DURATIONS, SIZES, parse_duration, parse_size, show_duration, show_size};

type Read<T> = dyn Fn(&Value) -> Result<T, Wrong>;
type Show<T> = dyn Fn(&T) -> String;

/// The values that a setting of type `T` can have.
pub struct Kind<T> {
    allowed: String,
    read: Box<Read<T>>,
    show: Box<Show<T>>,
}

/// Which part of a value is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    All,
    /// This item of a list, from 0.
    Item(usize),
}

impl<T> fmt::Debug for Kind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl<T: 'static> Kind<T> {
    fn new(allowed: impl Into<String>, read: impl Fn(&Value) -> Option<T> + 'static, show: impl Fn(&T) -> String + 'static) -> Self {
        Kind { allowed: allowed.into(), read: Box::new(move |value| read(value).ok_or(Wrong::All)), show: Box::new(show) }
    }

    /// Only values that pass a check; `allowed` completes the text "allowed: ...".
    #[must_use]
    pub fn check(self, allowed: impl Into<String>, passes: impl Fn(&T) -> bool + 'static) -> Self {
        let read = self.read;
        let read = move |value: &Value| read(value).and_then(|value| if passes(&value) { Ok(value) } else { Err(Wrong::All) });
        Kind { allowed: allowed.into(), read: Box::new(read), show: self.show }
    }

    /// Only values in a range, both ends included.
    #[must_use]
    pub fn range(self, range: RangeInclusive<T>) -> Self
    where
        T: PartialOrd,
    {
        let allowed = format!("{} to {}", (self.show)(range.start()), (self.show)(range.end()));
        self.check(allowed, move |value| range.contains(value))
    }

    /// Only some values.
    #[must_use]
    pub fn one_of(self, values: &'static [T]) -> Self
    where
        T: PartialEq + Sync,
    {
        let allowed = values.iter().map(|value| (self.show)(value)).collect::<Vec<_>>().join(", ");
        self.check(allowed, |value| values.contains(value))
    }

    /// Only zero, which means what `word` says, and values in a range.
    #[must_use]
    pub fn zero_or(self, word: &str, range: RangeInclusive<T>) -> Self
    where
        T: PartialOrd + Default,
    {
        let allowed = format!("{} for {word}, {} to {}", self.literal(&T::default()), (self.show)(range.start()), (self.show)(range.end()));
        self.check(allowed, move |value| *value == T::default() || range.contains(value))
    }

    /// The same values in another type.
    pub fn map<U: 'static>(self, there: impl Fn(T) -> U + 'static, back: impl Fn(&U) -> T + 'static) -> Kind<U> {
        let (read, show) = (self.read, self.show);
        Kind {
            allowed: self.allowed,
            read: Box::new(move |value| read(value).map(&there)),
            show: Box::new(move |value| show(&back(value))),
        }
    }

    /// The same values, with zero as `None`.
    pub fn optional(self) -> Kind<Option<T>>
    where
        T: Default + PartialEq + Clone,
    {
        self.map(|value| Some(value).filter(|value| *value != T::default()), |value| value.clone().unwrap_or_default())
    }

    /// Completes the text "allowed: ...".
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// A value as it would be written in a file.
    pub fn literal(&self, value: &T) -> String {
        let shown = (self.show)(value);
        let bare = shown.starts_with(['"', '[']) || shown.parse::<i128>().is_ok() || shown == "true" || shown == "false";
        if bare { shown } else { format!("\"{shown}\"") }
    }

    pub(crate) fn read(&self, value: &Value) -> Result<T, Wrong> {
        (self.read)(value)
    }
}

/// Strings.
pub fn string() -> Kind<String> {
    let read = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    Kind::new("strings", read, |text| format!("{text:?}"))
}

/// `true` or `false`.
pub fn boolean() -> Kind<bool> {
    let read = |value: &Value| match value {
        Value::Boolean(value) => Some(*value),
        _ => None,
    };
    Kind::new("true, false", read, bool::to_string)
}

/// Integers that fit the type.
pub fn integer<T: Integer>() -> Kind<T> {
    let read = |value: &Value| match value {
        Value::Integer(value) => T::try_from(*value).ok(),
        _ => None,
    };
    Kind::new(format!("integers from {} to {}", T::MIN, T::MAX), read, T::to_string)
}

/// Numbers of bytes that fit the type: integers, or strings such as `"64KiB"`.
pub fn size<T: Integer>() -> Kind<T> {
    let read = |value: &Value| match value {
        Value::Integer(bytes) if *bytes >= 0 => T::try_from(*bytes).ok(),
        Value::Text(text) => parse_size(text).and_then(|bytes| T::try_from(i128::from(bytes)).ok()),
        _ => None,
    };
    Kind::new(SIZES, read, |bytes| u64::try_from(bytes.widen()).map_or(bytes.to_string(), show_size))
}

/// Durations: strings such as `"250ms"`, `"5s"`, `"2m"`, `"1h"`.
pub fn duration() -> Kind<Duration> {
    let read = |value: &Value| match value {
        Value::Text(text) => parse_duration(text),
        _ => None,
    };
    Kind::new(DURATIONS, read, |duration| show_duration(*duration))
}

/// Addresses with a port. Names are not looked up.
pub fn socket_addr() -> Kind<SocketAddr> {
    let read = |value: &Value| match value {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    Kind::new("addresses with a port such as \"127.0.0.1:3553\", \"[::1]:3553\"", read, SocketAddr::to_string)
}

/// One of some words.
pub fn choice<T: Copy + PartialEq + Sync + 'static>(words: &'static [(&'static str, T)]) -> Kind<T> {
    let allowed = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let read = |value: &Value| match value {
        Value::Text(text) => words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value),
        _ => None,
    };
    let show = |value: &T| words.iter().find(|(_, known)| known == value).map(|(word, _)| (*word).to_owned()).unwrap_or_default();
    Kind::new(allowed, read, show)
}

/// One word, or an integer in a range; `make` and `count` convert from the integer and back.
pub fn word_or<T: Copy + PartialEq + Sync + 'static>(
    word: (&'static str, T),
    range: RangeInclusive<usize>,
    make: fn(usize) -> T,
    count: fn(&T) -> Option<usize>,
) -> Kind<T> {
    let allowed = format!("{} to {}, {:?}", range.start(), range.end(), word.0);
    let read = move |value: &Value| match value {
        Value::Text(text) => (text == word.0).then_some(word.1),
        Value::Integer(number) => usize::try_from(*number).ok().filter(|number| range.contains(number)).map(make),
        _ => None,
    };
    Kind::new(allowed, read, move |value| count(value).map_or(word.0.to_owned(), |count| count.to_string()))
}

/// Lists of strings. `read` makes a value of each, or gives `None` if it is not allowed; `show` writes one back.
pub fn list<T: 'static>(allowed: &str, read: impl Fn(&str) -> Option<T> + 'static, show: impl Fn(&T) -> String + 'static) -> Kind<Vec<T>> {
    let read = move |value: &Value| match value {
        Value::List(items) => {
            let item = |(index, value): (usize, &Value)| match value {
                Value::Text(text) => read(text).ok_or(Wrong::Item(index)),
                _ => Err(Wrong::Item(index)),
            };
            items.iter().map(|node| &node.value).enumerate().map(item).collect()
        }
        _ => Err(Wrong::All),
    };
    let show = move |items: &Vec<T>| format!("[{}]", items.iter().map(|item| format!("{:?}", show(item))).collect::<Vec<_>>().join(", "));
    Kind { allowed: allowed.to_owned(), read: Box::new(read), show: Box::new(show) }
}
