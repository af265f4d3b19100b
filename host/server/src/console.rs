//! The command line of a client: takes lines, sends them, writes down what comes back.

mod command;

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use duet_client::{Client, ClientError, CloseReason, Incoming, Reply, Session, Shown};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::time::{self, Instant};

use command::{Command, body_text};

pub(crate) use command::{CommandError, Message};

/// Unanswered requests that an error names; there may be thousands.
const REQUESTS_NAMED: usize = 5;

/// How [`run`] and [`send`] behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsoleOptions {
    /// How long answers are waited for once there is no more input. Default 3 s.
    pub(crate) reply_timeout: Duration,
    /// How long pushes are waited for once all answers are there. Default 0.
    pub(crate) wait: Duration,
    /// Whether heartbeats of the server are written down. Default false.
    pub(crate) heartbeats: bool,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self { reply_timeout: Duration::from_secs(3), wait: Duration::ZERO, heartbeats: false }
    }
}

/// Why [`run`] or [`send`] failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsoleError {
    /// The input cannot be read.
    #[error("cannot read the input")]
    Input(#[source] io::Error),
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The body of the one message cannot be read.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The one message could not be sent.
    #[error("cannot send")]
    Send(#[source] ClientError),
    /// The answer to the one message is an error packet.
    #[error("refused with code {code}: {}", Shown(message))]
    Refused {
        /// The error code.
        code: u16,
        /// The text, may be empty.
        message: String,
    },
    /// Not everything was answered in time.
    #[error("no answer within {timeout:?} to {}", requests_text(requests))]
    NoReply {
        /// Route and seq of what was not, in their order.
        requests: Vec<(i32, i32)>,
        /// How long the last answers were waited for.
        timeout: Duration,
    },
    /// The connection ended.
    #[error("the connection is closed: {0}")]
    Closed(CloseReason),
    /// The connection ended, and the server had never said anything on it.
    #[error("the connection is closed: {0}; it never said a word, so the address may be that of another kind of listener")]
    Mute(CloseReason),
}

/// Sends the commands in `input`, one on each line, and writes each thing that happens to `out`, one on each line, until the input has
/// ended and the answers are there.
///
/// A command is `ROUTE [SEQ] BODY`. A body is text, `hex:` and digits, `@` and the name of a file, or `text:` and text that begins like one
/// of these. Without SEQ, or with `-` in its place, the next free seq is taken; a body that begins with a number needs that `-`. A command
/// with seq 0 has no answer. Empty lines and those that begin with `#` are skipped.
///
/// `session` asks for a token. `resume` drops the connection and goes on with another one; without a session that is a mistake. A connection
/// that is lost ends the run, unless there is a session: then `resume` may follow.
///
/// Lines of the output are `> ROUTE SEQ BODY`, `< reply ROUTE SEQ BODY`, `< push ROUTE BODY`, `< error ROUTE SEQ CODE MESSAGE`,
/// `< heartbeat [UNIX_MS]`, `< extcode EXTCODE ROUTE SEQ BODY`, `< session TOKEN TTL_MS RECEIVED`, `< resumed TOKEN TTL_MS RECEIVED` and
/// `! MISTAKE`; their bodies can be used as input again.
///
/// # Errors
/// Input, output or connection end early, or a command was not answered.
pub(crate) async fn run(
    client: &mut Client,
    input: impl AsyncBufRead + Unpin,
    out: &mut impl io::Write,
    options: &ConsoleOptions,
) -> Result<(), ConsoleError> {
    Console::new(out, options, false).follow(client, input).await
}

/// Sends one message, and writes down what comes back until its answer is there and `wait` is over; not the message itself.
///
/// # Errors
/// The message cannot be sent, is refused or not answered; output or connection end early.
pub(crate) async fn send(
    client: &mut Client,
    message: Message,
    out: &mut impl io::Write,
    options: &ConsoleOptions,
) -> Result<(), ConsoleError> {
    let mut console = Console::new(out, options, true);
    match console.send(client, message).await {
        Err(ConsoleError::Send(ClientError::Closed(reason))) => return Err(console.ended(reason)),
        sent => sent?,
    }
    console.end_input();
    console.follow(client, tokio::io::empty()).await
}

struct Console<'a, W> {
    out: &'a mut W,
    options: &'a ConsoleOptions,
    /// Only one message is sent.
    one_shot: bool,
    unanswered: HashSet<(i32, i32)>,
    /// Whether the server has said anything.
    heard: bool,
    end_at: Option<Instant>,
    /// Why there is no connection, while its session may be resumed.
    lost: Option<CloseReason>,
}

impl<'a, W: io::Write> Console<'a, W> {
    fn new(out: &'a mut W, options: &'a ConsoleOptions, one_shot: bool) -> Self {
        Self { out, options, one_shot, unanswered: HashSet::new(), heard: false, end_at: None, lost: None }
    }

