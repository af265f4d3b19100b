//! Logins and resumption: keys that stand in `[gateway]`, and in a `[[listener]]` that wants it otherwise.

use std::time::Duration;

use duet_config::{Table, boolean, choice, duration, integer, size};
use duet_session::DuplicateLogin;

/// Logins and resumption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionSettings {
    /// What happens to a uid that logs in a second time: `kick-old` closes the old connection, `reject` refuses the new
    /// login. Default `kick-old`.
    pub(crate) duplicate_login: DuplicateLogin,
    /// Whether a client that lost its connection may go on with its session. Default true; if false, a lost connection ends
    /// its session.
    pub(crate) resume: bool,
    /// The route on which clients ask for a token and resume; it has to fit `route_bytes`. Default -1. No plugin gets
    /// messages on it.
    pub(crate) session_route: i32,
    /// How long a lost session waits for its client, 10 ms to 24 h. Default 30 s. Then it ends.
    pub(crate) resume_timeout: Duration,
    /// Packets that are kept for a client that may resume, 0 to 65,536. Default 256. A client that missed more cannot resume.
    pub(crate) resume_packets: usize,
    /// The same in bytes, 1 KiB to 1 GiB. Default 256 KiB. Each connection with a token may hold so much.
    pub(crate) resume_bytes: usize,
}

impl Default for SessionSettings {
    fn default() -> SessionSettings {
        SessionSettings {
            duplicate_login: DuplicateLogin::KickOld,
            resume: true,
            session_route: -1,
            resume_timeout: Duration::from_secs(30),
            resume_packets: 256,
            resume_bytes: 256 << 10,
        }
    }
}

impl SessionSettings {
    pub(super) fn read(table: &mut Table<'_>, default: &SessionSettings) -> SessionSettings {
        let times = Duration::from_millis(10)..=Duration::from_secs(24 * 3_600);
        SessionSettings {
            duplicate_login: table
                .get("duplicate_login", &choice(&[("kick-old", DuplicateLogin::KickOld), ("reject", DuplicateLogin::Reject)]))
                .or(default.duplicate_login),
            resume: table.get("resume", &boolean()).or(default.resume),
            session_route: table.get("session_route", &integer()).or(default.session_route),
            resume_timeout: table.get("resume_timeout", &duration().range(times)).or(default.resume_timeout),
            resume_packets: table.get("resume_packets", &integer().range(0..=65_536)).or(default.resume_packets),
            resume_bytes: table.get("resume_bytes", &size().range(1 << 10..=1 << 30)).or(default.resume_bytes),
        }
    }
}
