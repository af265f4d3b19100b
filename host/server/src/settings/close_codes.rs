//! `[close_codes]`: which close codes WebSocket clients see.

use duet_config::{Table, integer};
use duet_gateway::CloseReason;

/// Why the server closes a connection that can still be told.
const TOLD: [CloseReason; 11] = [
    CloseReason::AuthorizeTimeout,
    CloseReason::FirstPacketTimeout,
    CloseReason::Flood,
    CloseReason::GoingAway,
    CloseReason::Kicked,
    CloseReason::Oversize,
    CloseReason::PacketTimeout,
    CloseReason::Protocol,
    CloseReason::Replaced,
    CloseReason::Silence,
    CloseReason::Text,
];

/// Reads the codes that differ from the usual ones: 1000 to 1014, but not those that never stand on the wire, or 3000 to 4999,
/// which are for applications.
pub(super) fn read(mut table: Table<'_>) -> Vec<(CloseReason, u16)> {
    let sendable = |code: &u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    let mut codes = Vec::new();
    for reason in TOLD {
        let allowed = "1000 to 1003, 1007 to 1014, 3000 to 4999";
        codes.extend(table.get(reason.name(), &integer().check(allowed, sendable)).optional().map(|code| (reason, code)));
    }
    table.finish();
    codes
}