    /// Carries out lines until they end, and receives until there is nothing left to wait for.
    async fn follow(mut self, client: &mut Client, input: impl AsyncBufRead + Unpin) -> Result<(), ConsoleError> {
        let mut lines = input.lines();
        loop {
            tokio::select! {
                () = at(self.end_at) => return self.finish(),
                incoming = client.recv(), if self.lost.is_none() => match incoming {
                    Ok(incoming) => self.show(incoming)?,
                    Err(ClientError::Closed(reason)) if self.may_resume(client, &reason) => self.lose(reason)?,
                    Err(ClientError::Closed(reason)) => return self.closed(reason),
                    Err(error) => return Err(ConsoleError::Send(error)),
                },
                line = lines.next_line(), if self.end_at.is_none() => match line.map_err(ConsoleError::Input)? {
                    Some(line) => self.obey(client, &line).await?,
                    None => match self.lost.take() {
                        Some(reason) => return Err(self.ended(reason)),
                        None => self.end_input(),
                    },
                },
            }
        }
    }

    async fn obey(&mut self, client: &mut Client, line: &str) -> Result<(), ConsoleError> {
        let obeyed = match Command::parse(line) {
            Ok(None) => return Ok(()),
            Ok(Some(Command::Send(message))) => self.send(client, message).await,
            Ok(Some(Command::Session)) => self.open_session(client).await,
            Ok(Some(Command::Resume)) => self.resume(client).await,
            Err(error) => Err(error.into()),
        };
        match obeyed {
            // With a session, it is receiving that reports the end, and `resume` may follow.
            Err(ConsoleError::Send(ClientError::Closed(reason))) if client.session().is_none() => Err(self.ended(reason)),
            Err(ConsoleError::Send(ClientError::Encode(error))) => self.write(format_args!("! {error}")),
            Err(ConsoleError::Send(error)) => self.write(format_args!("! {error}")),
            Err(ConsoleError::Command(error)) => self.write(format_args!("! {}", Shown(&error.to_string()))),
            obeyed => obeyed,
        }
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
        let token = Shown(session.token());
        self.write(format_args!("< {what} {token} {} {}", session.ttl().as_millis(), session.received()))
    }

    async fn send(&mut self, client: &Client, message: Message) -> Result<(), ConsoleError> {
        let body = message.body.read()?;
        let (route, seq) = (message.route, message.seq.unwrap_or_else(|| client.next_seq()));
        client.send(route, seq, &body).await.map_err(ConsoleError::Send)?;
        // Without a seq in the format, whatever comes on the route is the answer.
        if message.seq != Some(0) {
            self.unanswered.insert((route, seq));
        }
        if self.one_shot {
            return Ok(());
        }
        self.write(format_args!("> {route} {seq} {}", body_text(&body)))
    }

    fn show(&mut self, incoming: Incoming) -> Result<(), ConsoleError> {
        self.heard = true;
        match incoming {
            Incoming::Push { route, body } => {
                self.write(format_args!("< push {route} {}", body_text(&body)))?;
                self.answered(route, 0);
                Ok(())
            }
            Incoming::Reply(Reply { route, seq, body }) => {
                self.write(format_args!("< reply {route} {seq} {}", body_text(&body)))?;
                self.answered(route, seq);
                Ok(())
            }
            Incoming::Error { route, seq, code, message } => {
                self.write(format_args!("< error {route} {seq} {code} {}", Shown(&message)))?;
                if self.answered(route, seq) && self.one_shot {
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
        let mut requests: Vec<_> = self.unanswered.drain().collect();
        if requests.is_empty() {
            return Ok(());
        }
        requests.sort_unstable();
        Err(ConsoleError::NoReply { requests, timeout: self.options.reply_timeout })
    }

    /// Whether it makes sense to wait for `resume`.
    fn may_resume(&self, client: &Client, reason: &CloseReason) -> bool {
        let lost = !reason.is_final();
        lost && !self.one_shot && self.end_at.is_none() && client.session().is_some()
    }

    fn lose(&mut self, reason: CloseReason) -> Result<(), ConsoleError> {
        self.write(format_args!("! the connection is closed: {reason}; `resume` goes on with its session"))?;
        self.lost = Some(reason);
        Ok(())
    }

    /// A server may close once it has answered everything.
    fn closed(&mut self, reason: CloseReason) -> Result<(), ConsoleError> {
        let error = self.ended(reason);
        if self.end_at.is_none() || !self.unanswered.is_empty() {
            return Err(error);
        }
        self.write(format_args!("! {error}"))
    }

    fn ended(&self, reason: CloseReason) -> ConsoleError {
        if self.heard || !matches!(reason, CloseReason::EndOfStream | CloseReason::Io(_)) {
            return ConsoleError::Closed(reason);
        }
        ConsoleError::Mute(reason)
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), ConsoleError> {
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(ConsoleError::Output)
    }
}

/// Names the first few.
fn requests_text(requests: &[(i32, i32)]) -> String {
    let named = requests.iter().take(REQUESTS_NAMED).map(|(route, seq)| format!("route {route} seq {seq}"));
    let text = named.collect::<Vec<_>>().join(", ");
    match requests.len().saturating_sub(REQUESTS_NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Waits until then, or for ever.
async fn at(end: Option<Instant>) {
    match end {
        Some(end) => time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
