//! A plugin as its author writes it, called as a host calls it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod batch;
mod codecs;
mod effects;
mod events;
mod game;
mod golden;
mod lookups;
mod state;
