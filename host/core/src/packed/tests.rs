use super::*;

fn golden(name: &str) -> Vec<u8> {
    let text = include_str!("../../../../wit/packed-v1.golden");
    let line = text.lines().find_map(|l| l.strip_prefix(name)).expect("golden line");
    let hex: String = line.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}

fn example() -> Request<'static> {
    Request { conn: ConnId(5), uid: Some(Uid(9)), route: Route(7), seq: Seq(2), body: b"hi" }
}

#[test]
fn requests_are_written_as_the_contract_says() {
    let mut requests = Requests::default();
    requests.push(&example());
    assert_eq!(requests.bytes(), golden("request"));
}

#[test]
fn requests_come_back_in_order_with_signed_numbers() {
    let negative = Request { uid: None, route: Route(-7), seq: Seq(i32::MIN), body: b"", ..example() };
    let mut requests = Requests::default();
    requests.push(&example());
    requests.push(&negative);
    assert_eq!(requests.iter().collect::<Vec<_>>(), [example(), negative]);
    assert_eq!(requests.len(), 2);
}

#[test]
fn effects_are_read_as_the_contract_says() {
    let list = [golden("reply"), golden("push")].concat();
    let effects: Vec<_> = EffectIter::new(&list).map(|e| e.expect("valid")).collect();
    assert_eq!(
        effects,
        [
            EffectRecord { request: 0, kind: EffectKind::Reply, body: b"yo" },
            EffectRecord { request: 0, kind: EffectKind::Push(ConnId(6), Route(8)), body: b"!" },
        ]
    );
    let mut again = Vec::new();
    effects.iter().for_each(|e| put_effect(&mut again, e));
    assert_eq!(again, list);
}

#[test]
fn longer_headers_of_later_versions_are_skipped() {
    let mut record = golden("reply");
    record.splice(24..24, [0xff; 8]);
    record[0] += 8;
    record[4] += 8;
    let effect = EffectIter::new(&record).next().expect("one").expect("valid");
    assert_eq!(effect.body, b"yo");
}

#[test]
fn every_truncation_and_every_wrong_field_is_refused() {
    let list = golden("push");
    for end in 1..list.len() {
        assert!(EffectIter::new(&list[..end]).any(|e| e.is_err()), "cut at {end}");
    }
    let with = |at: usize, byte: u8| {
        let mut bad = list.clone();
        bad[at] = byte;
        EffectIter::new(&bad).find_map(Result::err)
    };
    assert!(matches!(with(0, 0xff), Some(EffectError::Misfit { .. })));
    assert!(matches!(with(0, 0), Some(EffectError::Misfit { .. })), "a record of size 0 must not loop");
    assert!(matches!(with(4, 23), Some(EffectError::Misfit { .. })));
    assert!(matches!(with(5, 1), Some(EffectError::Misfit { .. })));
    assert_eq!(with(6, 77), Some(EffectError::UnknownKind { at: 0, kind: 77 }));
    assert_eq!(
        EffectIter::new(&{
            let mut bad = golden("reply");
            bad[6] = 1;
            bad
        })
        .find_map(Result::err),
        Some(EffectError::BadCode { at: 0, code: 0 })
    );
}
