//! Connections of the control socket: who may ask, how many at a time, for how long.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use duet_control::{Answer, Done, REQUEST_BYTES_MAX, Refusal, RefusalCode, Request, Verb, read_line};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, geteuid};

use crate::panics;

/// Connections at one time. Each has a thread.
const CONNECTIONS_MAX: usize = 16;
/// How long a line may take, from the end of the one before it, and how long an answer may take to be read.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long until the next try after the system refused a connection or a thread.
const RETRY: Duration = Duration::from_millis(100);

/// What does what is asked for.
pub(crate) trait Perform: Send + Sync + 'static {
    /// Does it on this thread, however long that takes.
    fn perform(&self, verb: Verb) -> Result<Done, Refusal>;
}

/// Answers whoever connects, until the process ends.
///
/// # Errors
/// If the system cannot start a thread.
pub(crate) fn listen(listener: UnixListener, desk: Arc<dyn Perform>) -> io::Result<()> {
    let places = Arc::new(());
    panics::thread("duet-control", move || {
        loop {
            let admitted = listener.accept().and_then(|(stream, _)| admit(stream, &places, &desk));
            if let Err(error) = admitted {
                tracing::debug!("control socket: {error}");
                std::thread::park_timeout(RETRY);
            }
        }
    })
    .map(drop)
}

/// Gives a connection a thread, if there is room.
fn admit(stream: UnixStream, places: &Arc<()>, desk: &Arc<dyn Perform>) -> io::Result<()> {
    let (place, desk) = (Arc::clone(places), Arc::clone(desk));
    // The listener has one as well.
    if Arc::strong_count(places) - 1 > CONNECTIONS_MAX {
        // Short enough for the buffer of a new socket.
        stream.set_nonblocking(true)?;
        let text = format!("{CONNECTIONS_MAX} connections are open already; try again");
        return write(&stream, &Answer::refusal(0, RefusalCode::Busy, text), LINE_TIMEOUT);
    }
    let talk = move || {
        drop(panics::survive("a control connection", || converse(&stream, &*desk, LINE_TIMEOUT)));
        drop(place);
    };
    std::thread::Builder::new().name("duet-control-c".to_owned()).spawn(talk).map(drop)
}

/// Answers line after line. An error, or a line that cannot be understood, ends it.
fn converse(stream: &UnixStream, desk: &dyn Perform, timeout: Duration) -> io::Result<()> {
    let peer = socket_peercred(stream)?;
    let refuse = |code, text: String| write(stream, &Answer::refusal(0, code, text), timeout);
    if peer.uid != geteuid() && peer.uid != Uid::ROOT {
        tracing::warn!(uid = peer.uid.as_raw(), pid = %peer.pid, "control socket: another user was turned away");
        return refuse(RefusalCode::Forbidden, "only the user of the server and root may ask".to_owned());
    }
    let mut lines = BufReader::new(Timed { stream, until: Instant::now() });
    loop {
        lines.get_mut().until = Instant::now() + timeout;
        // What was read ahead needs no time, and what is not there after it is over was not sent in time.
        let line = match read_line(&mut lines, REQUEST_BYTES_MAX) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) => return refuse(RefusalCode::Malformed, format!("no request: {error}")),
        };
        let answer = match Request::parse(&line) {
            Err(answer) => *answer,
            Ok(Request { id, verb }) => {
                told(&verb, &peer);
                Answer { id, result: desk.perform(verb) }
            }
        };
        write(stream, &answer, timeout)?;
    }
}

/// Who asked for what.
fn told(verb: &Verb, peer: &rustix::net::UCred) {
    let (name, plugin, uid, pid) = (verb.name(), verb.plugin(), peer.uid.as_raw(), peer.pid);
    match verb {
        Verb::List {} | Verb::Log { .. } => tracing::debug!(plugin, uid, %pid, "asked for {name}"),
        Verb::Swap { .. } | Verb::RollBack { .. } => tracing::info!(plugin, uid, %pid, "asked for {name}"),
    }
}

fn write(stream: &UnixStream, answer: &Answer, timeout: Duration) -> io::Result<()> {
    let mut line = answer.line();
    line.push('\n');
    Timed { stream, until: Instant::now() + timeout }.write_all(line.as_bytes())
}

/// A stream whose reads and writes are over at a time, all together.
struct Timed<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(late()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        let mut stream = self.stream;
        stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        let mut stream = self.stream;
        stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took too long")
}

/// A socket that has waited for its time answers like one that never waits.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { late() } else { error }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;

    use super::*;

    struct Nothing;

    impl Perform for Nothing {
        fn perform(&self, _: Verb) -> Result<Done, Refusal> {
            Ok(Done::List { plugins: Vec::new(), refused: Vec::new() })
        }
    }

    /// What is answered to these bytes, line by line, until the end.
    fn answers(bytes: &[u8], ends: bool) -> Vec<Answer> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let talking = std::thread::spawn(move || converse(&theirs, &Nothing, Duration::from_millis(200)));
        // The other side may be gone before it has read all of it.
        drop((&ours).write_all(bytes));
        if ends {
            ours.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let lines = BufReader::new(&ours).split(b'\n').map_while(Result::ok);
        let answers = lines.map(|line| Answer::parse(&line).unwrap()).collect();
        drop(talking.join().unwrap());
        answers
    }

    fn code(answer: &Answer) -> Option<RefusalCode> {
        answer.result.as_ref().err().map(|refusal| refusal.code)
    }

    #[test]
    fn requests_are_answered_in_order_and_what_is_none_ends_nothing_but_itself() {
        let list = |id: u32| format!("{{\"v\":1,\"id\":{id},\"verb\":\"plugin.list\"}}\n");
        let all = answers(format!("{}{{}}\n{}", list(1), list(2)).as_bytes(), true);
        assert_eq!(
            all.iter().map(|answer| (answer.id, code(answer))).collect::<Vec<_>>(),
            [(1, None), (0, Some(RefusalCode::Malformed)), (2, None)]
        );
    }

    #[test]
    fn a_line_that_is_too_long_or_does_not_come_to_its_end_ends_the_connection() {
        for (bytes, ends, word) in [
            (vec![b'x'; REQUEST_BYTES_MAX + 10], false, "longer than"),
            (b"{\"v\":1".to_vec(), true, "no end"),
            (b"{\"v\":1".to_vec(), false, "too long"),
            (Vec::new(), false, "too long"),
        ] {
            let all = answers(&bytes, ends);
            let refusal = all.last().and_then(|answer| answer.result.clone().err()).unwrap();
            assert!(all.len() == 1 && refusal.text.contains(word), "{word}: {all:?}");
        }
    }
}
