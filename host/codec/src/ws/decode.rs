//! Taking messages and control frames out of the bytes of a connection.

use std::ops::Range;

use super::close::read_close;
use super::frame::{Opcode, Role, WsError, WsEvent};
use super::head::{HEAD_BYTES_MAX, Head, Rules};
use super::mask::Mask;

/// The reading half of a connection: what is known of a frame or message that has not fully arrived.
///
/// It allocates only for a frame that is split over reads and for a fragmented message, and frees that with the next call.
#[derive(Debug)]
pub struct WsDecoder {
    role: Role,
    accept_text: bool,
    /// A close frame or an error was seen: what follows is swallowed.
    closed: bool,
    head_len: u8,
    /// The first `head_len` bytes of a header.
    head: [u8; HEAD_BYTES_MAX],
    message_bytes_max: usize,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The kind of the message that is collected in `message`.
    collecting: Option<Kind>,
    message: Vec<u8>,
    /// The first bytes of `message`, this many, are whole UTF-8 characters.
    checked_bytes: usize,
    /// Payload of a control frame that is split over reads.
    control: Vec<u8>,
}

/// A frame whose header was read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    mask: Mask,
    /// Payload that is still to come.
    bytes_left: usize,
    /// Some of the payload came in an earlier read.
    begun: bool,
}

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Binary,
    Text,
    Close,
    Ping,
    Pong,
}

/// An event before it borrows anything.
struct Found {
    kind: Kind,
    place: Place,
    /// How many bytes of the input are used up.
    consumed: usize,
}

/// Where the payload of an event is.
enum Place {
    Input(Range<usize>),
    Message,
    Control,
}

impl WsDecoder {
    /// A decoder at the start of a connection. A message may have `message_bytes_max` bytes, its fragments taken together. Text
    /// messages are refused unless `accept_text`.
    pub fn new(role: Role, message_bytes_max: usize, accept_text: bool) -> Self {
        Self {
            role,
            accept_text,
            closed: false,
            head_len: 0,
            head: [0; HEAD_BYTES_MAX],
            message_bytes_max,
            frame: None,
            collecting: None,
            message: Vec::new(),
            checked_bytes: 0,
            control: Vec::new(),
        }
    }

