//! Calling an instance: the engine, how a component becomes an instance, one call with its budget, and what can go wrong in it.

pub(crate) mod engine;
pub(crate) mod fault;
pub(crate) mod guest;
pub(crate) mod lane;
pub(crate) mod meter;
pub(crate) mod state;
pub(crate) mod template;
