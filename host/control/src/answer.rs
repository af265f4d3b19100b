//! An answer, as a line.

use serde::{Deserialize, Serialize};

use crate::verb::{Done, VERSION};

/// A line from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// That of the request.
    pub id: u64,
    /// What came of it.
    pub result: Result<Done, Refusal>,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of reason.
    pub code: RefusalCode,
    /// The reason for people, and what to do.
    pub text: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The line is no request.
    Malformed,
    /// Another version of the protocol.
    Version,
    /// No verb of this name.
    Verb,
    /// Who asks may not.
    Forbidden,
    /// No plugin of this name.
    NoPlugin,
    /// It was tried or judged, and did not come to pass.
    Refused,
    /// Too many ask at once.
    Busy,
    /// The server is stopping.
    Stopping,
    /// A mistake of the server.
    Internal,
    /// One that this program does not know yet.
    #[serde(other)]
    Other,
}

/// A line that is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Another version of the protocol.
    #[error(
        "the server speaks version {0} of the protocol, and this program version {VERSION}; use the program that the server was started from"
    )]
    Version(u64),
    /// It cannot be read.
    #[error("not an answer of a server: {0}")]
    Malformed(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    id: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    done: Option<&'a Done>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Refusal>,
}

#[derive(Deserialize)]
struct Head {
    v: u64,
    #[serde(default)]
    id: u64,
    error: Option<Refusal>,
}

impl Answer {
    /// A refusal.
    pub fn refusal(id: u64, code: RefusalCode, text: impl Into<String>) -> Self {
        Self { id, result: Err(Refusal { code, text: text.into() }) }
    }

    /// The line, without its end.
    pub fn line(&self) -> String {
        let (done, error) = (self.result.as_ref().ok(), self.result.as_ref().err());
        serde_json::to_string(&Written { v: VERSION, id: self.id, done, error }).unwrap_or_default()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// If it is none of this version.
    pub fn parse(line: &[u8]) -> Result<Self, AnswerError> {
        let head: Head = serde_json::from_slice(line)?;
        if head.v != u64::from(VERSION) {
            return Err(AnswerError::Version(head.v));
        }
        let result = match head.error {
            Some(refusal) => Err(refusal),
            None => Ok(serde_json::from_slice(line)?),
        };
        Ok(Self { id: head.id, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::{Change, Plugin, RefusedFile, Route, Swapped, Version};

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let version = Version { version: "0.2.0".into(), hash: Some("ab".into()) };
        let change = Change { at_ms: 3, version: version.clone(), what: "refused".into(), why: "it lacks route 5".into() };
        let route = Route { route: None, requests: 4, errors: 1, faults: 0, p50_us: Some(3), p99_us: None };
        let plugin = Plugin {
            name: "dice".into(),
            version: version.clone(),
            since_ms: Some(1),
            state: None,
            probation_us: Some(5),
            is_quarantined: false,
            instances: 1,
            in_flight: 0,
            calls: 2,
            requests: 4,
            errors: 1,
            faults: 0,
            p50_us: None,
            p99_us: None,
            memory_bytes: 1 << 20,
            routes: vec![route],
            last: Some(change.clone()),
        };
        let swapped = Swapped {
            name: "dice".into(),
            from: None,
            to: version,
            state: "kept".into(),
            state_bytes: 1,
            save_us: 2,
            restore_us: 3,
            pause_us: 6,
            notes: vec!["a note".into()],
        };
        let refused = vec![RefusedFile { name: "bad".into(), at_ms: 1, why: "no".into() }];
        for done in [
            Done::List { plugins: vec![plugin], refused },
            Done::Swap(swapped.clone()),
            Done::RollBack(swapped),
            Done::Log { name: "dice".into(), changes: vec![change] },
        ] {
            let answer = Answer { id: 7, result: Ok(done) };
            let line = answer.line();
            assert!(line.starts_with(r#"{"v":1,"id":7,"verb":"plugin."#) && !line.contains('\n'), "{line}");
            assert_eq!(Answer::parse(line.as_bytes()).unwrap(), answer);
        }
        let refusal = Answer::refusal(8, RefusalCode::NoPlugin, "no plugin `x`");
        assert_eq!(refusal.line(), r#"{"v":1,"id":8,"error":{"code":"no_plugin","text":"no plugin `x`"}}"#);
        assert_eq!(Answer::parse(refusal.line().as_bytes()).unwrap(), refusal);
    }

    #[test]
    fn an_answer_of_a_later_server_is_read_as_far_as_it_is_known() {
        let later = r#"{"v":1,"id":1,"more":2,"error":{"code":"sold_out","text":"x","more":3}}"#;
        assert_eq!(Answer::parse(later.as_bytes()).unwrap(), Answer::refusal(1, RefusalCode::Other, "x"));
        let added = r#"{"v":1,"id":1,"verb":"plugin.log","name":"a","changes":[],"more":[]}"#;
        assert_eq!(Answer::parse(added.as_bytes()).unwrap().result.unwrap(), Done::Log { name: "a".into(), changes: Vec::new() });
        assert!(matches!(Answer::parse(br#"{"v":2,"id":1}"#), Err(AnswerError::Version(2))));
        assert!(matches!(Answer::parse(b"HTTP/1.1 200 OK"), Err(AnswerError::Malformed(_))));
    }
}
