//! Testing a plugin without a host.
//!
//! A [`Harness`] packs messages as the host does, hands them to the plugin's `handle_batch` and reads the effects. Clock, random
//! numbers and configuration are what the test says.

mod outcome;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

pub use outcome::{Outcome, Push};

use crate::codec::{Encode, Json};
use crate::host::native::{self, StandIn};
use crate::log::Level;
use crate::requests::{Head, MESSAGE};
use crate::{Ctx, Game, Result, handle_batch};

/// A plugin, and a host that does what the test says.
///
/// It sends as connection 1 without uid, the clock stands at 1,000,000 seconds after 1970, and random numbers are the same in each run.
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

    /// Starts the random numbers anew.
    pub fn seed(&mut self, seed: u64) -> &mut Self {
        self.stand_in(|host| host.random = seed);
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
        native::with(&mut self.host, G::start)
    }

    /// Runs the plugin's stop function.
    pub fn stop(&mut self) {
        native::with(&mut self.host, G::stop);
    }

    /// Sends one message and returns what came of it. Each message has the next seq, beginning with 1.
    ///
    /// # Panics
    /// If the plugin makes effects the host would refuse.
    pub fn send(&mut self, route: i32, body: impl AsRef<[u8]>) -> Outcome {
        self.seq += 1;
        let mut requests = Vec::new();
        self.head(route).append_message(body.as_ref(), &mut requests);
        let mut effects = Vec::new();
        let done = native::with(&mut self.host, || handle_batch::<G>(&mut requests, &mut effects));
        #[allow(clippy::expect_used, reason = "the harness packed it")]
        done.expect("the harness packs whole records");
        Outcome::read(&effects)
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

    /// Calls a function with a context, and returns its result and the effects it made: for testing a handler directly.
    ///
    /// # Panics
    /// If the function makes effects the host would refuse.
    pub fn call<T>(&mut self, function: impl FnOnce(&mut Ctx) -> T) -> (T, Outcome) {
        self.seq += 1;
        let head = self.head(0);
        native::with(&mut self.host, || {
            let mut ctx = Ctx::open(Vec::new());
            ctx.begin(0, &head);
            let result = function(&mut ctx);
            (result, Outcome::read(&ctx.close()))
        })
    }

    /// The log lines so far, oldest first; they are taken out.
    pub fn take_log(&mut self) -> Vec<(Level, String)> {
        self.stand_in(|host| std::mem::take(&mut host.lines)).unwrap_or_default()
    }

    fn head(&self, route: i32) -> Head {
        Head { size: 0, header: 0, kind: MESSAGE, conn: self.conn, uid: self.uid, route, seq: self.seq }
    }
}
