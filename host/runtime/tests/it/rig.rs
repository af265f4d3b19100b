//! A runtime with a folder of its own, and a gate that records what it is told to do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use duet_core::{
    Action, ConnId, Counts, Directory, Dispatch, Effect, Egress, ErrorCode, Full, Presence, Request, RequestKind, Requests, Route, Seq,
    Target, Uid,
};
use duet_embedded::MemoryRegistry;
use duet_runtime::{PluginOptions, Runtime, RuntimeOptions};
use tempfile::TempDir;

/// No event may take longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connection that requests come from if a test does not say otherwise.
pub(crate) const CONN: ConnId = ConnId(5);

/// A runtime under test.
pub(crate) struct Rig {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) registry: Arc<MemoryRegistry>,
    folder: TempDir,
}

impl Rig {
    /// One worker.
    pub(crate) fn new() -> Self {
        Self::with(RuntimeOptions { workers: 1, ..RuntimeOptions::default() })
    }

    /// These options, but with a cache of its own.
    pub(crate) fn with(options: RuntimeOptions) -> Self {
        let seen = Arc::<Seen>::default();
        Self::asking(options, Arc::clone(&seen), seen)
    }

    /// The same, with a gate that answers like this when a plugin asks about connections.
    pub(crate) fn asking(options: RuntimeOptions, seen: Arc<Seen>, directory: Arc<dyn Directory>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = RuntimeOptions { cache: folder.path().join("cache"), ..options };
        let registry = Arc::<MemoryRegistry>::default();
        let runtime = Runtime::new(options, Arc::clone(&registry) as _, Arc::clone(&seen) as _, directory).unwrap();
        Self { runtime, seen, registry, folder }
    }

    /// Writes a file into the folder of this test.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The folder of this test; the cache is in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Loads a file and serves it. The error is the whole text that an operator gets.
    pub(crate) fn serve(&self, file: &Path, options: PluginOptions) -> Result<(), String> {
        let loaded = self.runtime.loader().load(file, options).map_err(|e| e.to_string())?;
        self.runtime.serve(loaded).map_err(|e| e.to_string())
    }

    /// A runtime that serves the hand-written plugin with these options.
    pub(crate) fn with_single(options: PluginOptions) -> Self {
        let rig = Self::new();
        let file = rig.file("single.wasm", single());
        rig.serve(&file, options).unwrap();
        rig
    }

    /// Waits until everything that was taken has been handled.
    pub(crate) fn idle(&self) {
        let begun = Instant::now();
        while !self.runtime.is_idle() {
            assert!(begun.elapsed() < PATIENCE, "the runtime is still busy, and there is {:?}", self.seen.wait_for(0));
            std::thread::yield_now();
        }
    }

    /// Hands requests over, which must all be taken.
    pub(crate) fn send(&self, requests: Requests) {
        self.runtime.dispatch(requests, Waker::noop()).expect("room for the requests");
    }

    /// Sends one request and returns all effects up to its answer.
    pub(crate) fn call(&self, route: i32, body: &[u8]) -> Vec<Sent> {
        let before = self.seen.count();
        let answers = |sent: &[Sent]| sent[before..].iter().any(|s| s.seq() == 1);
        self.send(requests(&[(CONN.0, route, 1, body)]));
        self.seen.wait(answers).split_off(before)
    }

    /// Sends one request that is answered by a reply and nothing else.
    pub(crate) fn reply(&self, route: i32, body: &[u8]) -> Vec<u8> {
        match self.call(route, body).as_slice() {
            [Sent::Message { conn: 5, seq: 1, body, .. }] => body.clone(),
            other => panic!("no reply to {route} but {other:?}"),
        }
    }

    /// Sends one request that is answered by an error and nothing else.
    pub(crate) fn refusal(&self, route: i32, body: &[u8]) -> (ErrorCode, String) {
        match self.call(route, body).as_slice() {
            [Sent::Error { conn: 5, seq: 1, code, text, .. }] => (*code, text.clone()),
            other => panic!("{route} is not refused but answered {other:?}"),
        }
    }
}

/// The hand-written plugin.
pub(crate) fn single() -> Vec<u8> {
    wat::parse_str(include_str!("../../../testkit/fixtures/single/single.wat")).unwrap()
}

/// Lets as much time pass as requests may wait, and more: their clock goes on every 5 ms, and later on a busy machine.
pub(crate) fn outlast(queue_timeout: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < queue_timeout + Duration::from_millis(300) {
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Requests of connection, route, seq and body.
pub(crate) fn requests(list: &[(u64, i32, i32, &[u8])]) -> Requests {
    in_one_read(&list.iter().map(|&(conn, route, seq, body)| message(conn, 0, route, seq, body)).collect::<Vec<_>>())
}

/// A message of a connection that is bound to a uid, if it is not 0.
pub(crate) fn message(conn: u64, uid: i64, route: i32, seq: i32, body: &[u8]) -> Request<'_> {
    let uid = (uid != 0).then_some(Uid(uid));
    Request { kind: RequestKind::Message, conn: ConnId(conn), uid, route: Route(route), seq: Seq(seq), key: None, body }
}

/// An event of a connection, as a gate hands it over.
pub(crate) fn event(kind: RequestKind, conn: u64, uid: i64, detail: &str) -> Request<'_> {
    Request { kind, ..message(conn, uid, 0, 0, detail.as_bytes()) }
}

