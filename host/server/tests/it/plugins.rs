//! Plugins in a running server: what they may do, what becomes of those that misbehave, and of files that are not plugins.

mod check;
mod faults;
mod hostile_files;
mod in_c;
mod instances;
mod isolation;
mod launched;
mod mutants;
mod single;
mod starting;
mod waiting;

pub(crate) use self::single::SINGLE;

/// The route of the plugin echo.
const ECHO: i16 = 1;

/// Codes of error packets.
const PLUGIN_FAULT: u16 = 6;
const TIMEOUT: u16 = 7;
const UNAVAILABLE: u16 = 8;

/// A body that echo sends back as it is.
fn hello() -> Vec<u8> {
    br#"{"message":"hello"}"#.to_vec()
}
