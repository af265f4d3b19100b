//! State that is kept when the code of the plugin is replaced: `#[state]` on a type, `state: TheType` in `plugin!`.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use duet_plugin::prelude::*;
//!
//! #[state(schema = 2, from = WorldOf1)]
//! #[derive(Default, Serialize, Deserialize)]
//! struct World {
//!     players: HashMap<u64, Player>,
//! }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Player {
//!     name: String,
//!     gold: u64,
//! }
//!
//! /// What older versions of this plugin saved: only names.
//! #[state(schema = 1)]
//! #[derive(Serialize, Deserialize)]
//! struct WorldOf1 {
//!     names: HashMap<u64, String>,
//! }
//!
//! impl From<WorldOf1> for World {
//!     fn from(old: WorldOf1) -> Self {
//!         Self { players: old.names.into_iter().map(|(id, name)| (id, Player { name, gold: 0 })).collect() }
//!     }
//! }
//!
//! #[route(1)]
//! fn enter(ctx: &mut Ctx, name: String) -> Result<usize> {
//!     let mut world = World::state();
//!     world.players.insert(ctx.conn(), Player { name, gold: 10 });
//!     Ok(world.players.len())
//! }
//!
//! duet_plugin::plugin! { routes: [enter], state: World }
//!
//! # fn main() {
//! use duet_plugin::testing::Harness;
//!
//! let mut harness = Harness::<Plugin>::new();
//! harness.restore_from(&WorldOf1 { names: HashMap::from([(7, "Ada".to_owned())]) }).unwrap();
//! assert_eq!(harness.conn(8).send_json(1, "Bob").json::<usize>(), 2);
//! # }
//! ```
//!
//! The state is written as `MessagePack` with the names of fields. So a field that is new has to have a `#[serde(default)]`, or the schema
//! another number; one whose type has changed is an error, not another value.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::thread::LocalKey;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Bytes of a piece. The host takes up to 4 MiB; small ones save it and the plugin memory.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// A type that was saved, by this version of the plugin or by an older one: what `#[state]` implements.
pub trait Schema: DeserializeOwned {
    /// Its number.
    const NUMBER: u32;

    /// All that can become one: this schema and those that it comes from, the newest first.
    fn reads() -> Vec<u32>;

    /// Reads what a version with this schema saved, and brings it up to date.
    ///
    /// # Errors
    /// If the schema is not among those, the bytes are of another shape, or a conversion fails.
    fn read(schema: u32, saved: Saved<'_>) -> Result<Self>;
}

/// The state of this plugin: what `state: TheType` in `plugin!` implements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the state of a plugin",
    label = "not the state of a plugin",
    note = "put `#[state(schema = 1)]` on the type and `state: {Self}` into `plugin!`"
)]
pub trait State: Schema + Serialize + Default + 'static {
    /// Where it is.
    #[doc(hidden)]
    fn cell() -> &'static RefCell<Self>;

    /// The state as it is, to read and to change. Give it back (end its scope) before something else asks for it.
    ///
    /// What a handler has changed stays changed if it fails, unlike its effects.
    ///
    /// # Panics
    /// If somebody else has it.
    fn state() -> RefMut<'static, Self> {
        Self::cell().borrow_mut()
    }
}

/// What a plugin says of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing: the host says in its log that it is lost with its code.
    Unsaid,
    /// That there is none.
    Nothing,
    /// That it is saved in this schema, and restored from these.
    State {
        /// The schema that it saves.
        schema: u32,
        /// The schemas that it restores.
        reads: Vec<u32>,
    },
}

impl Keeps {
    /// Of a type.
    pub fn of<S: State>() -> Self {
        Self::State { schema: S::NUMBER, reads: S::reads() }
    }
}

/// What another instance saved: read it once, as the type that it was.
#[derive(Debug)]
pub struct Saved<'a>(&'a [Vec<u8>]);

impl Saved<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// If it is of another shape.
    pub fn read<T: DeserializeOwned>(self) -> Result<T> {
        // A single piece needs no reader that knows of several, which takes longer.
        let read = match self.0 {
            [only] => rmp_serde::from_slice(only),
            pieces => rmp_serde::from_read(Chain { rest: pieces, at: 0 }),
        };
        read.map_err(|error| Error::handler(format!("the saved state is of another shape: {error}")))
    }
}

