use super::*;

const BOUNDS: Bounds = Bounds { conv: 7, now: 100_000, next: 10, expected: 20 };

fn segment(command: u8, number: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    head(command, number, data.len()).write(&mut bytes);
    bytes.extend_from_slice(data);
    bytes
}

fn head(command: u8, number: u32, length: usize) -> Head {
    Head { conv: 7, command, window: 32, timestamp: 99_900, number, expected: 5, length: u32::try_from(length).expect("short") }
}

/// Two segments; the given change is made to the second.
fn after_change(change: impl FnOnce(&mut Head)) -> Result<Vec<u8>, Refusal> {
    let mut bytes = segment(PUSH, 20, b"first");
    let mut changed = head(ACK, 5, 0);
    change(&mut changed);
    changed.write(&mut bytes);
    admit(&mut bytes, &BOUNDS).map(|_| bytes.split_off(29))
}

#[test]
fn a_head_is_read_as_it_was_written() {
    let bytes = segment(ACK, 9, b"");
    assert_eq!(bytes, [7, 0, 0, 0, 82, 0, 32, 0, 0x3c, 0x86, 1, 0, 9, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Head::read(&bytes), Some(head(ACK, 9, 0)));
    assert_eq!(Head::read(&bytes[..23]), None);
}

#[test]
fn a_frame_with_data_is_unframed_and_others_are_ignored() {
    let plain = segment(PUSH, 0, b"body");
    let framed = |kind: u8, size: usize| [&[1, 2, 3, 4, kind, 0, u8::try_from(size).expect("short"), 0][..], &plain].concat();
    assert_eq!(unframed(&mut plain.clone()), Ok(&mut plain.clone()[..]));
    assert_eq!(unframed(&mut framed(0xf1, plain.len() + 2)), Ok(&mut plain.clone()[..]));
    assert_eq!(unframed(&mut framed(0xf2, plain.len() + 2)), Err(Refusal::Ignored));
    assert_eq!(unframed(&mut framed(0xf3, plain.len() + 2)), Err(Refusal::Ignored));
    for size in [0, 1, plain.len() + 3, 255] {
        assert_eq!(unframed(&mut framed(0xf1, size)), Err(Refusal::Malformed), "{size}");
    }
    for length in 0..8 {
        assert!(unframed(&mut framed(0xf1, 2)[..length].to_vec()).is_ok_and(|rest| rest.len() == length) || length >= 6, "{length}");
    }
}

#[test]
fn a_segment_that_claims_more_than_there_is_is_refused() {
    for length in [1, 1000, u32::MAX] {
        assert_eq!(after_change(|head| head.length = length), Err(Refusal::Malformed), "{length}");
    }
    assert_eq!(admit(&mut [0; 23], &BOUNDS), Err(Refusal::Malformed));
    assert_eq!(admit(&mut [], &BOUNDS), Err(Refusal::Malformed));
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    assert_eq!(after_change(|head| head.conv = 8), Err(Refusal::Malformed));
    for command in [0, 80, 85, 255] {
        assert_eq!(after_change(|head| head.command = command), Err(Refusal::Malformed), "{command}");
    }
    // It has received what was not sent yet.
    for expected in [11, 1 << 30, 1 << 31] {
        assert_eq!(after_change(|head| head.expected = expected), Err(Refusal::Malformed), "{expected}");
    }
    for number in [1 << 30, 1 << 31, u32::MAX - (1 << 21)] {
        let push = |head: &mut Head| (head.command, head.number) = (PUSH, number);
        assert_eq!(after_change(push), Err(Refusal::Malformed), "{number}");
    }
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_or_long_ago_only_tells_a_window() {
    let command = |change: &dyn Fn(&mut Head)| after_change(change).expect("possible")[4];
    assert_eq!(command(&|_| {}), ACK);
    for number in [0, 10, 1 << 30, 1 << 31] {
        assert_eq!(command(&|head| head.number = number), TELL_WINDOW, "{number}");
    }
    for timestamp in [BOUNDS.now + 1, BOUNDS.now - 60_001, u32::MAX] {
        assert_eq!(command(&|head| head.timestamp = timestamp), TELL_WINDOW, "{timestamp}");
    }
}

#[test]
fn fragments_become_whole_and_requests_are_counted() {
    let mut bytes = [segment(PUSH, 20, b"a"), segment(PUSH, 21, b""), segment(ASK_WINDOW, 0, b""), segment(ACK, 6, b"")].concat();
    bytes[5] = 255;
    assert_eq!(admit(&mut bytes, &BOUNDS), Ok(3));
    assert_eq!(bytes[5], 0);
}
