//! The command line of a client: takes lines, sends them, writes down what comes back.

mod command;

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::time::{self, Instant};

use crate::client::{Client, Incoming, Reply, Session};
use crate::error::{ClientError, CloseReason};
use command::{Command, Message, body_text};

pub use command::CommandError;

/// How [`run`] behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleOptions {
    /// Sends the first command only, does not write down what it sends, and fails if the answer does. Default false.
    pub one_shot: bool,
    /// How long answers are waited for once there is no more input. Default 3 s.
    pub reply_timeout: Duration,
    /// How long pushes are waited for once all answers are there. Default 0.
    pub wait: Duration,
    /// Whether heartbeats of the server are written down. Default false.
    pub heartbeats: bool,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self { one_shot: false, reply_timeout: Duration::from_secs(3), wait: Duration::ZERO, heartbeats: false }
    }
}

/// Why [`run`] failed.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The input cannot be read.
    #[error("cannot read the input")]
    Input(#[source] io::Error),
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The one command is none.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The input ended before there was a command.
    #[error("there is nothing to send")]
    Nothing,
    /// The one command could not be sent.
    #[error("cannot send")]
    Send(#[source] ClientError),
    /// The answer to the one command is an error packet.
    #[error("refused with code {code}: {message}")]
    Refused {
        /// The error code.
        code: u16,
        /// The text, may be empty.
        message: String,
    },
    /// The one command had no answer in time.
    #[error("no answer to route {route} seq {seq} in time")]
    NoReply {
        /// The route of the command.
        route: i32,
        /// The seq it was sent with.
        seq: i32,
    },
    /// The connection ended.
    #[error("the connection is closed: {0}")]
    Closed(CloseReason),
}

/// Sends the commands in `input`, one on each line, and writes each thing that happens to `out`, one on each line, until the input has
/// ended and the answers are there.
///
/// A command is `ROUTE [SEQ] BODY`. A body is text, `hex:` and digits, `@` and the name of a file, or `text:` and text that begins like
/// one of these. Without SEQ, or with `-` in its place, the next free seq is taken; a body that begins with a number needs that `-`. A command
/// with seq 0 has no answer. Empty lines and those that begin with `#` are passed over.
///
/// `session` asks for a token. `resume` drops the connection and goes on with another one; without a session that is a mistake. A connection
/// that is lost ends the run, unless there is a session: then `resume` may follow.
///
/// Lines of the output are `> ROUTE SEQ BODY`, `< reply ROUTE SEQ BODY`, `< push ROUTE BODY`, `< error ROUTE SEQ CODE MESSAGE`,
/// `< heartbeat [UNIX_MS]`, `< extcode EXTCODE ROUTE SEQ BODY`, `< session TOKEN TTL_MS RECEIVED`, `< resumed TOKEN TTL_MS RECEIVED` and
/// `! MISTAKE`; their bodies can be used as input again.
///
/// # Errors
/// Input, output or connection end early. In one-shot mode also when the command is wrong, refused or not answered.
pub async fn run(
    client: &mut Client,
    input: impl AsyncBufRead + Unpin,
    out: &mut impl io::Write,
    options: &ConsoleOptions,
) -> Result<(), ConsoleError> {
    let mut lines = input.lines();
    let mut console = Console { out, options, unanswered: HashSet::new(), end_at: None, lost: None };
    loop {
        tokio::select! {
            () = at(console.end_at) => return console.finish(),
            incoming = client.recv(), if console.lost.is_none() => match incoming {
                Ok(incoming) => console.show(incoming)?,
                Err(ClientError::Closed(reason)) if console.may_resume(client, &reason) => console.lose(reason)?,
                Err(ClientError::Closed(reason)) => return console.closed(reason),
                Err(error) => return Err(ConsoleError::Send(error)),
            },
            line = lines.next_line(), if console.end_at.is_none() => match line.map_err(ConsoleError::Input)? {
                Some(line) => console.obey(client, &line).await?,
                None if options.one_shot => return Err(ConsoleError::Nothing),
                None => match console.lost.take() {
                    Some(reason) => return Err(ConsoleError::Closed(reason)),
                    None => console.end_input(),
                },
            },
        }
    }
}

struct Console<'a, W> {
    out: &'a mut W,
    options: &'a ConsoleOptions,
    unanswered: HashSet<(i32, i32)>,
    end_at: Option<Instant>,
    /// Why there is no connection, while its session may be resumed.
    lost: Option<CloseReason>,
}