/// Reads pieces one after the other.
struct Chain<'a> {
    rest: &'a [Vec<u8>],
    at: usize,
}

impl Read for Chain<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some((piece, rest)) = self.rest.split_first() {
            let mut left = piece.get(self.at..).unwrap_or_default();
            if !left.is_empty() {
                let read = left.read(into)?;
                self.at += read;
                return Ok(read);
            }
            (self.rest, self.at) = (rest, 0);
        }
        Ok(0)
    }
}

/// What is written goes into pieces of equal size, so that nothing that was written is moved.
#[derive(Debug, Default)]
struct Pieces {
    /// Those that are full.
    pieces: VecDeque<Vec<u8>>,
    last: Vec<u8>,
    /// The number of the first one that is left.
    next: u32,
}

impl Pieces {
    /// What has no room in the last piece goes into another.
    #[cold]
    fn write_across(&mut self, mut bytes: &[u8]) {
        loop {
            let room = PIECE_BYTES - self.last.len();
            let (here, rest) = bytes.split_at(room.min(bytes.len()));
            self.last.extend_from_slice(here);
            if rest.is_empty() {
                return;
            }
            // A small state takes no more than it needs, a large one is not copied while it grows.
            self.pieces.push_back(std::mem::replace(&mut self.last, Vec::with_capacity(PIECE_BYTES)));
            bytes = rest;
        }
    }

    /// The next piece; empty behind the last one.
    fn next(&mut self) -> Vec<u8> {
        self.next += 1;
        self.pieces.pop_front().unwrap_or_else(|| std::mem::take(&mut self.last))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// Most writes are of a few bytes.
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() <= PIECE_BYTES - self.last.len() {
            self.last.extend_from_slice(bytes);
        } else {
            self.write_across(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// What is being saved.
    static SAVED: RefCell<Pieces> = RefCell::default();
    /// What is being restored, as far as it has come.
    static COME: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A piece of the state; empty behind the last one. Piece 0 is when the state is written.
///
/// # Errors
/// If somebody has it, it cannot be written, or it is not the turn of this piece.
pub fn save<S: State>(piece: u32) -> Result<Vec<u8>> {
    SAVED.with_borrow_mut(|saved| {
        if piece == 0 {
            *saved = Pieces::default();
            let state = S::cell().try_borrow()?;
            rmp_serde::encode::write_named(saved, &*state)?;
        }
        if piece != saved.next {
            return Err(Error::handler(format!("piece {piece} is asked for, but it is the turn of {}", saved.next)));
        }
        Ok(saved.next())
    })
}

/// Takes a piece of what another instance saved. The empty one behind the last puts the whole into the place of the state there is.
///
/// # Errors
/// If it cannot be read as this schema, or somebody has the state.
pub fn restore<S: State>(schema: u32, piece: u32, bytes: Vec<u8>) -> Result<()> {
    COME.with_borrow_mut(|come| {
        if piece == 0 {
            come.clear();
        }
        if !bytes.is_empty() {
            come.push(bytes);
            return Ok(());
        }
        let state = S::read(schema, Saved(&std::mem::take(come)))?;
        *S::cell().try_borrow_mut()? = state;
        Ok(())
    })
}

/// Where the state is: in the harness of a test, or else where `plugin!` has put it.
#[doc(hidden)]
pub fn __cell<S: State>(own: &'static LocalKey<&'static RefCell<S>>) -> &'static RefCell<S> {
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(cell) = crate::host::native::cell::<S>() {
        return cell;
    }
    own.with(|cell| *cell)
}

/// A schema from which nothing leads to the one of today.
#[doc(hidden)]
pub fn __unknown(schema: u32) -> Error {
    Error::handler(format!("schema {schema} is not one that this version reads"))
}

/// The next schema, out of the one before it.
#[doc(hidden)]
pub fn __converted<Old: Schema, New: Schema + TryFrom<Old, Error: fmt::Display>>(old: Old) -> Result<New> {
    let (from, to) = (Old::NUMBER, New::NUMBER);
    old.try_into().map_err(|error| Error::handler(format!("the state cannot be brought from schema {from} to {to}: {error}")))
}
