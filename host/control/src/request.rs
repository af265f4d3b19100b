//! A request, as a line.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::{Answer, RefusalCode};
use crate::verb::{VERSION, Verb};

/// The longest line of a request in bytes. A path has at most 4,096.
pub const REQUEST_BYTES_MAX: usize = 16 << 10;

/// A line from whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Comes back with the answer; 0 if whoever asks does not care.
    pub id: u64,
    /// What to do.
    pub verb: Verb,
}

impl Request {
    /// The line, without its end.
    ///
    /// # Errors
    /// If a path in it is not UTF-8.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        let mut line = Map::from_iter([("v".to_owned(), VERSION.into()), ("id".to_owned(), self.id.into())]);
        if let Value::Object(verb) = serde_json::to_value(&self.verb)? {
            line.extend(verb);
        }
        serde_json::to_string(&line)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// The answer to a line that cannot be understood.
    pub fn parse(line: &[u8]) -> Result<Self, Box<Answer>> {
        let mut fields: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| Box::new(Answer::refusal(0, RefusalCode::Malformed, format!("not a JSON object: {error}"))))?;
        let id = fields.remove("id").map_or(Some(0), |id| id.as_u64());
        let refused = |code, text: String| Box::new(Answer::refusal(id.unwrap_or(0), code, text));
        match fields.remove("v") {
            Some(version) if version == VERSION => {}
            Some(version) => {
                let text = format!("version {version} of the protocol is not known here; this server speaks version {VERSION}");
                return Err(refused(RefusalCode::Version, text));
            }
            None => return Err(refused(RefusalCode::Malformed, format!("`v` is missing, the version of the protocol: {VERSION}"))),
        }
        let id = id.ok_or_else(|| refused(RefusalCode::Malformed, "`id` is not a whole number from 0 on".to_owned()))?;
        let is_unknown = fields.get("verb").and_then(Value::as_str).is_some_and(|verb| !Verb::NAMES.contains(&verb));
        let code = if is_unknown { RefusalCode::Verb } else { RefusalCode::Malformed };
        let verb = Verb::deserialize(Value::Object(fields)).map_err(|error| refused(code, error.to_string()))?;
        Ok(Self { id, verb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> (u64, RefusalCode, String) {
        let Answer { id, result } = *Request::parse(line.as_bytes()).unwrap_err();
        let refusal = result.unwrap_err();
        (id, refusal.code, refusal.text)
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = Request { id: u64::MAX, verb: Verb::RollBack { name: "dice".into(), hash: None } };
        let line = request.line().unwrap();
        assert_eq!(line, r#"{"id":18446744073709551615,"name":"dice","v":1,"verb":"plugin.rollback"}"#);
        assert_eq!(Request::parse(line.as_bytes()).unwrap(), request);
        assert_eq!(Request::parse(br#"{"v":1,"verb":"plugin.list"}"#).unwrap(), Request { id: 0, verb: Verb::List {} });
    }

    #[test]
    fn what_cannot_be_understood_is_answered_with_its_id_and_what_would_be() {
        let unknown = refused(r#"{"v":1,"id":3,"verb":"plugin.explode"}"#);
        assert!((unknown.0, unknown.1) == (3, RefusalCode::Verb) && Verb::NAMES.iter().all(|name| unknown.2.contains(name)), "{unknown:?}");
        for (line, id, code, word) in [
            ("", 0, RefusalCode::Malformed, "not a JSON object"),
            ("[]", 0, RefusalCode::Malformed, "not a JSON object"),
            ("\u{0}", 0, RefusalCode::Malformed, "not a JSON object"),
            (r#"{"id":1,"verb":"plugin.list"}"#, 1, RefusalCode::Malformed, "`v` is missing"),
            (r#"{"v":9,"id":2,"verb":"plugin.list"}"#, 2, RefusalCode::Version, "version 9"),
            (r#"{"v":"1","id":2,"verb":"plugin.list"}"#, 2, RefusalCode::Version, "version \"1\""),
            (r#"{"v":1,"id":-1,"verb":"plugin.list"}"#, 0, RefusalCode::Malformed, "`id`"),
            (r#"{"v":1,"id":4}"#, 4, RefusalCode::Malformed, "verb"),
            (r#"{"v":1,"id":4,"verb":7}"#, 4, RefusalCode::Malformed, "variant"),
            (r#"{"v":1,"id":5,"verb":"plugin.swap"}"#, 5, RefusalCode::Malformed, "name"),
            (r#"{"v":1,"id":6,"verb":"plugin.swap","name":"a","forced":true}"#, 6, RefusalCode::Malformed, "forced"),
            (r#"{"v":1,"id":6,"verb":"plugin.list","name":"a"}"#, 6, RefusalCode::Malformed, "name"),
        ] {
            let found = refused(line);
            assert!((found.0, found.1) == (id, code) && found.2.contains(word), "{line}: {found:?}");
        }
    }
}
