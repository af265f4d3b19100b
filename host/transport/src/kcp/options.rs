//! How the connections of a port behave.

use std::time::Duration;

/// How connections behave. The client has options of its own; the two need not be equal.
#[derive(Clone, Copy, Debug)]
pub struct KcpOptions {
    /// Longest datagram that is sent, in bytes, 50 to 1,500. 1,400 fits through tunnels.
    pub mtu: usize,
    /// Resends sooner: after at least 30 ms instead of 100, and waits 1.5 times as long each time instead of twice.
    pub nodelay: bool,
    /// How often unacknowledged data is looked after, 10 ms to 5 s.
    pub interval: Duration,
    /// A segment is resent at once when this many later ones were acknowledged. 0: never.
    pub resend: u32,
    /// No congestion control: a lost datagram does not slow the connection down.
    pub nc: bool,
    /// Most segments in flight. As many again may wait.
    pub send_window: u16,
    /// Most segments that are kept for a reader that does not read, at least 128. As many again may have arrived out of order.
    pub receive_window: u16,
    /// Acknowledges what was read from the socket at once, rather than at the next interval.
    pub ack_no_delay: bool,
    /// Small writes that wait are joined into full segments.
    pub stream: bool,
    /// Most connections, those that linger included. Further clients are not admitted.
    pub sessions_max: usize,
    /// A connection is dead when data was unacknowledged and nothing was heard for so long.
    pub dead_link: Duration,
    /// How long a connection that was shut down still resends and acknowledges.
    pub linger: Duration,
}

impl Default for KcpOptions {
    /// For games. 128 segments of 1,376 bytes in flight are 1.7 MB/s for each player at 100 ms, and bound a hostile connection to 0.8 MB.
    fn default() -> Self {
        Self {
            mtu: 1400,
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
