//! Tidy: the rules of the house that a program can check.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic: that is how they fail")]

mod arrows;
mod circles;
mod fixtures;
mod names;
mod pages;
mod sizes;
mod tree;
mod words;
