//! Packets built and read by hand, independently of the codec that is tested with them. Route and seq have two bytes.

/// What carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A byte stream.
    Tcp,
    /// One binary WebSocket message is one packet.
    Ws,
}

/// The layout of packets on one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// What carries the packets.
    pub carrier: Carrier,
    /// The profile `seed`, else `due2`.
    pub seed: bool,
    /// Little endian, else big endian.
    pub little: bool,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A reply, or a push when seq is 0.
    Data {
        /// Its route.
        route: i16,
        /// Its seq.
        seq: i16,
        /// Its content.
        body: Vec<u8>,
    },
    /// An error packet.
    Error {
        /// The route of the request.
        route: i16,
        /// The seq of the request.
        seq: i16,
        /// The error code.
        code: u16,
        /// Its text.
        text: String,
    },
    /// A heartbeat with its time, in the profile's unit.
    Heartbeat(Option<i64>),
    /// The connection ended; on ws with this close code.
    Closed(Option<u16>),
}

impl Wire {
    /// The default profile on tcp.
    pub const TCP: Self = Self { carrier: Carrier::Tcp, seed: false, little: false };
    /// The default profile on ws.
    pub const WS: Self = Self { carrier: Carrier::Ws, seed: false, little: false };
    /// The profile `seed` on tcp.
    pub const SEED_TCP: Self = Self { carrier: Carrier::Tcp, seed: true, little: false };
    /// The profile `seed` on ws.
    pub const SEED_WS: Self = Self { carrier: Carrier::Ws, seed: true, little: false };
    /// Both profiles on both carriers.
    pub const ALL: [Self; 4] = [Self::TCP, Self::WS, Self::SEED_TCP, Self::SEED_WS];

    /// A short name for messages.
    pub fn name(self) -> &'static str {
        match (self.seed, self.carrier) {
            (false, Carrier::Tcp) => "due2 on tcp",
            (false, Carrier::Ws) => "due2 on ws",
            (true, Carrier::Tcp) => "seed on tcp",
            (true, Carrier::Ws) => "seed on ws",
        }
    }

    /// The listener of this layout, as TOML.
    pub fn listener(self) -> String {
        let protocol = if self.carrier == Carrier::Tcp { "tcp" } else { "ws" };
        let profile = if self.seed { "seed" } else { "due2" };
        let byte_order = if self.little { "little" } else { "big" };
        format!("protocol = \"{protocol}\"\nprofile = \"{profile}\"\nbyte_order = \"{byte_order}\"\n")
    }

    /// Whether packets begin with their size.
    pub fn has_size(self) -> bool {
        self.carrier == Carrier::Tcp || !self.seed
    }

    /// The size field of a packet with this many bytes after it.
    pub fn size(self, bytes: u32) -> [u8; 4] {
        if self.little && !self.seed { bytes.to_le_bytes() } else { bytes.to_be_bytes() }
    }

    /// A packet with this after its size field, if it has one.
    pub fn packet(self, content: &[u8]) -> Vec<u8> {
        let size = self.size(u32::try_from(content.len()).expect("a packet below 4 GiB"));
        let size = if self.has_size() { size.as_slice() } else { &[] };
        [size, content].concat()
    }

    /// A message.
    pub fn data(self, route: i16, seq: i16, body: &[u8]) -> Vec<u8> {
        self.packet(&[&[0], self.two(route).as_slice(), &self.two(seq), body].concat())
    }

    /// A heartbeat without time, as clients send it.
    pub fn heartbeat(self) -> Vec<u8> {
        self.packet(&[0x80])
    }

    fn two(self, value: i16) -> [u8; 2] {
        if self.little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    /// Length of the first packet of a byte stream, once it is there as a whole.
    pub(crate) fn whole(self, stream: &[u8]) -> Option<usize> {
        let size = self.read_size(stream.first_chunk()?);
        let bytes = 4 + size as usize;
        (stream.len() >= bytes).then_some(bytes)
    }

    fn read_size(self, bytes: &[u8; 4]) -> u32 {
        if self.little && !self.seed { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) }
    }

    /// Reads a whole packet.
    ///
    /// # Panics
    /// If it is not one.
    pub fn read(self, packet: &[u8]) -> Message {
        let content = if self.has_size() {
            let (size, content) = packet.split_first_chunk::<4>().expect("a size field");
            assert_eq!(self.read_size(size) as usize, content.len(), "the size field is wrong: {packet:02x?}");
            content
        } else {
            packet
        };
        let two = |at: usize| {
            let bytes = [content[at], content[at + 1]];
            if self.little { i16::from_le_bytes(bytes) } else { i16::from_be_bytes(bytes) }
        };
        match content[0] {
            0x80 if content.len() == 1 => Message::Heartbeat(None),
            0x80 => {
                let time: [u8; 8] = content[1..].try_into().expect("eight bytes of time");
                Message::Heartbeat(Some(if self.little && !self.seed { i64::from_le_bytes(time) } else { i64::from_be_bytes(time) }))
            }
            0 => Message::Data { route: two(1), seq: two(3), body: content[5..].to_vec() },
            1 => {
                let text = String::from_utf8(content[7..].to_vec()).expect("a text");
                Message::Error { route: two(1), seq: two(3), code: two(5).cast_unsigned(), text }
            }
            header => panic!("a packet with the header {header:#04x}: {packet:02x?}"),
        }
    }
}
