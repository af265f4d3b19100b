//! Time, as the host knows it.

use std::time::Duration;

use crate::host;

/// Time since 1970-01-01 UTC, in whole milliseconds.
pub fn now() -> Duration {
    Duration::from_millis(host::now_ms())
}

/// Time since an arbitrary moment, in whole microseconds; never goes back.
pub fn monotonic() -> Duration {
    Duration::from_micros(host::monotonic_us())
}
