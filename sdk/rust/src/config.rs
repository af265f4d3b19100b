//! The plugin's configuration: `[plugin.NAME.config]` in the host's file or `[config]` in `plugins/NAME.toml`.

use serde::de::DeserializeOwned;

use crate::codec::{Decode, Json};
use crate::{Error, Result, host};

/// The value at a key; dots go into tables (`shop.prices`).
///
/// # Errors
/// If there is none, or it is not a `T`.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<T> {
    find(key)?.ok_or_else(|| Error::handler(format!("no config value `{key}`")))
}

/// The value at a key, or None if there is none.
///
/// # Errors
/// If the value is not a `T`.
pub fn find<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    let Some(text) = host::config(key) else { return Ok(None) };
    let mut bytes = text.into_bytes();
    let value = Json::decode(&mut bytes);
    value.map(Some).map_err(|error| Error::handler(format!("config value `{key}`: {}", error.message())))
}
