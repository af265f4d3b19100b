//! What is special about the messages of a route or a channel.

/// What is special about a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoutePolicy {
    /// Longest body of a client's message, if less than the format's limit.
    pub body_bytes_max: Option<usize>,
    /// What is done with messages to clients that do not read.
    pub overflow: Overflow,
}

/// What is done with a packet for a client that does not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Its connection is closed once the queue is full.
    #[default]
    Close,
    /// A packet that finds the queue full is dropped.
    DropNewest,
    /// A packet takes the place of the one of the same route that still waits. One that finds the queue full is dropped.
    KeepLatest,
}
