//! Random numbers from the operating system, by way of the host.

use crate::host;

/// The most bytes the host hands out at once.
const CHUNK_BYTES: usize = 65_536;

/// A random number, all 32 bits.
pub fn number() -> u32 {
    host::random_number()
}

/// A random number below `limit`, all equally likely; 0 if `limit` is 0.
pub fn below(limit: u32) -> u32 {
    if limit == 0 {
        return 0;
    }
    // The remainder favours low numbers unless those above the last whole multiple of `limit` are drawn again.
    let whole = u32::MAX - u32::MAX % limit;
    loop {
        let number = number();
        if number < whole {
            return number % limit;
        }
    }
}

/// Random bytes.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        let chunk = CHUNK_BYTES.min(count - bytes.len());
        bytes.extend(host::random_bytes(chunk as u32));
    }
    bytes
}
