//! One call of an instance: the engine, the guest with its entry points, its budget, and what can go wrong.

pub(crate) mod engine;
pub(crate) mod fault;
pub(crate) mod guest;
pub(crate) mod meter;
