//! `[gateway]` and `[limits]`: the options that several crates have in them.

use duet_config::{Settings as _, Table, integer};
use duet_gateway::{GatewayOptions, LimitOptions, MemoryOptions, Notices, SessionOptions};
use duet_session::{SessionLimits, Timeouts};
use duet_transport::GuardOptions;

duet_config::settings! {
    /// The threads of the gate.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct IoSettings {
        /// Threads that read and write sockets; 0: one for each core.
        pub(crate) io_threads: usize = 0, integer().range(0..=1024);
    }
}

/// Connections: how many, how long they may take, how much may wait for them, and what one client may do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GateSettings {
    /// Threads.
    pub(crate) io: IoSettings,
    /// Limits of the gate, except those of memory.
    pub(crate) options: GatewayOptions,
    /// What of memory counts as overload.
    pub(crate) memory: MemoryOptions,
    /// What listeners take over unless they say it themselves.
    pub(crate) client: ClientSettings,
}

/// How a gate, or one listener of it, treats its clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// Deadlines and heartbeats.
    pub(crate) timeouts: Timeouts,
    /// What they are told besides answers.
    pub(crate) notices: Notices,
    /// Logins and resumption.
    pub(crate) sessions: SessionOptions,
}

impl GateSettings {
    pub(super) fn read(mut gateway: Table<'_>, mut limits: Table<'_>) -> GateSettings {
        let default = GateSettings::default();
        let table = &mut gateway;
        let io = IoSettings::read(table, &default.io);
        let options = GatewayOptions::read(table, &default.options);
        let sessions = SessionLimits::read(table, &options.sessions);
        let memory = MemoryOptions::read(table, &default.memory);
        let client = ClientSettings {
            timeouts: Timeouts::read(table, &default.client.timeouts),
            notices: Notices::read(table, &default.client.notices),
            sessions: SessionOptions::read(table, &default.client.sessions),
        };
        // 0 is not compared: what it stands for is known only where the server runs.
        if memory.critical != 0 && memory.high >= memory.critical {
            gateway.mistake("memory_high", "allowed: less than memory_critical");
        }
        gateway.finish();
        let guard = GuardOptions::read(&mut limits, &options.guard);
        let clients = LimitOptions::read(&mut limits, &LimitOptions::default());
        limits.finish();
        let options = GatewayOptions { guard, rates: clients.rates(), proxies: clients.trusted_proxies, sessions, ..options };
        GateSettings { io, options, memory, client }
    }
}

impl ClientSettings {
    /// What a listener says itself, instead of what its gate says.
    pub(super) fn read_again(&self, table: &mut Table<'_>) -> ClientSettings {
        ClientSettings {
            timeouts: Timeouts::read_again(table, &self.timeouts),
            notices: Notices::read_again(table, &self.notices),
            sessions: SessionOptions::read_again(table, &self.sessions),
        }
    }
}
