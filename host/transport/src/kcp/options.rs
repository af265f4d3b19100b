//! How the connections of a port behave.

use std::time::Duration;

use duet_config::{boolean, duration, integer};

duet_config::settings! {
    /// `[listener.kcp]`: how sessions behave, in KCP's own words. The clients have options of their own; the two need not be equal.
    ///
    /// The defaults are for games: 128 segments of 1,376 bytes in flight are 1.7 MB/s for each player at 100 ms, and bound a hostile session
    /// to 0.8 MB.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KcpOptions {
        /// The longest datagram that is sent, in bytes. 1,400 fits through tunnels.
        pub mtu: usize = 1400, integer().range(50..=1500);
        /// Whether lost data is resent sooner: after at least 30 ms instead of 100, and 1.5 times as late each time instead of twice.
        pub nodelay: bool = true, boolean();
        /// How often unacknowledged data is checked.
        pub interval: Duration = Duration::from_millis(10), duration().range(Duration::from_millis(10)..=Duration::from_secs(5));
        /// Data is resent at once when this many later segments were acknowledged; 0: never.
        pub resend: u32 = 2, integer().range(0..=255);
        /// No congestion control: a lost datagram does not slow the session down.
        pub nc: bool = true, boolean();
        /// Segments in flight to a client. As many again may wait.
        pub send_window: u16 = 128, integer().range(16..=8192);
        /// Segments kept for a session that is not read. As many again may have arrived out of order.
        pub receive_window: u16 = 128, integer().range(128..=8192);
        /// Whether acknowledgements are sent at once, not at the next interval.
        pub ack_no_delay: bool = true, boolean();
        /// Whether small packets that wait are joined into full datagrams.
        pub stream: bool = true, boolean();
        /// Sessions at one time, including those that linger. Further clients are told `busy`. `connections_max` counts too.
        pub sessions_max: usize = 10_000, integer().range(1..=10_000_000);
        /// A session with unacknowledged data is lost when nothing was heard for this long.
        pub dead_link: Duration = Duration::from_secs(15), duration().range(Duration::from_secs(1)..=Duration::from_secs(600));
        /// How long the last data of a closed session is resent.
        pub linger: Duration = Duration::from_secs(1), duration().range(Duration::ZERO..=Duration::from_secs(60));
    }
}
