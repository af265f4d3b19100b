//! What an operator can ask of a running server, and what it answers: a line of JSON each.
//!
//! A [`Request`] carries a [`Verb`], an [`Answer`] what was [`Done`] or a [`Refusal`]. How the lines travel is not said here.
//!
//! ```
//! use duet_control::{Answer, Request, Verb};
//!
//! let line = r#"{"v":1,"id":7,"verb":"plugin.swap","name":"dice","force":true}"#;
//! let request = Request::parse(line.as_bytes()).unwrap();
//! assert_eq!(request, Request { id: 7, verb: Verb::Swap { name: "dice".into(), file: None, force: true } });
//!
//! let answer = Request::parse(br#"{"v":2,"id":7,"verb":"plugin.list"}"#).unwrap_err();
//! assert_eq!(
//!     answer.line(),
//!     r#"{"v":1,"id":7,"error":{"code":"version","text":"version 2 of the protocol is not known here; this server speaks version 1"}}"#
//! );
//! ```

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod answer;
mod line;
mod request;
mod verb;

pub use answer::{Answer, AnswerError, Refusal, RefusalCode};
pub use line::{LineError, read_line};
pub use request::{REQUEST_BYTES_MAX, Request};
pub use verb::{Change, Done, Plugin, RefusedFile, Route, Swapped, VERSION, Verb, Version};
