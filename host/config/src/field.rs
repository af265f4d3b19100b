//! One value on its way from the tree into a setting.

use crate::report::{Place, Report};

/// One key of a table: take the value with [`or`](Field::or), [`optional`](Field::optional) or [`required`](Field::required). Only then is
/// a mistake reported, and at most one.
#[derive(Debug)]
#[must_use = "a mistake is reported when the value is taken"]
pub struct Field<'d, T> {
    report: &'d Report,
    place: Place,
    state: State<T>,
    allowed: String,
}

/// What became of the value so far.
#[derive(Debug)]
pub(crate) enum State<T> {
    /// The key is not there.
    Absent,
    /// The key is there with a value that is not allowed.
    Wrong,
    /// Nothing can be said: a mistake that covers this key is already reported.
    Unknown,
    /// The value.
    Found(T),
}

impl<'d, T> Field<'d, T> {
    pub(crate) fn new(report: &'d Report, place: Place, state: State<T>, allowed: String) -> Self {
        Field { report, place, state, allowed }
    }

    /// Allows only values that pass a check that depends on other keys; `allowed` completes the text "allowed: ...".
    pub fn check(mut self, allowed: impl Into<String>, passes: impl FnOnce(&T) -> bool) -> Self {
        self.allowed = allowed.into();
        if let State::Found(value) = &self.state
            && !passes(value)
        {
            self.state = State::Wrong;
        }
        self
    }

    /// The value, or the default if the key is not there or wrong.
    pub fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value; `None` if the key is not there or wrong.
    pub fn optional(self) -> Option<T> {
        match self.state {
            State::Found(value) => Some(value),
            State::Wrong => {
                self.report.mistake(self.place, format!("allowed: {}", self.allowed));
                None
            }
            State::Absent | State::Unknown => None,
        }
    }

    /// The value; a missing key is a mistake. `None` if it is missing or wrong.
    pub fn required(self) -> Option<T> {
        if matches!(self.state, State::Absent) && !self.report.is_torn() {
            self.report.mistake(self.place, format!("missing; allowed: {}", self.allowed));
            return None;
        }
        self.optional()
    }
}