    /// Takes the next event out of `input`: what was read from the connection and not consumed yet. It may hold many frames or a
    /// part of one.
    ///
    /// Returns how many bytes were consumed, and the event, or None when all were consumed; a partial frame is kept inside. Payloads
    /// are unmasked in place, and a message that lies in `input` as one frame is not copied. A claimed length allocates nothing: a
    /// partial message grows with the bytes that arrive, each copied once. What follows a close frame or an error is swallowed.
    ///
    /// # Errors
    /// A break of the protocol, as early as the bytes show it. The connection is to be closed with the code of the error.
    #[inline]
    pub fn next<'a>(&'a mut self, input: &'a mut [u8]) -> Result<(usize, Option<WsEvent<'a>>), WsError> {
        self.release();
        if self.closed {
            return Ok((input.len(), None));
        }
        match self.advance(input) {
            Ok(Some(found)) => {
                let consumed = found.consumed;
                self.event(found, input).map(|event| (consumed, Some(event)))
            }
            Ok(None) => Ok((input.len(), None)),
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    /// Whether a frame or a fragmented message has begun and is not at its end: the peer owes bytes.
    #[inline]
    pub fn is_partial(&self) -> bool {
        self.head_len > 0 || self.frame.is_some() || self.collecting.is_some()
    }

    /// Frees the buffer that the last event borrowed, if any. [`WsDecoder::next`] does so as well: this is for a connection that
    /// falls idle right after an event.
    #[inline]
    pub fn release(&mut self) {
        if self.collecting.is_none() && self.message.capacity() > 0 {
            self.message = Vec::new();
            self.checked_bytes = 0;
        }
        if self.frame.is_none() && self.control.capacity() > 0 {
            self.control = Vec::new();
        }
    }

    /// Goes through the frames of `input` up to the first that makes an event.
    #[inline]
    fn advance(&mut self, input: &mut [u8]) -> Result<Option<Found>, WsError> {
        let mut consumed = 0;
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let Some((head, used)) = self.read_head(input.get(consumed..).unwrap_or_default())? else {
                        return Ok(None);
                    };
                    consumed += used;
                    Frame::new(head)
                }
            };
            let end = consumed + frame.bytes_left.min(input.len() - consumed);
            let payload = input.get_mut(consumed..end).unwrap_or_default();
            frame.mask.apply(payload);
            if let Some(kind) = frame.whole_event(payload.len()) {
                return Ok(Some(Found { kind, place: Place::Input(consumed..end), consumed: end }));
            }
            consumed = end;
            if let Some((kind, place)) = self.collect(frame, payload)? {
                return Ok(Some(Found { kind, place, consumed }));
            }
            if self.frame.is_some() {
                return Ok(None);
            }
        }
    }

    /// The header at the start of `input`, completed with the bytes kept from earlier reads, and how much of `input` it took. If it
    /// is not all there, its bytes are kept.
    #[inline]
    fn read_head(&mut self, input: &[u8]) -> Result<Option<(Head, usize)>, WsError> {
        let rules = Rules {
            role: self.role,
            accept_text: self.accept_text,
            in_message: self.collecting.is_some(),
            bytes_left: self.message_bytes_max - self.message.len(),
        };
        if self.head_len == 0
            && let Some(head) = rules.read(input)?
        {
            return Ok(Some((head, head.head_bytes)));
        }
        self.complete_head(&rules, input)
    }

    #[cold]
    fn complete_head(&mut self, rules: &Rules, input: &[u8]) -> Result<Option<(Head, usize)>, WsError> {
        let kept = usize::from(self.head_len);
        let room = self.head.get_mut(kept..).unwrap_or_default();
        let added = room.len().min(input.len());
        for (to, from) in room.iter_mut().zip(input) {
            *to = *from;
        }
        let head = rules.read(self.head.get(..kept + added).unwrap_or_default())?;
        self.head_len = if head.is_some() { 0 } else { (kept + added) as u8 };
        Ok(head.map(|head| (head, head.head_bytes - kept)))
    }

    /// Keeps `payload`, which is a part of a frame or of a fragmented message. Gives the event if that was its last part; keeps the
    /// frame if more of it is to come.
    fn collect(&mut self, mut frame: Frame, payload: &[u8]) -> Result<Option<(Kind, Place)>, WsError> {
        frame.bytes_left -= payload.len();
        frame.mask = frame.mask.after(payload.len());
        frame.begun = true;
        let at_end = frame.bytes_left == 0;
        if !at_end {
            self.frame = Some(frame);
        }
        match Kind::of(frame.opcode) {
            Some(kind) if frame.opcode.is_control() => {
                self.control.extend_from_slice(payload);
                return Ok(at_end.then_some((kind, Place::Control)));
            }
            Some(kind) if self.collecting.is_none() => self.collecting = Some(kind),
            _ => {}
        }
        self.message.extend_from_slice(payload);
        if at_end && frame.fin {
            return Ok(self.collecting.take().map(|kind| (kind, Place::Message)));
        }
        self.check_text()?;
        Ok(None)
    }

    /// Fails as soon as a text can no longer become UTF-8; checks each byte once, except those of an incomplete character.
    fn check_text(&mut self) -> Result<(), WsError> {
        if self.collecting != Some(Kind::Text) {
            return Ok(());
        }
        match str::from_utf8(self.message.get(self.checked_bytes..).unwrap_or_default()) {
            Ok(_) => self.checked_bytes = self.message.len(),
            Err(error) if error.error_len().is_none() => self.checked_bytes += error.valid_up_to(),
            Err(_) => return Err(WsError::NOT_UTF8),
        }
        Ok(())
    }

    /// Lends the payload of what was found.
    #[inline]
    fn event<'a>(&'a mut self, found: Found, input: &'a [u8]) -> Result<WsEvent<'a>, WsError> {
        if found.kind == Kind::Close {
            self.close();
        }
        let payload = match found.place {
            Place::Input(range) => input.get(range).unwrap_or_default(),
            Place::Message => &self.message,
            Place::Control => &self.control,
        };
        let event = match found.kind {
            Kind::Binary => Ok(WsEvent::Binary(payload)),
            Kind::Text => str::from_utf8(payload).map(WsEvent::Text).map_err(|_| WsError::NOT_UTF8),
            Kind::Ping => Ok(WsEvent::Ping(payload)),
            Kind::Pong => Ok(WsEvent::Pong(payload)),
            Kind::Close => read_close(payload).map(|(code, reason)| WsEvent::Close { code, reason }),
        };
        if event.is_err() {
            self.closed = true;
        }
        event
    }

    /// Forgets what has begun. The payload of a control frame stays: the event of a close frame may borrow it.
    fn close(&mut self) {
        self.closed = true;
        self.head_len = 0;
        self.frame = None;
        self.collecting = None;
        self.message = Vec::new();
    }
}

