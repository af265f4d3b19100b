//! `[gateway]`: how many connections, how long they may take, how much may wait for them.

use std::time::Duration;

use duet_config::{Field, Table};

/// Connections: how many, how long they may take, how much may wait for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewaySettings {
    /// Threads that read and write sockets, 0 to 1,024. Default 0: one for each core.
    pub(crate) io_threads: usize,
    /// Connections at one time, 1 to 10,000,000, over all listeners. Default 10,000. A further client is closed at once.
    pub(crate) connections_max: usize,
    /// From the accepted socket to the end of the WebSocket upgrade, 10 ms to 1 m. Default 5 s. Then it is closed.
    pub(crate) handshake_timeout: Duration,
    /// From the open connection to its first whole packet, 10 ms to 10 m. Default 15 s, because a client may send
    /// nothing before its first heartbeat after 10 s. Then it is closed.
    pub(crate) first_packet_timeout: Duration,
    /// From the first byte of a packet to its last, 10 ms to 10 m. Default 5 s. Then the connection is closed.
    pub(crate) packet_timeout: Duration,
    /// How long a write may make no progress, 10 ms to 10 m. Default 10 s. Then the connection is closed.
    pub(crate) write_timeout: Duration,
    /// Packets waiting to be written to one connection, 1 to 1,048,576. Default 1,024. A client that has more waiting
    /// reads too slowly and is closed.
    pub(crate) write_queue_packets: usize,
    /// Bytes waiting to be written to one connection, 1 KiB to 1 GiB and at least `codec.body_bytes_max` + 64.
    /// Default 1 MiB. A client that has more waiting reads too slowly and is closed.
    pub(crate) write_queue_bytes: usize,
    /// A connection that sends nothing for two intervals is closed; any packet counts. 10 ms to 1 h, or 0 s: never
    /// closed for silence, no `tick`. Default 10 s.
    pub(crate) heartbeat_interval: Duration,
    /// What the server does about heartbeats. Default `resp`.
    pub(crate) heartbeat: Heartbeat,
    /// Whether heartbeats to clients carry the time. Default false; `seed` listeners have their own default, true.
    pub(crate) heartbeat_time: bool,
    /// Whether a request that fails is answered with an error packet. Default true; if false, it is not answered.
    pub(crate) error_packets: bool,
}

/// What the server does about heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// Answers each heartbeat of the client.
    Resp,
    /// Sends one every interval by itself.
    Tick,
    /// Sends none. Silent clients are still closed, unless the interval is 0 s.
    Off,
}

impl Default for GatewaySettings {
    fn default() -> GatewaySettings {
        GatewaySettings {
            io_threads: 0,
            connections_max: 10_000,
            handshake_timeout: Duration::from_secs(5),
            first_packet_timeout: Duration::from_secs(15),
            packet_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            write_queue_packets: 1_024,
            write_queue_bytes: 1 << 20,
            heartbeat_interval: Duration::from_secs(10),
            heartbeat: Heartbeat::Resp,
            heartbeat_time: false,
            error_packets: true,
        }
    }
}

impl GatewaySettings {
    pub(super) fn read(mut table: Table<'_>) -> GatewaySettings {
        let default = GatewaySettings::default();
        let minutes = |count: u64| Duration::from_millis(10)..=Duration::from_secs(count * 60);
        let settings = GatewaySettings {
            io_threads: table.integer("io_threads").range(0..=1_024).or(default.io_threads),
            connections_max: table.integer("connections_max").range(1..=10_000_000).or(default.connections_max),
            handshake_timeout: table.duration("handshake_timeout").range(minutes(1)).or(default.handshake_timeout),
            first_packet_timeout: table.duration("first_packet_timeout").range(minutes(10)).or(default.first_packet_timeout),
            packet_timeout: table.duration("packet_timeout").range(minutes(10)).or(default.packet_timeout),
            write_timeout: table.duration("write_timeout").range(minutes(10)).or(default.write_timeout),
            write_queue_packets: table.integer("write_queue_packets").range(1..=1 << 20).or(default.write_queue_packets),
            write_queue_bytes: table.size("write_queue_bytes").range(1 << 10..=1 << 30).or(default.write_queue_bytes),
            heartbeat_interval: heartbeat_interval(&mut table).or(default.heartbeat_interval),
            heartbeat: heartbeat(&mut table).or(default.heartbeat),
            heartbeat_time: table.boolean("heartbeat_time").or(default.heartbeat_time),
            error_packets: table.boolean("error_packets").or(default.error_packets),
        };
        table.finish();
        settings
    }
}

pub(super) fn heartbeat<'d>(table: &mut Table<'d>) -> Field<'d, Heartbeat> {
    let words = [("resp", Heartbeat::Resp), ("tick", Heartbeat::Tick), ("off", Heartbeat::Off)];
    table.choice("heartbeat", &words)
}

pub(super) fn heartbeat_interval<'d>(table: &mut Table<'d>) -> Field<'d, Duration> {
    let range = Duration::from_millis(10)..=Duration::from_secs(3_600);
    let allowed = "\"0s\" for off, 10ms to 1h";
    table.duration("heartbeat_interval").check(allowed, |interval| interval.is_zero() || range.contains(interval))
}
