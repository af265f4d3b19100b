//! The payload of a close frame.

use super::frame::WsError;

/// Code and reason of a close frame.
pub(super) fn read_close(payload: &[u8]) -> Result<(Option<u16>, &str), WsError> {
    if payload.is_empty() {
        return Ok((None, ""));
    }
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Err(WsError::protocol("close frame of one byte"));
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_sent(code) {
        return Err(WsError::protocol("close code that must not be sent"));
    }
    let reason = str::from_utf8(reason).map_err(|_| WsError::NOT_UTF8)?;
    Ok((Some(code), reason))
}

/// Codes that are registered for use on the wire, and those left to libraries (3000) and applications (4000).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
