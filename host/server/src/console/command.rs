//! One line of input: `ROUTE [SEQ] BODY`, `session` or `resume`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use duet_client::steers;

/// The largest body that any server can be set to take.
const BODY_BYTES_MAX: u64 = 16 << 20;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Send(Message),
    /// Asks for a token.
    Session,
    /// Drops the connection, if it still is, and goes on with another one.
    Resume,
}

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its route.
    pub(crate) route: i32,
    /// Its seq. Absent: the next free one. 0: no answer is expected.
    pub(crate) seq: Option<i32>,
    /// Its body.
    pub(crate) body: Body,
}

/// Where a body comes from: text, `hex:` and digits, `@` and the name of a file, or `text:` and text that begins like one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file, read when it is sent.
    File(PathBuf),
}

/// Why a line is not a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The first word is not a route.
    #[error("{0:?} is not a route; a command is ROUTE [SEQ] BODY, session or resume")]
    Route(String),
    /// What follows `hex:` is not pairs of hex digits.
    #[error("{0:?} is not made of pairs of hex digits")]
    Hex(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Command {
    /// `None` for an empty line or a comment.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, CommandError> {
        let line = line.trim();
        match line {
            "session" => return Ok(Some(Self::Session)),
            "resume" => return Ok(Some(Self::Resume)),
            _ if line.is_empty() || line.starts_with('#') => return Ok(None),
            _ => {}
        }
        let (route, rest) = split_word(line);
        let route = route.parse().map_err(|_| CommandError::Route(route.to_owned()))?;
        let (word, behind) = split_word(rest);
        // A number that ends the line is the body: a seq always has one after it.
        let (seq, body) = match (word, word.parse()) {
            ("-", _) => (None, behind),
            (_, Ok(seq)) if !behind.is_empty() => (Some(seq), behind),
            _ => (None, rest),
        };
        Ok(Some(Self::Send(Message { route, seq, body: body.parse()? })))
    }
}

impl FromStr for Body {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        if let Some(digits) = text.strip_prefix("hex:") {
            return parse_hex(digits).map(Self::Bytes).ok_or_else(|| CommandError::Hex(digits.to_owned()));
        }
        if let Some(path) = text.strip_prefix('@') {
            return Ok(Self::File(path.into()));
        }
        Ok(Self::Bytes(text.strip_prefix("text:").unwrap_or(text).as_bytes().to_vec()))
    }
}

impl Body {
    /// The bytes to send; reads the file.
    pub(super) fn read(self) -> Result<Vec<u8>, CommandError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::File(path) => read_file(&path).map_err(|source| CommandError::File { path, source }),
        }
    }
}

/// Reads at most one byte more than can be sent, because a device may have no end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    File::open(path)?.take(BODY_BYTES_MAX + 1).read_to_end(&mut body)?;
    if body.len() as u64 > BODY_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than the {BODY_BYTES_MAX} bytes that a body may have"),
        ));
    }
    Ok(body)
}

/// A body as it can be typed in: text, or hex if it is not text or would break the line or steer the terminal.
pub(super) fn body_text(body: &[u8]) -> String {
    match str::from_utf8(body) {
        Ok(text) if text.contains(|c| steers(c) || c == '\t') || text.trim() != text => hex_text(body),
        Ok(text) if ["hex:", "text:", "@"].iter().any(|prefix| text.starts_with(prefix)) => format!("text:{text}"),
        Ok(text) => text.to_owned(),
        Err(_) => hex_text(body),
    }
}

fn hex_text(body: &[u8]) -> String {
    body.iter().fold("hex:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_not_read_for_ever() {
        let Err(CommandError::File { source, .. }) = Body::File("/dev/zero".into()).read() else { panic!("it was read") };
        assert_eq!(source.kind(), io::ErrorKind::FileTooLarge);
    }

    fn parse(line: &str) -> (i32, Option<i32>, Vec<u8>) {
        let message = message(line);
        (message.route, message.seq, message.body.read().unwrap())
    }

    fn message(line: &str) -> Message {
        match Command::parse(line).unwrap() {
            Some(Command::Send(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn route_seq_and_body_are_told_apart() {
        assert_eq!(parse("1 hello there"), (1, None, b"hello there".to_vec()));
        assert_eq!(parse(" -7  12   {\"a\": 1} "), (-7, Some(12), b"{\"a\": 1}".to_vec()));
        assert_eq!(parse("1 - 5 apples"), (1, None, b"5 apples".to_vec()));
        assert_eq!(parse("1 5"), (1, None, b"5".to_vec()));
        assert_eq!(parse("1"), (1, None, Vec::new()));
        assert_eq!(parse("1 0 hex:"), (1, Some(0), Vec::new()));
    }

    #[test]
    fn bodies_are_text_hex_or_files() {
        assert_eq!(parse("1 hex:00 fF7f").2, [0, 0xff, 0x7f]);
        assert_eq!(parse("1 text:hex:00").2, b"hex:00");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"from a file\n").unwrap();
        assert_eq!(parse(&format!("1 @{}", file.path().display())).2, b"from a file\n");
    }

    #[test]
    fn empty_lines_and_comments_are_no_commands() {
        for line in ["", "  ", "# 1 hello"] {
            assert_eq!(Command::parse(line).unwrap(), None);
        }
    }

    #[test]
    fn words_about_the_session_stand_alone() {
        assert_eq!(Command::parse(" session ").unwrap(), Some(Command::Session));
        assert_eq!(Command::parse("resume").unwrap(), Some(Command::Resume));
        assert!(matches!(Command::parse("resume now"), Err(CommandError::Route(_))));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(Command::parse("hello"), Err(CommandError::Route(word)) if word == "hello"));
        assert!(matches!(Command::parse("1 hex:abc"), Err(CommandError::Hex(_))));
        assert!(matches!(Command::parse("1 hex:zz"), Err(CommandError::Hex(_))));
        assert!(matches!(message("1 @no/such/file").body.read(), Err(CommandError::File { .. })));
    }

    #[test]
    fn what_is_written_down_can_be_typed_in_again() {
        for body in
            [&b"hello"[..], b"\xff\x00", b"line\nbreak", b"text:x", b"hex:00", b"@home", b" space ", b"\x1b[2J", b"", "\u{4f60}".as_bytes()]
        {
            assert_eq!(parse(&format!("1 - {}", body_text(body))).2, body);
        }
    }
}
