//! Instances that are replaced in good order: nothing but their memory is lost.

use duet_runtime::PluginOptions;

use crate::rig::{CONN, Rig, Sent, requests};

/// One fault would put it out of service.
fn rig(options: PluginOptions) -> Rig {
    Rig::with_single(PluginOptions { faults_max: 1, ..options })
}

fn count(rig: &Rig) -> u32 {
    u32::from_le_bytes(rig.reply(212, b"").try_into().unwrap())
}

#[test]
fn an_instance_is_replaced_after_its_calls() {
    let rig = rig(PluginOptions { recycle_calls: Some(3), ..PluginOptions::default() });
    let counts: Vec<u32> = (0..10).map(|_| count(&rig)).collect();
    assert_eq!(counts, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]);
    eprintln!("recycle: 10 calls by 4 instances, no fault");
}

#[test]
fn no_request_is_lost_or_reordered_when_instances_are_replaced_in_between() {
    let rig = rig(PluginOptions { recycle_calls: Some(1), ..PluginOptions::default() });
    let list: Vec<(u64, i32, i32, &[u8])> = (1..1001).map(|seq| (CONN.0, 212, seq, b"".as_slice())).collect();
    rig.send(requests(&list));
    let sent = rig.seen.wait_for(1000);
    let mut fresh = 0;
    for (sent, at) in sent.iter().zip(1_i32..) {
        assert!(matches!(sent, Sent::Message { seq, .. } if *seq == at), "{sent:?}");
        fresh += usize::from(matches!(sent, Sent::Message { body, .. } if body == &1_u32.to_le_bytes()));
    }
    rig.idle();
    assert!(fresh > 10, "{fresh} instances");
    eprintln!("recycle: 1,000 requests by {fresh} instances, all answered in order");
}

#[test]
fn an_instance_that_has_grown_is_replaced_and_a_new_one_that_is_as_large_is_left_alone() {
    let grows = rig(PluginOptions { recycle_memory: Some(8 << 20), ..PluginOptions::default() });
    assert_eq!([count(&grows), count(&grows)], [1, 2]);
    assert_eq!(grows.reply(212, &vec![1; 8 << 20]), 3_u32.to_le_bytes());
    assert_eq!([count(&grows), count(&grows)], [1, 2]);
    // It has 4 MiB when it is new.
    let always = rig(PluginOptions { recycle_memory: Some(1 << 20), ..PluginOptions::default() });
    assert_eq!([count(&always), count(&always), count(&always)], [1, 2, 3]);
    eprintln!("recycle: after 8 MiB a new instance, and none for the size it has from the start");
}
