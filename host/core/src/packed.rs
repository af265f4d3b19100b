//! The packed layout between host and plugins (`wit/packed.md`): requests are written, effects are read.

use crate::{ConnId, ErrorCode, Route, Seq, Uid};

/// Version of the layout that this host speaks.
pub const VERSION: u32 = 1;
const REQUEST_HEADER: usize = 32;
const EFFECT_HEADER: usize = 24;
const KIND_MESSAGE: u8 = 0;

/// A message of a client on its way to a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Connection it came from.
    pub conn: ConnId,
    /// Account of the connection, once bound.
    pub uid: Option<Uid>,
    /// As the client sent it.
    pub route: Route,
    /// As the client sent it.
    pub seq: Seq,
    /// As the client sent it.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Bytes of its record.
    pub const fn record_bytes(&self) -> usize {
        REQUEST_HEADER + self.body.len()
    }
}

/// Request records, one after the other: what a handler gets, and what goes from thread to thread and from node to node.
#[derive(Debug, Default)]
pub struct Requests {
    bytes: Vec<u8>,
    count: usize,
}

impl Requests {
    /// An empty list with room for `bytes` bytes of records.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Appends a request.
    #[inline]
    pub fn push(&mut self, request: &Request<'_>) {
        let size = request.record_bytes();
        self.bytes.reserve(size);
        let mut header = [0u8; REQUEST_HEADER];
        let (head, ids) = header.split_at_mut(8);
        head.copy_from_slice(&(size as u64 | (REQUEST_HEADER as u64) << 32 | u64::from(KIND_MESSAGE) << 48).to_le_bytes());
        for (to, from) in ids.chunks_exact_mut(8).zip([
            request.conn.0.to_le_bytes(),
            request.uid.map_or(0, |u| u.0).to_le_bytes(),
            (u64::from(request.route.0.cast_unsigned()) | u64::from(request.seq.0.cast_unsigned()) << 32).to_le_bytes(),
        ]) {
            to.copy_from_slice(&from);
        }
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(request.body);
        self.count += 1;
    }

    /// Appends the records of another list.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
    }

    /// Removes all records, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// Number of records.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
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

/// Walks over request records that the host wrote itself.
#[derive(Clone, Debug)]
pub struct RequestIter<'a> {
    rest: &'a [u8],
}

impl<'a> RequestIter<'a> {
    /// Walks over records that begin at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes of the records that were not visited yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for RequestIter<'a> {
    type Item = Request<'a>;

    #[inline]
    fn next(&mut self) -> Option<Request<'a>> {
        let header: &[u8; REQUEST_HEADER] = self.rest.first_chunk()?;
        let size = u32_at(header, 0)? as usize;
        let (record, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        let uid = i64::from_le_bytes(*header.get(16..)?.first_chunk()?);
        Some(Request {
            conn: ConnId(u64::from_le_bytes(*header.get(8..)?.first_chunk()?)),
            uid: (uid != 0).then_some(Uid(uid)),
            route: Route(u32_at(header, 24)?.cast_signed()),
            seq: Seq(u32_at(header, 28)?.cast_signed()),
            body: record.get(REQUEST_HEADER..)?,
        })
    }
}

/// An effect as a plugin wrote it: not yet tied to the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectRecord<'a> {
    /// Index of the request it belongs to.
    pub request: usize,
    /// What is to happen.
    pub kind: EffectKind,
    /// Body of the message, or text of the error.
    pub body: &'a [u8],
}

/// The kinds of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// Answers the request.
    Reply,
    /// Answers the request with an error packet.
    Error(ErrorCode),
    /// Sends a message that nobody asked for.
    Push(ConnId, Route),
}

/// Why a list of effects was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EffectError {
    /// A record is longer than the list, or shorter than its header.
    #[error("effect record at byte {at} of the returned list does not fit: size {size}, header {header}")]
    Misfit {
        /// Where the record begins.
        at: usize,
        /// The size it claims.
        size: usize,
        /// The header it claims.
        header: usize,
    },
    /// The host does not know this kind.
    #[error("effect record at byte {at} has the unknown kind {kind}")]
    UnknownKind {
        /// Where the record begins.
        at: usize,
        /// The kind.
        kind: u8,
    },
    /// An error record carries a code that is not in 1 to 65,535.
    #[error("error record at byte {at} has code {code}; allowed are 1 to 65,535")]
    BadCode {
        /// Where the record begins.
        at: usize,
        /// The code.
        code: i32,
    },
}

/// Walks over effect records that a plugin wrote, and trusts none of them. Ends after the first error.
#[derive(Debug)]
pub struct EffectIter<'a> {
    list: &'a [u8],
    at: usize,
}

impl<'a> EffectIter<'a> {
    /// Walks over the list a plugin returned.
    pub const fn new(list: &'a [u8]) -> Self {
        Self { list, at: 0 }
    }

    fn read(&self) -> Result<(EffectRecord<'a>, usize), EffectError> {
        let at = self.at;
        let rest = self.list.get(at..).unwrap_or_default();
        let size = u32_at(rest, 0).unwrap_or(0) as usize;
        let header = rest.get(4..).and_then(|r| r.first_chunk()).map_or(0, |b| usize::from(u16::from_le_bytes(*b)));
        let misfit = EffectError::Misfit { at, size, header };
        if header < EFFECT_HEADER || size < header {
            return Err(misfit);
        }
        let record = rest.get(..size).ok_or(misfit)?;
        let (kind, request, route) = match (record.get(6), u32_at(record, 8), u32_at(record, 12)) {
            (Some(kind), Some(request), Some(route)) => (*kind, request as usize, route.cast_signed()),
            _ => return Err(misfit),
        };
        let kind = match kind {
            0 => EffectKind::Reply,
            1 => match u16::try_from(route) {
                Ok(code @ 1..) => EffectKind::Error(ErrorCode(code)),
                _ => return Err(EffectError::BadCode { at, code: route }),
            },
            2 => {
                let target = record.get(16..).and_then(|r| r.first_chunk()).ok_or(misfit)?;
                EffectKind::Push(ConnId(u64::from_le_bytes(*target)), Route(route))
            }
            kind => return Err(EffectError::UnknownKind { at, kind }),
        };
        let body = record.get(header..).ok_or(misfit)?;
        Ok((EffectRecord { request, kind, body }, size))
    }
}

impl<'a> Iterator for EffectIter<'a> {
    type Item = Result<EffectRecord<'a>, EffectError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.list.len() {
            return None;
        }
        match self.read() {
            Ok((record, size)) => {
                self.at += size;
                Some(Ok(record))
            }
            Err(error) => {
                self.at = self.list.len();
                Some(Err(error))
            }
        }
    }
}

/// Appends an effect record: for effects that the host collects itself, from imports and from plain handlers.
pub fn put_effect(list: &mut Vec<u8>, effect: &EffectRecord<'_>) {
    let (kind, route, target) = match effect.kind {
        EffectKind::Reply => (0, 0, 0),
        EffectKind::Error(code) => (1, i32::from(code.0), 0),
        EffectKind::Push(conn, route) => (2, route.0, conn.0),
    };
    list.extend_from_slice(&((EFFECT_HEADER + effect.body.len()) as u32).to_le_bytes());
    list.extend_from_slice(&(EFFECT_HEADER as u16).to_le_bytes());
    list.extend_from_slice(&[kind, 0]);
    list.extend_from_slice(&(effect.request as u32).to_le_bytes());
    list.extend_from_slice(&route.to_le_bytes());
    list.extend_from_slice(&target.to_le_bytes());
    list.extend_from_slice(effect.body);
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

#[cfg(test)]
mod tests;
