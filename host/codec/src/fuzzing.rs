//! Bodies of the fuzz targets. The tests also run them over the stored corpus.
//!
//! Each takes any bytes and fails by an assertion. The first byte or two choose the settings.

use crate::ws::Role;
use crate::{BODY_BYTES_LIMIT, ByteOrder, Carrier, Cut, EXTCODE_PLAIN, Format, Packet, Profile, WsDecoder, WsError, WsEvent};

/// A byte stream: what is cut out of it can be read, and what was read is written as the same bytes.
pub fn packet_stream(data: &[u8]) {
    let Some((format, mut stream)) = choose_format(data) else {
        return;
    };
    loop {
        check_prefixes(&format, stream);
        match format.cut(stream) {
            Ok(Cut::Packet(bytes)) => {
                assert!(bytes >= 4 && bytes <= format.packet_bytes_max());
                let (packet, rest) = stream.split_at(bytes);
                check_packet(&format, Carrier::Stream, packet);
                stream = rest;
            }
            Ok(Cut::Need(bytes)) => {
                assert!(bytes > stream.len() && bytes <= format.packet_bytes_max());
                return;
            }
            Err(_) => return,
        }
    }
}

/// One message: if it can be read, it is written as the same bytes.
pub fn packet_message(data: &[u8]) {
    if let Some((format, packet)) = choose_format(data) {
        check_packet(&format, Carrier::Message, packet);
    }
}

/// A WebSocket connection: its events do not depend on how the bytes are split over reads, and no buffer is left while nothing is
/// unfinished.
pub fn ws_decoder(data: &[u8]) {
    let Some((&[choice, sizes], input)) = data.split_first_chunk() else {
        return;
    };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let limit = if choice & 4 == 0 { 300 } else { 1 << 20 };
    let decoder = || WsDecoder::new(role, limit, choice & 2 == 0);

    let whole = events(&mut decoder(), input, &mut || input.len().max(1));
    let mut seed = usize::from(sizes);
    let split = events(&mut decoder(), input, &mut || {
        seed = (seed * 181 + 7) % 256;
        seed % 16 + 1
    });
    assert_eq!(whole, split);
    assert_eq!(whole, events(&mut decoder(), input, &mut || 1));
}

fn choose_format(data: &[u8]) -> Option<(Format, &[u8])> {
    let (&choice, rest) = data.split_first()?;
    let profile = if choice & 1 == 0 { Profile::Due2 } else { Profile::Seed };
    let byte_order = if choice & 2 == 0 { ByteOrder::Big } else { ByteOrder::Little };
    let route_bytes = [1, 2, 4, 2].get(usize::from(choice >> 2 & 3))?;
    let seq_bytes = [0, 1, 2, 4].get(usize::from(choice >> 4 & 3))?;
    let body_bytes_max = [1, 64, 65_536, BODY_BYTES_LIMIT].get(usize::from(choice >> 6))?;
    Some((Format::new(profile, byte_order, *route_bytes, *seq_bytes, *body_bytes_max).ok()?, rest))
}

/// A shorter input gives no other answer, only a later one.
fn check_prefixes(format: &Format, stream: &[u8]) {
    let whole = format.cut(stream);
    for length in 0..stream.len().min(6) {
        match format.cut(stream.get(..length).unwrap_or_default()) {
            Ok(Cut::Need(bytes)) => assert!(bytes > length),
            answer => assert_eq!(answer, whole),
        }
    }
}

fn check_packet(format: &Format, carrier: Carrier, packet: &[u8]) {
    let Ok(read) = format.decode(carrier, packet) else {
        return;
    };
    let mut written = Vec::new();
    match read {
        Packet::Empty => return,
        Packet::Heartbeat { time } => {
            format.encode_heartbeat(carrier, time, &mut written);
            assert_eq!(format.decode(carrier, &written), Ok(read));
        }
        Packet::Data { extcode: EXTCODE_PLAIN, route, seq, body } => {
            assert_eq!(format.encode(carrier, route, seq, body, &mut written), Ok(()));
            assert_eq!(written, packet);
            assert_eq!(written.len(), format.packet_bytes(carrier, body.len()));
        }
        Packet::Data { route, seq, body, .. } => {
            let Some((code, message)) = format.decode_error(body) else {
                return;
            };
            assert_eq!(format.encode_error(carrier, route, seq, code, message, &mut written), Ok(()));
            assert!(matches!(format.decode(carrier, &written), Ok(Packet::Data { body: again, .. }) if again == body));
        }
    }
    assert!(written.len() <= format.packet_bytes_max());
}

/// All events of `input`, read in steps of `step` bytes, and the error at its end.
fn events(decoder: &mut WsDecoder, input: &[u8], step: &mut dyn FnMut() -> usize) -> (Vec<String>, Option<WsError>) {
    let mut found = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(step().clamp(1, rest.len()));
        rest = behind;
        let mut part = part.to_vec();
        let mut unread = part.as_mut_slice();
        loop {
            match decoder.next(unread) {
                Ok((consumed, Some(event))) => {
                    assert!(!matches!(event, WsEvent::Close { code: Some(..1000 | 5000..), .. }));
                    found.push(format!("{event:?}"));
                    unread = unread.get_mut(consumed..).unwrap_or_default();
                }
                Ok((consumed, None)) => {
                    assert_eq!(consumed, unread.len());
                    break;
                }
                Err(error) => {
                    assert_eq!(decoder.next(&mut [1, 2, 3]), Ok((3, None)));
                    assert!(!decoder.is_partial());
                    return (found, Some(error));
                }
            }
        }
    }
    (found, None)
}
