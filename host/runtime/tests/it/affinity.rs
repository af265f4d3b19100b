//! Which of several instances gets an event: the one that gets the messages of the same key.

use std::collections::{HashMap, HashSet};

use duet_core::RequestKind::{Bind, Connect, Disconnect};
use duet_core::{Key, Request};
use duet_runtime::{Affinity, Instances, PluginOptions, RuntimeOptions};

use crate::rig::{Rig, event, in_one_read, message};
use crate::told::{Told, serve, tell, told_of, whats};

/// One plugin with an instance for each of four workers, whose threads tell them apart.
fn rig(affinity: Affinity) -> Rig {
    let rig = Rig::with(RuntimeOptions { workers: 4, ..RuntimeOptions::default() });
    let options = PluginOptions { instances: Instances::Workers, affinity, ..PluginOptions::default() };
    serve(&rig, 1, &["connect", "bind", "disconnect"], tell::<1>, options);
    rig
}

#[test]
fn an_event_meets_the_messages_of_its_connection_in_the_same_instance() {
    let rig = rig(Affinity::Connection);
    for conn in 1..65 {
        rig.send(in_one_read(&[
            event(Connect, conn, 0, ""),
            message(conn, 0, 1, 1, b""),
            event(Bind, conn, 9, ""),
            message(conn, 9, 1, 2, b""),
            event(Disconnect, conn, 9, ""),
        ]));
    }
    rig.idle();
    let sent = rig.seen.wait_for(0);
    let mut used = HashSet::new();
    for conn in 1..65 {
        let told = told_of(&sent, 1, conn);
        assert_eq!(whats(&sent, 1, conn), ["connect 0 ", "message 0 1", "bind 9 ", "message 9 2", "disconnect 9 "]);
        let threads: HashSet<_> = told.into_iter().map(|told| told.thread).collect();
        assert_eq!(threads.len(), 1, "connection {conn}");
        used.extend(threads);
    }
    assert_eq!(used.len(), 4);
    eprintln!("affinity connection: 64 connections, each with all it did in one of {} instances", used.len());
}

#[test]
fn with_affinity_uid_a_bind_is_the_first_that_the_instance_of_the_uid_hears() {
    let rig = rig(Affinity::Uid);
    let uid_of = |conn: u64| 1000 + (conn / 2).cast_signed();
    for conn in 2..66 {
        let uid = uid_of(conn);
        rig.send(in_one_read(&[
            event(Connect, conn, 0, ""),
            message(conn, 0, 1, 1, b""),
            event(Bind, conn, uid, ""),
            message(conn, uid, 1, 2, b""),
            event(Disconnect, conn, uid, ""),
        ]));
    }
    rig.idle();
    let sent = rig.seen.wait_for(0);
    let (mut moved, mut of_uid) = (0, HashMap::new());
    for conn in 2..66 {
        let uid = uid_of(conn);
        let (unbound, bound): (Vec<_>, Vec<_>) = told_of(&sent, 1, conn).into_iter().partition(|told| told.what.contains(" 0 "));
        let of = |told: &[Told]| told.iter().map(|told| told.what.clone()).collect::<Vec<_>>();
        assert_eq!(of(&unbound), ["connect 0 ", "message 0 1"]);
        assert_eq!(of(&bound), [format!("bind {uid} "), format!("message {uid} 2"), format!("disconnect {uid} ")]);
        assert_eq!(unbound[0].thread, unbound[1].thread);
        let home = of_uid.entry(uid).or_insert_with(|| bound[0].thread.clone()).clone();
        assert!(bound.iter().all(|told| told.thread == home), "connection {conn}");
        moved += usize::from(unbound[0].thread != home);
    }
    assert!((1..64).contains(&moved));
    eprintln!("affinity uid: 64 connections of 32 uids, {moved} went to another instance with their bind");
}

#[test]
fn requests_of_one_key_meet_in_one_instance_whoever_sends_them_and_whatever_the_affinity() {
    for affinity in [Affinity::Connection, Affinity::Uid, Affinity::Any] {
        let rig = rig(affinity);
        // Each read is about eight keys, and each key is in four of the reads.
        for conn in 1..65 {
            let of = |key| Request { key: Some(Key(key)), ..message(conn, 0, 1, key as i32, b"") };
            rig.send(in_one_read(&(1..9).map(|key| of(conn % 16 * 8 + key)).collect::<Vec<_>>()));
        }
        rig.idle();
        let sent = rig.seen.wait_for(0);
        let mut of_key: HashMap<String, HashSet<_>> = HashMap::new();
        for told in (1..65).flat_map(|conn| told_of(&sent, 1, conn)) {
            of_key.entry(told.what).or_default().insert(told.thread);
        }
        assert_eq!(of_key.len(), 128);
        assert!(of_key.values().all(|threads| threads.len() == 1), "{affinity:?}");
        assert!(of_key.values().flatten().collect::<HashSet<_>>().len() > 1, "{affinity:?}");
    }
}