impl<W: io::Write> Console<'_, W> {
    async fn obey(&mut self, client: &mut Client, line: &str) -> Result<(), ConsoleError> {
        let obeyed = match Command::parse(line) {
            Ok(None) => return Ok(()),
            Ok(Some(Command::Send(message))) => self.send(client, message).await,
            Ok(Some(Command::Session)) => self.open_session(client).await,
            Ok(Some(Command::Resume)) => self.resume(client).await,
            Err(error) => Err(error.into()),
        };
        let interactive = !self.options.one_shot;
        match obeyed {
            Ok(()) if interactive => {}
            Ok(()) => self.end_input(),
            // With a session the end is told by receiving, and `resume` may follow.
            Err(ConsoleError::Send(ClientError::Closed(reason))) if !interactive || client.session().is_none() => {
                return Err(ConsoleError::Closed(reason));
            }
            Err(ConsoleError::Command(error)) if interactive => self.write(format_args!("! {error}"))?,
            Err(ConsoleError::Send(ClientError::Encode(error))) if interactive => self.write(format_args!("! {error}"))?,
            Err(ConsoleError::Send(error)) if interactive => self.write(format_args!("! {error}"))?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn open_session(&mut self, client: &Client) -> Result<(), ConsoleError> {
        let session = client.open_session(self.options.reply_timeout).await.map_err(ConsoleError::Send)?;
        self.write_session("session", Some(session))
    }

    async fn resume(&mut self, client: &mut Client) -> Result<(), ConsoleError> {
        client.reconnect().await.map_err(ConsoleError::Send)?;
        self.lost = None;
        self.write_session("resumed", client.session())
    }

    fn write_session(&mut self, what: &str, session: Option<Session>) -> Result<(), ConsoleError> {
        let Some(session) = session else { return Ok(()) };
        // Escaped as all that a server says.
        let token = session.token().escape_debug();
        self.write(format_args!("< {what} {token} {} {}", session.ttl().as_millis(), session.received()))
    }

    async fn send(&mut self, client: &Client, message: Message) -> Result<(), ConsoleError> {
        let body = message.body.read()?;
        let (route, seq) = (message.route, message.seq.unwrap_or_else(|| client.next_seq()));
        client.send(route, seq, &body).await.map_err(ConsoleError::Send)?;
        if seq != 0 {
            self.unanswered.insert((route, seq));
        }
        if self.options.one_shot {
            return Ok(());
        }
        self.write(format_args!("> {route} {seq} {}", body_text(&body)))
    }

    fn show(&mut self, incoming: Incoming) -> Result<(), ConsoleError> {
        match incoming {
            Incoming::Push { route, body } => self.write(format_args!("< push {route} {}", body_text(&body))),
            Incoming::Reply(Reply { route, seq, body }) => {
                self.write(format_args!("< reply {route} {seq} {}", body_text(&body)))?;
                self.answered(route, seq);
                Ok(())
            }
            Incoming::Error { route, seq, code, message } => {
                // Escaped, since a server must not steer the terminal.
                self.write(format_args!("< error {route} {seq} {code} {}", message.escape_debug()))?;
                if self.answered(route, seq) && self.options.one_shot {
                    return Err(ConsoleError::Refused { code, message });
                }
                Ok(())
            }
            Incoming::Heartbeat { .. } if !self.options.heartbeats => Ok(()),
            Incoming::Heartbeat { time: Some(time) } => self.write(format_args!("< heartbeat {}", time.as_millis())),
            Incoming::Heartbeat { time: None } => self.write(format_args!("< heartbeat")),
            Incoming::Unknown { extcode, route, seq, body } => {
                self.write(format_args!("< extcode {extcode} {route} {seq} {}", body_text(&body)))
            }
        }
    }

    /// Whether this is the answer to a command. The last one may end the run.
    fn answered(&mut self, route: i32, seq: i32) -> bool {
        let expected = self.unanswered.remove(&(route, seq));
        if expected && self.end_at.is_some() && self.unanswered.is_empty() {
            self.end_input();
        }
        expected
    }

    fn end_input(&mut self) {
        let left = if self.unanswered.is_empty() { self.options.wait } else { self.options.reply_timeout };
        self.end_at = Some(Instant::now() + left);
    }

    fn finish(&mut self) -> Result<(), ConsoleError> {
        let mut unanswered: Vec<_> = self.unanswered.drain().collect();
        unanswered.sort_unstable();
        for (route, seq) in unanswered {
            let error = ConsoleError::NoReply { route, seq };
            if self.options.one_shot {
                return Err(error);
            }
            self.write(format_args!("! {error}"))?;
        }
        Ok(())
    }

    /// Whether it makes sense to wait for `resume`.
    fn may_resume(&self, client: &Client, reason: &CloseReason) -> bool {
        let lost = !reason.is_final();
        lost && !self.options.one_shot && self.end_at.is_none() && client.session().is_some()
    }

    fn lose(&mut self, reason: CloseReason) -> Result<(), ConsoleError> {
        self.write(format_args!("! the connection is closed: {reason}; `resume` goes on with its session"))?;
        self.lost = Some(reason);
        Ok(())
    }

    /// A server may close once it has answered everything.
    fn closed(&mut self, reason: CloseReason) -> Result<(), ConsoleError> {
        let error = ConsoleError::Closed(reason);
        if self.end_at.is_none() || !self.unanswered.is_empty() {
            return Err(error);
        }
        self.write(format_args!("! {error}"))
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), ConsoleError> {
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(ConsoleError::Output)
    }
}

/// Waits until then, or for ever.
async fn at(end: Option<Instant>) {
    match end {
        Some(end) => time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
