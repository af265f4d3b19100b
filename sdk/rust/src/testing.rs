//! Testing a plugin without a host.
//!
//! A [`Harness`] packs messages and events as the host does, hands them to the plugin's `handle_batch` and reads the effects. The test sets
//! the clock, the random numbers, the configuration and what [`sessions`](crate::sessions) answers.

mod effect;
mod outcome;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

pub use effect::{Effect, Push, To};
pub use outcome::Outcome;

use crate::codec::{Encode, Json};
use crate::host::native::gate::{Gate, Session};
use crate::host::native::stand_in::{self, StandIn};
use crate::log::Level;
use crate::requests::{Head, MESSAGE};
use crate::state::{self, Schema};
use crate::{Ctx, Event, EventKind, Game, Result, handle_batch};

/// A plugin, and a host under the test's control.
///
/// It sends as connection 1 without uid, from the address `192.0.2.1:1000`. The clock stands at 1,000,000 seconds after 1970, and random
/// numbers are the same in each run.
#[derive(Debug)]
pub struct Harness<G> {
    host: Option<StandIn>,
    conn: u64,
    uid: i64,
    seq: i32,
    game: PhantomData<G>,
}

impl<G: Game> Default for Harness<G> {
    fn default() -> Self {
        Self::new()
    }
}

/// Setting up.
impl<G: Game> Harness<G> {
    /// A harness; `start` of the plugin has not run.
    pub fn new() -> Self {
        let host = StandIn {
            config: HashMap::new(),
            now: Duration::from_secs(1_000_000),
            monotonic: Duration::ZERO,
            random: 1,
            lines: Vec::new(),
            gate: Gate::default(),
            state: None,
        };
        Self { host: Some(host), conn: 1, uid: 0, seq: 0, game: PhantomData }
    }

    /// Sends as this connection from now on.
    pub fn conn(&mut self, conn: u64) -> &mut Self {
        self.conn = conn;
        self
    }

    /// Sends as a connection that is bound to this account, or to none.
    pub fn uid(&mut self, uid: Option<i64>) -> &mut Self {
        self.uid = uid.unwrap_or(0);
        self
    }

    /// Sets a configuration value, as json. `key` is compared as a whole.
    pub fn config(&mut self, key: &str, json: &str) -> &mut Self {
        self.stand_in(|host| host.config.insert(key.to_owned(), json.to_owned()));
        self
    }

    /// Lets this much time pass on both clocks.
    pub fn advance(&mut self, time: Duration) -> &mut Self {
        self.stand_in(|host| {
            host.now += time;
            host.monotonic += time;
        });
        self
    }

    /// Restarts the random numbers from this seed.
    pub fn seed(&mut self, seed: u64) -> &mut Self {
        self.stand_in(|host| host.random = seed);
        self
    }

    /// Adds a connection to those that `sessions` knows, or changes it. The sender is known anyway; binds and subscriptions are not carried
    /// out.
    pub fn session(&mut self, conn: u64, uid: Option<i64>, address: &str) -> &mut Self {
        let session = Session { uid: uid.unwrap_or(0), address: address.to_owned(), suspended: false };
        self.stand_in(|host| host.gate.connections.insert(conn, session));
        self
    }

    /// Says that a connection was lost, and may be resumed.
    pub fn suspended(&mut self, conn: u64) -> &mut Self {
        self.stand_in(|host| host.gate.connections.entry(conn).or_default().suspended = true);
        self
    }

    /// Says who the members of a channel are.
    pub fn members(&mut self, channel: &str, conns: &[u64]) -> &mut Self {
        self.stand_in(|host| host.gate.channels.insert(channel.to_owned(), conns.to_vec()));
        self
    }

    fn stand_in<T>(&mut self, change: impl FnOnce(&mut StandIn) -> T) -> Option<T> {
        self.host.as_mut().map(change)
    }
}

/// Running.
impl<G: Game> Harness<G> {
    /// Runs the plugin's start function.
    ///
    /// # Errors
    /// What the function returns.
    pub fn start(&mut self) -> Result<()> {
        stand_in::with(&mut self.host, G::start)
    }

    /// Runs the plugin's stop function.
    pub fn stop(&mut self) {
        stand_in::with(&mut self.host, G::stop);
    }

