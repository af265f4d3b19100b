//! The control socket: where the commands of an operator reach a running server.

mod desk;
mod place;
mod report;
mod talk;

pub(crate) use desk::Desk;
pub(crate) use place::{Place, PlaceError};
pub(crate) use talk::listen;
