//! `[gateway]`: how many connections, how long they may take, how much may wait for them.

use std::time::Duration;

use duet_config::{Field, Table, boolean, choice, duration, integer, size};

use super::session::SessionSettings;

/// Connections: how many, how long they may take, how much may wait for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewaySettings {
    /// Threads that read and write sockets, 0 to 1,024. Default 0: one for each core.
    pub(crate) io_threads: usize,
    /// Connections at one time, 1 to 10,000,000, over all listeners. Default 10,000. A further client is closed at once.
    pub(crate) connections_max: usize,
    /// Connections that shake hands (PROXY, TLS, WebSocket) at one time, 1 to 10,000,000. Default 1,000. A further client
    /// is closed at once.
    pub(crate) handshakes_max: usize,
    /// From the accepted socket to the end of its handshakes, 10 ms to 1 m. Default 5 s. Then it is closed.
    pub(crate) handshake_timeout: Duration,
    /// From the open connection to its first whole packet, 10 ms to 10 m. Default 15 s, because a client may send
    /// nothing before its first heartbeat after 10 s. Then it is closed.
    pub(crate) first_packet_timeout: Duration,
    /// From the open connection until a plugin binds it to a uid, 10 ms to 10 m, or 0 s: never asked for. Then it is closed.
    /// Default 0 s, because a game without logins would lose its clients; 5 s to 30 s for games with a login.
    pub(crate) authorize_timeout: Duration,
    /// From the first byte of a packet to its last, 10 ms to 10 m. Default 5 s. Then the connection is closed. Like the first
    /// packet and silence, it counts only while the connection is read.
    pub(crate) packet_timeout: Duration,
    /// How long a client may take nothing of what waits for it, 10 ms to 10 m. Default 10 s. Then the connection is closed.
    pub(crate) write_timeout: Duration,
    /// Packets of others waiting to be written to one connection, 1 to 1,048,576. Default 1,024. A client that has more
    /// waiting reads too slowly and is closed. If half as many of its own answers wait, its requests are read later; so are they
    /// if as many are in flight.
    pub(crate) write_queue_packets: usize,
    /// The same in bytes, 1 KiB to 1 GiB and at least `codec.body_bytes_max` + 64. Default 1 MiB. What the client asked
    /// for itself may be 64 times as much.
    pub(crate) write_queue_bytes: usize,
    /// Channels that one connection may be in, 0 to 65,536. Default 64. A further subscription is refused.
    pub(crate) channels_per_connection: usize,
    /// Lost sessions that wait for their clients at one time, 0 to 10,000,000. Default 10,000. A further lost connection
    /// ends its session. Each may hold `resume_bytes`.
    pub(crate) suspended_max: usize,
    /// Bytes that are kept for clients that may resume, of all sessions together, connected or lost, 1 MiB to 64 GiB. Default 256 MiB.
    /// Above it the sessions with the most forget what they keep; their clients can resume only if they miss nothing.
    pub(crate) resume_bytes_total: usize,
    /// Memory of this process in bytes above which no new connections are taken, 16 MiB to 4 TiB. Default 0: 80 % of what
    /// it may have, by its cgroup or the machine.
    pub(crate) memory_high: u64,
    /// Memory of this process in bytes above which messages are answered `busy`, 16 MiB to 4 TiB and above `memory_high`.
    /// Default 0: 90 % of what it may have.
    pub(crate) memory_critical: u64,
    /// A server that stops closes its connections spread over this time, 0 s to 10 m, but at least 1,000 a second and within
    /// `drain_timeout`. Default 1 s.
    pub(crate) drain_spread: Duration,
    /// Clients of a server that stops are asked to come back spread over this time, 0 s to 1 h. Default 5 s.
    pub(crate) reconnect_spread: Duration,
    /// A connection that sends nothing for two intervals is closed; any packet counts. 10 ms to 1 h, or 0 s: never
    /// closed for silence, no `tick`. Default 10 s.
    pub(crate) heartbeat_interval: Duration,
    /// What the server does about heartbeats. Default `resp`.
    pub(crate) heartbeat: Heartbeat,
    /// Whether heartbeats to clients carry the time. Default false; `seed` listeners have their own default, true.
    pub(crate) heartbeat_time: bool,
    /// Whether a request that fails is answered with an error packet. Default true; if false, it is not answered.
    pub(crate) error_packets: bool,
    /// Logins and resumption.
    pub(crate) sessions: SessionSettings,
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
            handshakes_max: 1_000,
            handshake_timeout: Duration::from_secs(5),
            first_packet_timeout: Duration::from_secs(15),
            authorize_timeout: Duration::ZERO,
            packet_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            write_queue_packets: 1_024,
            write_queue_bytes: 1 << 20,
            channels_per_connection: 64,
            suspended_max: 10_000,
            resume_bytes_total: 256 << 20,
            memory_high: 0,
            memory_critical: 0,
            drain_spread: Duration::from_secs(1),
            reconnect_spread: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(10),
            heartbeat: Heartbeat::Resp,
            heartbeat_time: false,
            error_packets: true,
            sessions: SessionSettings::default(),
        }
    }
}

