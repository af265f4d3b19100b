//! Request records: what a handler gets, and what goes from thread to thread.

use smallvec::SmallVec;

use super::field::{u16_at, u32_at, u64_at};
use super::kinds::RequestKind;
use crate::{ConnId, InFlight, Key, Route, Seq, Uid};

/// Bytes of the shortest header.
const HEADER: usize = 32;
/// Bytes of a header with a key, which is written only if there is a key.
const KEYED_HEADER: usize = HEADER + 8;

/// A message of a client on its way to a handler, or an event of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What it is about.
    pub kind: RequestKind,
    /// Connection it came from.
    pub conn: ConnId,
    /// Account of the connection, once bound.
    pub uid: Option<Uid>,
    /// As the client sent it.
    pub route: Route,
    /// As the client sent it.
    pub seq: Seq,
    /// What decides which instance handles it, instead of the plugin's affinity.
    pub key: Option<Key>,
    /// As the client sent it; of an event, what `wit/packed.md` says.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Bytes of its record.
    pub const fn record_bytes(&self) -> usize {
        self.header_bytes() + self.body.len()
    }

    const fn header_bytes(&self) -> usize {
        if self.key.is_some() { KEYED_HEADER } else { HEADER }
    }
}

/// Request records, one after the other: what a handler gets, and what goes from thread to thread and from node to node.
#[derive(Debug, Default)]
pub struct Requests {
    bytes: Vec<u8>,
    count: usize,
    /// What tells the askers that these are done; several if the list was put together from several.
    in_flight: SmallVec<[InFlight; 1]>,
}

impl Requests {
    /// An empty list.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0, in_flight: SmallVec::new_const() }
    }

    /// An empty list with room for `bytes` bytes of records.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// Appends a request.
    #[inline]
    pub fn push(&mut self, request: &Request<'_>) {
        let size = request.record_bytes();
        self.bytes.reserve(size);
        let mut header = [0u8; HEADER];
        let (head, ids) = header.split_at_mut(8);
        head.copy_from_slice(&(size as u64 | (request.header_bytes() as u64) << 32 | (request.kind as u64) << 48).to_le_bytes());
        for (to, from) in ids.chunks_exact_mut(8).zip([
            request.conn.0.to_le_bytes(),
            request.uid.map_or(0, |u| u.0).to_le_bytes(),
            (u64::from(request.route.0.cast_unsigned()) | u64::from(request.seq.0.cast_unsigned()) << 32).to_le_bytes(),
        ]) {
            to.copy_from_slice(&from);
        }
        self.bytes.extend_from_slice(&header);
        if let Some(key) = request.key {
            self.bytes.extend_from_slice(&key.0.to_le_bytes());
        }
        self.bytes.extend_from_slice(request.body);
        self.count += 1;
    }

    /// Appends another list.
    pub fn append(&mut self, mut other: Self) {
        if self.is_empty() {
            // Takes over the other's buffer, so nothing is copied.
            std::mem::swap(self, &mut other);
        }
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
        self.in_flight.append(&mut other.in_flight);
    }

    /// Splits off everything after the first `count` records. Each list keeps its share of what is in flight.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Self {
        let mut iter = self.iter();
        let kept = iter.by_ref().take(count).count();
        let rest = iter.rest().len();
        let mut off = Self { bytes: self.bytes.split_off(self.bytes.len() - rest), count: self.count - kept, ..Self::new() };
        self.count = kept;
        off.depart_with(&mut self.in_flight);
        off
    }

    /// Marks these requests as in flight: they are done when the list is dropped, unless somebody takes the mark out.
    pub fn depart(&mut self, in_flight: InFlight) {
        self.in_flight.push(in_flight);
    }

    /// The same for requests that were part of another list, whose marks are given: each is split, as far as this list needs it. Events
    /// need none, because nobody counts them as in flight, and there may be several copies of one.
    pub fn depart_with(&mut self, in_flight: &mut [InFlight]) {
        let mut left = self.iter().filter(|request| !request.kind.is_event()).count();
        for whole in in_flight.iter_mut().filter(|whole| whole.requests() > 0) {
            if left == 0 {
                break;
            }
            let part = whole.split(left);
            left -= part.requests();
            self.in_flight.push(part);
        }
    }

    /// Takes out what marks these requests as in flight. They are done once the caller drops it.
    pub fn take_in_flight(&mut self) -> SmallVec<[InFlight; 1]> {
        std::mem::take(&mut self.in_flight)
    }

    /// Number of records.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The records as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The requests in order.
    pub fn iter(&self) -> RequestIter<'_> {
        RequestIter { rest: &self.bytes }
    }
}

impl<'a> IntoIterator for &'a Requests {
    type Item = Request<'a>;
    type IntoIter = RequestIter<'a>;

    fn into_iter(self) -> RequestIter<'a> {
        self.iter()
    }
}

/// Walks over request records that a host wrote, this one or a later one: longer headers and unknown kinds are skipped.
#[derive(Clone, Debug)]
pub struct RequestIter<'a> {
    rest: &'a [u8],
}

impl<'a> RequestIter<'a> {
    /// Walks over records that begin at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes of the records not yet visited.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for RequestIter<'a> {
    type Item = Request<'a>;

    #[inline]
    fn next(&mut self) -> Option<Request<'a>> {
        loop {
            let header: &[u8; HEADER] = self.rest.first_chunk()?;
            let (record, rest) = self.rest.split_at_checked(u32_at(header, 0)? as usize)?;
            let begin = usize::from(u16_at(header, 4)?);
            let body = record.get(begin..).filter(|_| begin >= HEADER)?;
            self.rest = rest;
            let Some(kind) = RequestKind::of(*header.get(6)?) else { continue };
            let uid = u64_at(header, 16)?.cast_signed();
            let key = if begin < KEYED_HEADER { None } else { u64_at(record, HEADER).filter(|key| *key != 0).map(Key) };
            return Some(Request {
                kind,
                conn: ConnId(u64_at(header, 8)?),
                uid: (uid != 0).then_some(Uid(uid)),
                route: Route(u32_at(header, 24)?.cast_signed()),
                seq: Seq(u32_at(header, 28)?.cast_signed()),
                key,
                body,
            });
        }
    }
}
