//! The bytes a run sends: one buffer of equal frames, shared by all connections, in which only the seqs are rewritten.

use duet_codec::{ByteOrder, Carrier, EncodeError};

use super::options::LoadOptions;
use super::ws;

/// Bytes handed to the system in one write. More gains nothing and no longer fits the cache.
const BATCH_BYTES: usize = 64 * 1024;

/// A batch of equal frames.
pub(super) struct Frames {
    batch: Vec<u8>,
    frame_bytes: usize,
    count_max: usize,
    seq: Option<SeqField>,
}

/// Where the seq is inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SeqField {
    at: usize,
    bytes: usize,
    max: u32,
    little_endian: bool,
}

impl Frames {
    pub(super) fn new(options: &LoadOptions) -> Result<Self, EncodeError> {
        let transport = options.endpoint.transport();
        let body = options.body.to_bytes();
        let mut packet = Vec::new();
        options.format.encode(transport.carrier(), options.route, 0, &body, &mut packet)?;
        let mut frame = Vec::new();
        if transport.carrier() == Carrier::Message {
            ws::put_header(ws::BINARY, packet.len(), &mut frame);
        }
        let seq = SeqField::of(options, frame.len());
        frame.extend_from_slice(&packet);
        let count_max = (BATCH_BYTES / frame.len()).clamp(1, options.window);
        Ok(Self { batch: frame.repeat(count_max), frame_bytes: frame.len(), count_max, seq })
    }

    /// The size of one frame, for ws with its header.
    pub(super) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// The most frames that one [`fill`](Self::fill) gives.
    pub(super) fn count_max(&self) -> usize {
        self.count_max
    }

    /// The largest seq, if the format has one.
    pub(super) fn seq_max(&self) -> Option<u32> {
        self.seq.map(|field| field.max)
    }

    /// `count` frames with the seqs of the requests from number `first` on.
    pub(super) fn fill(&mut self, first: u64, count: usize) -> &[u8] {
        let count = count.min(self.count_max);
        if let Some(field) = self.seq {
            let max = field.max;
            let mut seq = seq_of(first, max);
            for frame in self.batch.chunks_exact_mut(self.frame_bytes).take(count) {
                field.write(frame, seq);
                seq = if seq == max { 1 } else { seq + 1 };
            }
        }
        self.batch.get(..count * self.frame_bytes).unwrap_or_default()
    }
}

/// The seq of request number `index` of a connection, counted from 0: 1, 2, ... `max`, 1, ...
pub(super) fn seq_of(index: u64, max: u32) -> u32 {
    (index % u64::from(max)) as u32 + 1
}

impl SeqField {
    /// The field after a ws header of `ws_bytes`; it is the last one before the body.
    fn of(options: &LoadOptions, ws_bytes: usize) -> Option<Self> {
        let format = &options.format;
        let bytes = format.seq_bytes();
        let at = ws_bytes + format.packet_bytes(options.endpoint.transport().carrier(), 0) - bytes;
        let max = u32::try_from(format.seq_max()).ok().filter(|max| *max > 0)?;
        Some(Self { at, bytes, max, little_endian: format.byte_order() == ByteOrder::Little })
    }

    fn write(self, frame: &mut [u8], seq: u32) {
        let Some(target) = frame.get_mut(self.at..self.at + self.bytes) else { return };
        let big = seq.to_be_bytes();
        let little = seq.to_le_bytes();
        let source = if self.little_endian { little.get(..self.bytes) } else { big.get(4 - self.bytes..) };
        target.copy_from_slice(source.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use duet_codec::{Carrier, Format, Packet, Profile};

    use super::*;
    use crate::options::LoadBody;

    fn options(endpoint: &str, order: ByteOrder, seq_bytes: u8) -> LoadOptions {
        let format = Format::new(Profile::Due2, order, 2, seq_bytes, 4_096).unwrap();
        LoadOptions { body: LoadBody::Letters(8), window: 300, ..LoadOptions::new(endpoint.parse().unwrap(), format) }
    }

    #[test]
    fn the_seqs_of_a_batch_are_those_of_its_requests() {
        for order in [ByteOrder::Big, ByteOrder::Little] {
            for (seq_bytes, first, expected) in [(1, 125, [126, 127, 1]), (2, 32_766, [32_767, 1, 2]), (4, 511, [512, 513, 514])] {
                let options = options("tcp://a:1", order, seq_bytes);
                let mut frames = Frames::new(&options).unwrap();
                let bytes = frames.fill(first, 3).to_vec();
                let seqs: Vec<i32> = bytes
                    .chunks(frames.frame_bytes())
                    .map(|frame| match options.format.decode(Carrier::Stream, frame).unwrap() {
                        Packet::Data { extcode: 0, route: 1, seq, body: b"{\"message\":\"abcdefgh\"}" } => seq,
                        other => panic!("{other:?}"),
                    })
                    .collect();
                assert_eq!(seqs, expected, "{order:?} {seq_bytes}");
            }
        }
    }

    #[test]
    fn a_format_without_a_seq_has_frames_without_one() {
        assert_eq!(Frames::new(&options("tcp://a:1", ByteOrder::Big, 0)).unwrap().seq_max(), None);
    }

    #[test]
    fn the_frame_of_the_load_test_of_due_has_1051_bytes() {
        let format = Format::new(Profile::Due2, ByteOrder::Big, 4, 4, 4_096).unwrap();
        let mut frames = Frames::new(&LoadOptions::new("tcp://a:1".parse().unwrap(), format)).unwrap();
        assert_eq!(frames.frame_bytes(), 1_051);
        assert_eq!(frames.fill(0, 1).get(..13).unwrap(), [0, 0, 4, 0x17, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    }
}