impl GatewaySettings {
    pub(super) fn read(mut table: Table<'_>) -> GatewaySettings {
        let default = GatewaySettings::default();
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let within = |count| Duration::from_millis(10)..=minutes(count);
        let settings = GatewaySettings {
            io_threads: table.get("io_threads", &integer().range(0..=1_024)).or(default.io_threads),
            connections_max: table.get("connections_max", &integer().range(1..=10_000_000)).or(default.connections_max),
            handshakes_max: table.get("handshakes_max", &integer().range(1..=10_000_000)).or(default.handshakes_max),
            handshake_timeout: table.get("handshake_timeout", &duration().range(within(1))).or(default.handshake_timeout),
            first_packet_timeout: table.get("first_packet_timeout", &duration().range(within(10))).or(default.first_packet_timeout),
            authorize_timeout: authorize_timeout(&mut table).or(default.authorize_timeout),
            packet_timeout: table.get("packet_timeout", &duration().range(within(10))).or(default.packet_timeout),
            write_timeout: table.get("write_timeout", &duration().range(within(10))).or(default.write_timeout),
            write_queue_packets: table.get("write_queue_packets", &integer().range(1..=1 << 20)).or(default.write_queue_packets),
            write_queue_bytes: table.get("write_queue_bytes", &size().range(1 << 10..=1 << 30)).or(default.write_queue_bytes),
            channels_per_connection: table.get("channels_per_connection", &integer().range(0..=65_536)).or(default.channels_per_connection),
            suspended_max: table.get("suspended_max", &integer().range(0..=10_000_000)).or(default.suspended_max),
            resume_bytes_total: table.get("resume_bytes_total", &size().range(1 << 20..=64 << 30)).or(default.resume_bytes_total),
            memory_high: memory(&mut table, "memory_high").or(default.memory_high),
            memory_critical: memory(&mut table, "memory_critical").or(default.memory_critical),
            drain_spread: table.get("drain_spread", &duration().range(Duration::ZERO..=minutes(10))).or(default.drain_spread),
            reconnect_spread: table.get("reconnect_spread", &duration().range(Duration::ZERO..=minutes(60))).or(default.reconnect_spread),
            heartbeat_interval: heartbeat_interval(&mut table).or(default.heartbeat_interval),
            heartbeat: heartbeat(&mut table).or(default.heartbeat),
            heartbeat_time: table.get("heartbeat_time", &boolean()).or(default.heartbeat_time),
            error_packets: table.get("error_packets", &boolean()).or(default.error_packets),
            sessions: SessionSettings::read(&mut table, &default.sessions),
        };
        // 0 is not compared: what it stands for is known only where the server runs.
        if settings.memory_critical != 0 && settings.memory_high >= settings.memory_critical {
            table.mistake("memory_high", "allowed is less than memory_critical");
        }
        table.finish();
        settings
    }
}

pub(super) fn heartbeat<'d>(table: &mut Table<'d>) -> Field<'d, Heartbeat> {
    table.get("heartbeat", &choice(&[("resp", Heartbeat::Resp), ("tick", Heartbeat::Tick), ("off", Heartbeat::Off)]))
}

pub(super) fn authorize_timeout<'d>(table: &mut Table<'d>) -> Field<'d, Duration> {
    off_or(table, "authorize_timeout", Duration::from_secs(600), "\"0s\" for off, 10ms to 10m")
}

pub(super) fn heartbeat_interval<'d>(table: &mut Table<'d>) -> Field<'d, Duration> {
    off_or(table, "heartbeat_interval", Duration::from_secs(3_600), "\"0s\" for off, 10ms to 1h")
}

fn off_or<'d>(table: &mut Table<'d>, key: &'static str, most: Duration, allowed: &str) -> Field<'d, Duration> {
    table.get(key, &duration()).check(allowed, |time| time.is_zero() || (Duration::from_millis(10)..=most).contains(time))
}

fn memory<'d>(table: &mut Table<'d>, key: &'static str) -> Field<'d, u64> {
    table.get(key, &size()).check("0 for automatic, 16MiB to 4096GiB", |bytes| *bytes == 0 || (16 << 20..=4 << 40).contains(bytes))
}