impl Frame {
    #[inline]
    fn new(head: Head) -> Self {
        Self { opcode: head.opcode, fin: head.fin, mask: head.mask, bytes_left: head.payload_bytes, begun: false }
    }

    /// The event this frame is by itself, if all of its payload has just arrived.
    #[inline]
    fn whole_event(&self, payload_bytes: usize) -> Option<Kind> {
        if self.fin && !self.begun && payload_bytes == self.bytes_left { Kind::of(self.opcode) } else { None }
    }
}

impl Kind {
    /// None for a continuation, whose kind is that of its message.
    #[inline]
    fn of(opcode: Opcode) -> Option<Self> {
        match opcode {
            Opcode::Continuation => None,
            Opcode::Text => Some(Self::Text),
            Opcode::Binary => Some(Self::Binary),
            Opcode::Close => Some(Self::Close),
            Opcode::Ping => Some(Self::Ping),
            Opcode::Pong => Some(Self::Pong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// A masked frame (with a key of zeros) that claims 1 MiB.
    const CLAIM: [u8; 14] = [0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0];

    fn buffers(decoder: &WsDecoder) -> usize {
        decoder.message.capacity() + decoder.control.capacity()
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut decoder = WsDecoder::new(Role::Server, MIB, false);
        assert_eq!(decoder.next(&mut CLAIM.clone()), Ok((14, None)));
        assert_eq!(buffers(&decoder), 0);
        let mut arrived = 0;
        for _ in 0..100 {
            assert_eq!(decoder.next(&mut [0; 50]), Ok((50, None)));
            arrived += 50;
            assert!(buffers(&decoder) <= 2 * arrived);
        }
    }

    #[test]
    fn the_buffer_of_an_event_is_freed_by_the_next_call_or_by_release() {
        let mut decoder = WsDecoder::new(Role::Server, MIB, false);
        for split in [&[0x82, 0x82, 0, 0, 0, 0, 7][..], &[0x89, 0x82, 0, 0, 0, 0, 7]] {
            decoder.next(&mut split.to_vec()).unwrap();
            assert!(matches!(decoder.next(&mut [8]), Ok((1, Some(WsEvent::Binary([7, 8]) | WsEvent::Ping([7, 8]))))));
            assert!(buffers(&decoder) > 0 && !decoder.is_partial());
            assert_eq!(decoder.next(&mut []), Ok((0, None)));
            assert_eq!(buffers(&decoder), 0);

            decoder.next(&mut split.to_vec()).unwrap();
            decoder.next(&mut [8]).unwrap();
            decoder.release();
            assert_eq!(buffers(&decoder), 0);
        }
    }

    #[test]
    fn whole_frames_use_no_buffer() {
        let mut decoder = WsDecoder::new(Role::Server, MIB, false);
        let mut input = [0x82, 0x81, 0, 0, 0, 0, 1, 0x89, 0x81, 0, 0, 0, 0, 2];
        assert_eq!(decoder.next(&mut input), Ok((7, Some(WsEvent::Binary(&[1])))));
        assert_eq!(decoder.next(&mut input[7..]), Ok((7, Some(WsEvent::Ping(&[2])))));
        assert_eq!(buffers(&decoder), 0);
    }

    #[test]
    fn a_control_frame_does_not_disturb_the_message_around_it() {
        let mut decoder = WsDecoder::new(Role::Server, MIB, false);
        decoder.next(&mut [0x02, 0x81, 0, 0, 0, 0, 1]).unwrap();
        decoder.next(&mut [0x89, 0x82, 0, 0, 0, 0, 7]).unwrap();
        assert_eq!(decoder.next(&mut [8]), Ok((1, Some(WsEvent::Ping(&[7, 8])))));
        assert_eq!(decoder.next(&mut [0x80, 0x81, 0, 0, 0, 0, 2]), Ok((7, Some(WsEvent::Binary(&[1, 2])))));
    }

    #[test]
    fn an_error_frees_everything_and_what_follows_is_swallowed() {
        let mut decoder = WsDecoder::new(Role::Server, MIB, false);
        decoder.next(&mut [0x02, 0x81, 0, 0, 0, 0, 1]).unwrap();
        assert_eq!(decoder.next(&mut [0x02, 0x80]).map_err(|error| error.code), Err(1002));
        assert_eq!(buffers(&decoder), 0);
        assert!(!decoder.is_partial());
        assert_eq!(decoder.next(&mut [0x89, 0x80, 0, 0, 0, 0]), Ok((6, None)));
    }
}
