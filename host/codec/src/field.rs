//! Signed numbers of 0, 1, 2 or 4 bytes: the route and seq fields.

/// Order of the bytes of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Most significant byte first.
    #[default]
    Big,
    /// Least significant byte first.
    Little,
}

/// How many bytes a field has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Width {
    Absent = 0,
    One = 1,
    Two = 2,
    Four = 4,
}

impl Width {
    pub(crate) const fn new(bytes: u8) -> Option<Self> {
        match bytes {
            0 => Some(Self::Absent),
            1 => Some(Self::One),
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            _ => None,
        }
    }

    #[inline]
    pub(crate) const fn bytes(self) -> usize {
        self as usize
    }

    /// Whether the number can be written. An absent field takes any number: it is not written at all.
    #[inline]
    pub(crate) fn fits(self, value: i32) -> bool {
        match self {
            Self::One => i8::try_from(value).is_ok(),
            Self::Two => i16::try_from(value).is_ok(),
            Self::Absent | Self::Four => true,
        }
    }

    /// The number at the start of `input`, sign-extended, and what follows it. An absent field is 0.
    #[inline]
    pub(crate) fn read(self, order: ByteOrder, input: &[u8]) -> Option<(i32, &[u8])> {
        match self {
            Self::Absent => Some((0, input)),
            Self::One => input.split_first_chunk().map(|(bytes, rest)| (i8::from_be_bytes(*bytes).into(), rest)),
            Self::Two => input.split_first_chunk().map(|(bytes, rest)| (order.i16(*bytes).into(), rest)),
            Self::Four => input.split_first_chunk().map(|(bytes, rest)| (order.i32(*bytes), rest)),
        }
    }

    /// Appends the number; what does not fit is cut off, so ask [`Width::fits`] first.
    #[inline]
    pub(crate) fn write(self, order: ByteOrder, value: i32, out: &mut Vec<u8>) {
        match self {
            Self::Absent => {}
            Self::One => out.push(value as u8),
            Self::Two => out.extend_from_slice(&order.u16_bytes(value as u16)),
            Self::Four => out.extend_from_slice(&order.u32_bytes(value as u32)),
        }
    }
}

impl ByteOrder {
    #[inline]
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Big => i64::from_be_bytes(bytes),
            Self::Little => i64::from_le_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn u16_bytes(self, value: u16) -> [u8; 2] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }

    #[inline]
    pub(crate) fn u32_bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }

    #[inline]
    pub(crate) fn i64_bytes(self, value: i64) -> [u8; 8] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }

    #[inline]
    fn i16(self, bytes: [u8; 2]) -> i16 {
        self.u16(bytes) as i16
    }

    #[inline]
    fn i32(self, bytes: [u8; 4]) -> i32 {
        self.u32(bytes) as i32
    }
}