/// All of them, as one read.
pub(crate) fn in_one_read(list: &[Request<'_>]) -> Requests {
    let mut requests = Requests::default();
    list.iter().for_each(|request| requests.push(request));
    requests
}

/// The seqs of requests, in their order.
pub(crate) fn seqs(requests: &Requests) -> Vec<i32> {
    requests.iter().map(|r| r.seq.0).collect()
}

/// What was not taken, if anything.
pub(crate) fn left(result: Result<(), Full>) -> Vec<i32> {
    result.map_or_else(|Full(requests)| seqs(&requests), |()| Vec::new())
}

/// An effect that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Message {
        conn: u64,
        route: i32,
        seq: i32,
        body: Vec<u8>,
    },
    Error {
        conn: u64,
        route: i32,
        seq: i32,
        code: ErrorCode,
        text: String,
    },
    /// Any other effect as text.
    Other(String),
}

impl From<&Effect<'_>> for Sent {
    fn from(&Effect { origin, action }: &Effect<'_>) -> Self {
        let Request { conn, route, seq, .. } = origin.source.request();
        match action {
            Action::Reply(body) => Self::Message { conn: conn.0, route: route.0, seq: seq.0, body: body.to_vec() },
            Action::Push { to: Target::Conn(conn), route, body } => {
                Self::Message { conn: conn.0, route: route.0, seq: 0, body: body.to_vec() }
            }
            Action::Error(code, text) => Self::Error { conn: conn.0, route: route.0, seq: seq.0, code, text: text.to_owned() },
            other => Self::Other(format!("{other:?}")),
        }
    }
}

impl Sent {
    pub(crate) fn seq(&self) -> i32 {
        match self {
            Self::Message { seq, .. } | Self::Error { seq, .. } => *seq,
            Self::Other(_) => 0,
        }
    }

    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Message { .. } | Self::Other(_) => None,
            Self::Error { code, .. } => Some(*code),
        }
    }
}

/// Keeps every effect in order.
#[derive(Default)]
pub(crate) struct Seen {
    sent: Mutex<Vec<Sent>>,
    changed: Condvar,
    /// The gate panics when it is asked about a connection.
    pub(crate) panics: AtomicBool,
}

/// A reply with this body makes the gate panic.
pub(crate) const EXPLOSIVE: &[u8] = b"explosive";
/// Looking up this number makes the gate panic.
pub(crate) const UNLUCKY: u64 = 13;

impl Seen {
    fn may_panic(&self) {
        assert!(!self.panics.load(Ordering::SeqCst), "injected into a look-up");
    }

    /// How many effects there were.
    pub(crate) fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// Waits until the effects are what is wanted, and returns all of them.
    pub(crate) fn wait(&self, wanted: impl Fn(&[Sent]) -> bool) -> Vec<Sent> {
        let deadline = Instant::now() + PATIENCE;
        let mut sent = self.sent.lock().unwrap();
        while !wanted(&sent) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {PATIENCE:?}, and there is only {sent:?}");
            sent = self.changed.wait_timeout(sent, left).unwrap().0;
        }
        sent.clone()
    }

    /// Waits for this many effects and returns all of them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Sent> {
        self.wait(|sent| sent.len() >= count)
    }
}

impl Egress for Seen {
    fn apply(&self, effects: &mut &[Effect<'_>]) {
        let fine = effects.iter().take_while(|e| !matches!(e.action, Action::Reply(EXPLOSIVE))).count();
        let (sent, left) = effects.split_at(fine);
        *effects = left;
        self.sent.lock().unwrap().extend(sent.iter().map(Sent::from));
        self.changed.notify_all();
        assert!(effects.is_empty(), "injected into apply");
    }
}

/// What the tests' gate knows: connection 7 is uid 70's, connection 8 is not bound, uid 71 is suspended. The channel `room` has three
/// members, the channel `crowd` 100,000.
impl Directory for Seen {
    fn presence(&self, uid: Uid) -> Presence {
        self.may_panic();
        match uid.0 {
            70 => Presence::Connected,
            71 => Presence::Suspended,
            _ => Presence::Offline,
        }
    }

    fn conn_of(&self, uid: Uid) -> Option<ConnId> {
        self.may_panic();
        (uid == Uid(70)).then_some(ConnId(7))
    }

    fn uid_of(&self, conn: ConnId) -> Option<Uid> {
        self.may_panic();
        (conn == ConnId(7)).then_some(Uid(70))
    }

    fn address(&self, conn: ConnId) -> Option<SocketAddr> {
        assert!(conn.0 != UNLUCKY, "injected into a look-up");
        self.may_panic();
        match conn.0 {
            7 => Some(SocketAddr::from(([192, 0, 2, 7], 77))),
            8 => Some(SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 4711))),
            _ => None,
        }
    }

    fn counts(&self) -> Counts {
        self.may_panic();
        // No channel has more members than there are sessions.
        Counts { connections: 100_000, bound: 2, suspended: 1 }
    }

    fn member_count(&self, channel: &str) -> usize {
        self.members(channel, usize::MAX).len()
    }

    fn members(&self, channel: &str, max: usize) -> Vec<ConnId> {
        self.may_panic();
        let count = match channel {
            "room" => 3,
            "crowd" => 100_000,
            _ => 0,
        };
        (7..7 + count).map(ConnId).take(max).collect()
    }
}

/// A condition that another thread makes true.
#[derive(Default)]
pub(crate) struct Flag {
    count: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Flag {
    pub(crate) const fn new() -> Self {
        Self { count: AtomicUsize::new(0), lock: Mutex::new(()), changed: Condvar::new() }
    }

    /// Makes it true again.
    pub(crate) fn raise(&self) {
        let _held = self.lock.lock().unwrap();
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// How often it was made true.
    pub(crate) fn raised(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until it was made true this often.
    pub(crate) fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut held = self.lock.lock().unwrap();
        while self.raised() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {PATIENCE:?} for {count}, and it is {}", self.raised());
            held = self.changed.wait_timeout(held, left).unwrap().0;
        }
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.raise();
    }
}
