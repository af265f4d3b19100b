//! Tests of connections and sessions through their public face: every event in every state, random histories, races for a token.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod book_table;
mod deadline_table;
mod history;
mod model;
mod race;
