//! `[listener.kcp]`: how the sessions of a kcp listener behave.

use std::time::Duration;

use duet_config::{Table, boolean, duration, integer};

/// How KCP sessions behave, in KCP's own words. The clients have settings of their own; the two need not be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KcpSettings {
    /// The longest datagram that is sent, in bytes, 50 to 1,500. Default 1,400, which fits through tunnels.
    pub(crate) mtu: usize,
    /// Whether lost data is resent sooner: after 30 ms instead of 100, and with less waiting from time to time. Default true.
    pub(crate) nodelay: bool,
    /// How often unacknowledged data is looked after, 10 ms to 5 s. Default 10 ms.
    pub(crate) interval: Duration,
    /// Data is resent at once when so many later segments have arrived, 0 to 255. Default 2; 0: never.
    pub(crate) resend: u32,
    /// No congestion control: a lost datagram does not slow the session down. Default true.
    pub(crate) nc: bool,
    /// Segments in flight to a client, 16 to 8,192. Default 128: 1.7 MB a second at 100 ms. As many again may wait.
    pub(crate) send_window: u16,
    /// Segments kept for a session that is not read, 128 to 8,192. Default 128. As many again may have arrived out of order.
    pub(crate) receive_window: u16,
    /// Whether acknowledgements are sent at once, not at the next interval. Default true.
    pub(crate) ack_no_delay: bool,
    /// Whether small packets that wait are joined into full datagrams. Default true.
    pub(crate) stream: bool,
    /// Sessions at one time, 1 to 10,000,000. Default 10,000. Further clients are told `busy`. `connections_max` counts too.
    pub(crate) sessions_max: usize,
    /// A session with unacknowledged data is lost when nothing was heard for so long, 1 s to 10 m. Default 15 s.
    pub(crate) dead_link: Duration,
    /// How long the last data of a closed session is resent, 0 s to 1 m. Default 1 s.
    pub(crate) linger: Duration,
}

impl Default for KcpSettings {
    fn default() -> KcpSettings {
        KcpSettings {
            mtu: 1_400,
            nodelay: true,
            interval: Duration::from_millis(10),
            resend: 2,
            nc: true,
            send_window: 128,
            receive_window: 128,
            ack_no_delay: true,
            stream: true,
            sessions_max: 10_000,
            dead_link: Duration::from_secs(15),
            linger: Duration::from_secs(1),
        }
    }
}

impl KcpSettings {
    pub(super) fn read(mut table: Table<'_>) -> KcpSettings {
        let default = KcpSettings::default();
        let (ms, second) = (Duration::from_millis, Duration::from_secs(1));
        let settings = KcpSettings {
            mtu: table.get("mtu", &integer().range(50..=1_500)).or(default.mtu),
            nodelay: table.get("nodelay", &boolean()).or(default.nodelay),
            interval: table.get("interval", &duration().range(ms(10)..=5 * second)).or(default.interval),
            resend: table.get("resend", &integer().range(0..=255)).or(default.resend),
            nc: table.get("nc", &boolean()).or(default.nc),
            send_window: table.get("send_window", &integer().range(16..=8_192)).or(default.send_window),
            receive_window: table.get("receive_window", &integer().range(128..=8_192)).or(default.receive_window),
            ack_no_delay: table.get("ack_no_delay", &boolean()).or(default.ack_no_delay),
            stream: table.get("stream", &boolean()).or(default.stream),
            sessions_max: table.get("sessions_max", &integer().range(1..=10_000_000)).or(default.sessions_max),
            dead_link: table.get("dead_link", &duration().range(second..=600 * second)).or(default.dead_link),
            linger: table.get("linger", &duration().range(Duration::ZERO..=60 * second)).or(default.linger),
        };
        table.finish();
        settings
    }
}