    /// Sends one message and returns what came of it. Each message has the next seq, beginning with 1.
    ///
    /// # Panics
    /// If the plugin makes effects the host would refuse.
    pub fn send(&mut self, route: i32, body: impl AsRef<[u8]>) -> Outcome {
        let head = self.next_message(route);
        Outcome::read(&self.handle(&head, body.as_ref()))
    }

    /// Sends one message with a json body.
    ///
    /// # Panics
    /// If the value has no json form, or the plugin makes effects the host would refuse.
    pub fn send_json<T: Serialize + ?Sized>(&mut self, route: i32, value: &T) -> Outcome {
        let mut body = Vec::new();
        #[allow(clippy::expect_used, reason = "a test fails by panicking")]
        Json::encode(value, &mut body).expect("the value has a json form");
        self.send(route, body)
    }

    /// Delivers an event of the connection and returns what came of it. `detail` is the remote address or the cause. An event that the
    /// plugin has no handler for does nothing: the host would not have delivered it.
    ///
    /// # Panics
    /// If the plugin makes effects the host would refuse.
    pub fn event(&mut self, kind: EventKind, detail: &str) -> Outcome {
        let (conn, uid) = (self.conn, self.uid);
        self.stand_in(|host| host.gate.happens(conn, uid, Event { kind, detail }));
        let head = Head { size: 0, header: 0, kind: kind as u8, conn, uid, route: 0, seq: 0 };
        Outcome::read_event(&self.handle(&head, detail.as_bytes()))
    }

    /// Calls a function with a context, and returns its result and the effects it made: for testing a handler directly.
    ///
    /// # Panics
    /// If the function makes effects the host would refuse.
    pub fn call<T>(&mut self, function: impl FnOnce(&mut Ctx) -> T) -> (T, Outcome) {
        let head = self.next_message(0);
        stand_in::with(&mut self.host, || {
            let mut ctx = Ctx::open(Vec::new());
            ctx.begin(0, &head);
            let result = function(&mut ctx);
            (result, Outcome::read(&ctx.close()))
        })
    }

    /// What the plugin saves when its code is replaced: a harness of a newer version can [restore](Self::restore) it.
    ///
    /// # Errors
    /// If it keeps no state, or the state cannot be written.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        stand_in::with(&mut self.host, || {
            let mut saved = Vec::new();
            for piece in 0.. {
                let bytes = G::save(piece)?;
                if bytes.is_empty() {
                    break;
                }
                saved.extend_from_slice(&bytes);
            }
            Ok(saved)
        })
    }

    /// Restores what a version with this schema saved.
    ///
    /// # Errors
    /// If the plugin keeps no state, does not read the schema, or the bytes are of another shape.
    pub fn restore(&mut self, schema: u32, saved: &[u8]) -> Result<()> {
        stand_in::with(&mut self.host, || {
            let pieces = saved.chunks(state::PIECE_BYTES).chain([[].as_slice()]);
            pieces.zip(0..).try_for_each(|(bytes, piece)| G::restore(schema, piece, bytes.to_vec()))
        })
    }

    /// Restores what an older version saved, which is this value: that is what a test of a conversion needs.
    ///
    /// # Errors
    /// As [`Self::restore`].
    pub fn restore_from<T: Schema + Serialize>(&mut self, old: &T) -> Result<()> {
        self.restore(T::NUMBER, &rmp_serde::to_vec_named(old)?)
    }

    /// Takes the log lines so far, oldest first.
    pub fn take_log(&mut self) -> Vec<(Level, String)> {
        self.stand_in(|host| std::mem::take(&mut host.lines)).unwrap_or_default()
    }

    fn next_message(&mut self, route: i32) -> Head {
        let (conn, uid) = (self.conn, self.uid);
        self.stand_in(|host| host.gate.sends(conn, uid));
        self.seq += 1;
        Head { size: 0, header: 0, kind: MESSAGE, conn, uid, route, seq: self.seq }
    }

    fn handle(&mut self, head: &Head, body: &[u8]) -> Vec<u8> {
        let mut requests = Vec::new();
        head.append(body, &mut requests);
        let mut effects = Vec::new();
        let done = stand_in::with(&mut self.host, || handle_batch::<G>(&mut requests, &mut effects));
        #[allow(clippy::expect_used, reason = "the harness packed it")]
        done.expect("the harness packs whole records");
        effects
    }
}
