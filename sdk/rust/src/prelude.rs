//! What a plugin usually needs: `use duet_plugin::prelude::*`.

pub use std::borrow::Cow;

pub use serde::{Deserialize, Serialize};

pub use crate::Target::{self, Conn, Uid};
pub use crate::state::State;
pub use crate::{Ctx, Error, Event, EventKind, Proto, Raw, Result, event, log, route, sessions, state};
