//! Counters of a KCP port.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What happened on a KCP port since it was opened. Read with any ordering; together, the counters are not a snapshot.
#[derive(Debug, Default)]
pub struct KcpStats {
    /// Datagrams received.
    pub datagrams_in: AtomicU64,
    /// Datagrams sent.
    pub datagrams_out: AtomicU64,
    /// Bytes received, without headers of UDP.
    pub bytes_in: AtomicU64,
    /// Bytes sent, without headers of UDP.
    pub bytes_out: AtomicU64,
    /// Bytes of datagrams without a connection, including those that open one and those of restarted clients.
    pub unproved_bytes_in: AtomicU64,
    /// Bytes of greetings.
    pub unproved_bytes_out: AtomicU64,
    /// Datagrams that the socket did not take, which KCP sends again.
    pub unsent: AtomicU64,
    /// Connections now, those that linger included.
    pub sessions: AtomicUsize,
    /// Connections opened.
    pub sessions_opened: AtomicU64,
    /// Connections whose client stopped acknowledging.
    pub sessions_dead: AtomicU64,
    /// Panics of the driver. One that was busy with a connection ended it.
    pub panics: AtomicU64,
    /// Datagrams that are not KCP, or not possible in their connection.
    pub refused_malformed: AtomicU64,
    /// Parity and out-of-band frames of clients with error correction, which are not used.
    pub ignored_frames: AtomicU64,
    /// Datagrams without a connection that neither begin one nor return a good cookie.
    pub refused_stray: AtomicU64,
    /// First datagrams whose answer would be too long for them.
    pub refused_short: AtomicU64,
    /// Good cookies for which there was no room: too many connections, too many to accept, or the listener is gone.
    pub refused_full: AtomicU64,
    /// Good cookies of clients that were not admitted.
    pub refused_admission: AtomicU64,
}

/// Why a datagram is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    Ignored,
    Stray,
    Short,
    Full,
    Admission,
}

impl KcpStats {
    pub(super) fn refused(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Malformed => &self.refused_malformed,
            Refusal::Ignored => &self.ignored_frames,
            Refusal::Stray => &self.refused_stray,
            Refusal::Short => &self.refused_short,
            Refusal::Full => &self.refused_full,
            Refusal::Admission => &self.refused_admission,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Adds a length to a counter of bytes.
pub(super) fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}
