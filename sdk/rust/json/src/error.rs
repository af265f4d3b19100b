//! What was wrong, for whoever sent it.

use std::fmt;

use serde::Deserialize;

/// Why a text was not read or a value not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    words: String,
}

impl Error {
    pub(crate) fn not_utf8() -> Self {
        Self { words: "the json is not UTF-8".to_owned() }
    }

    pub(crate) fn of_writing(error: &serde_json::Error) -> Self {
        Self { words: error.to_string() }
    }

    /// Reads the value again, this time noting where it is: the parser's own errors do not name the field.
    pub(crate) fn located<'de, T: Deserialize<'de>>(text: &'de [u8], error: &serde_json::Error) -> Self {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let words = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(located) if located.path().iter().next().is_some() => {
                format!("`{}`: {}", located.path(), words(located.inner()))
            }
            _ => words(error),
        };
        Self { words }
    }
}

/// The parser's words. Line and column are left out where the text is json but does not fit the type: there they say nothing.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((words, _)) if error.is_data() => words.to_owned(),
        _ => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Error {}
