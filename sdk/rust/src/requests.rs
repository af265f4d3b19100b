//! Reading the packed list of requests (`wit/packed.md`).

use std::fmt;

/// Bytes of a request's header in version 1; later versions have more, never less.
const HEADER_BYTES_MIN: usize = 32;
/// Kind of a request that is a message of a client.
pub(crate) const MESSAGE: u8 = 0;

/// The list of requests is not what `packed.md` describes: the host is broken or of another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedBatch {
    /// Index of the record that does not fit; the first is 0.
    pub request: u32,
}

impl fmt::Display for MalformedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} of the batch does not fit the packed layout", self.request)
    }
}

impl std::error::Error for MalformedBatch {}

/// The header of one request. `size` and `header` have been checked against the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) size: usize,
    pub(crate) header: usize,
    pub(crate) kind: u8,
    pub(crate) conn: u64,
    pub(crate) uid: i64,
    pub(crate) route: i32,
    pub(crate) seq: i32,
}

impl Head {
    /// Reads the header at the start of `list`. None if the record does not fit.
    #[inline]
    pub(crate) fn read(list: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES_MIN] = list.first_chunk()?;
        let head = Self {
            size: u32::from_le_bytes(field(bytes, 0)) as usize,
            header: usize::from(u16::from_le_bytes(field(bytes, 4))),
            kind: u8::from_le_bytes(field(bytes, 6)),
            conn: u64::from_le_bytes(field(bytes, 8)),
            uid: i64::from_le_bytes(field(bytes, 16)),
            route: i32::from_le_bytes(field(bytes, 24)),
            seq: i32::from_le_bytes(field(bytes, 28)),
        };
        (head.header >= HEADER_BYTES_MIN && head.size >= head.header && head.size <= list.len()).then_some(head)
    }

    /// Appends a request of version 1 to `list`, as a host does.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn append(&self, body: &[u8], list: &mut Vec<u8>) {
        let size = u32::try_from(HEADER_BYTES_MIN + body.len()).unwrap_or(u32::MAX);
        list.extend_from_slice(&size.to_le_bytes());
        list.extend_from_slice(&(HEADER_BYTES_MIN as u16).to_le_bytes());
        list.extend_from_slice(&[self.kind, 0]);
        list.extend_from_slice(&self.conn.to_le_bytes());
        list.extend_from_slice(&self.uid.to_le_bytes());
        list.extend_from_slice(&self.route.to_le_bytes());
        list.extend_from_slice(&self.seq.to_le_bytes());
        list.extend_from_slice(body);
    }
}

/// `N` bytes at an offset that is a constant of the layout: the compiler drops the checks.
#[inline(always)]
pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Vec<u8> {
        let mut list = Vec::new();
        Head { size: 0, header: 0, kind: MESSAGE, conn: 5, uid: 9, route: 7, seq: 2 }.append(b"hi", &mut list);
        list
    }

    #[test]
    fn what_the_harness_packs_has_the_golden_bytes() {
        let made = |kind, uid, body: &str| {
            let mut list = Vec::new();
            let (route, seq) = if kind == MESSAGE { (7, 2) } else { (0, 0) };
            Head { size: 0, header: 0, kind, conn: 5, uid, route, seq }.append(body.as_bytes(), &mut list);
            list.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let golden = |name| {
            let mut lines = include_str!("../wit/packed-v1.golden").lines().filter_map(|line| line.split_once(' '));
            lines.find(|(known, _)| *known == name).unwrap().1
        };
        assert_eq!(made(MESSAGE, 9, "hi"), golden("request"));
        assert_eq!(made(1, 0, "192.0.2.1:80"), golden("connect"));
        assert_eq!(made(2, 9, ""), golden("bind-event"));
        assert_eq!(made(3, 9, "silence"), golden("disconnect"));
        assert_eq!(made(4, 9, "lost"), golden("suspend"));
        assert_eq!(made(5, 9, "192.0.2.1:81"), golden("resume"));
    }

    #[test]
    fn header_fields_are_read_back() {
        let head = Head::read(&message()).unwrap();
        assert_eq!(head, Head { size: 34, header: 32, kind: 0, conn: 5, uid: 9, route: 7, seq: 2 });
    }

    #[test]
    fn a_record_that_does_not_fit_is_refused() {
        let whole = message();
        assert_eq!(Head::read(&whole[..31]), None, "shorter than a header");
        assert_eq!(Head::read(&whole[..33]), None, "shorter than its size");
        let mut short_header = whole.clone();
        short_header[4] = 31;
        assert_eq!(Head::read(&short_header), None, "header below the minimum");
        let mut long_header = whole;
        long_header[4] = 35;
        assert_eq!(Head::read(&long_header), None, "header behind the end");
    }
}
