//! State that the SDK saves and restores, in a component.

use std::path::PathBuf;

use duet_runtime::StateMoved;

use super::options;
use crate::rig::Rig;

/// The plugin of the tests, each time as another file: behind a component there may be a section that means nothing.
fn keeper(rig: &Rig, number: u8) -> PathBuf {
    let mut bytes = std::fs::read(duet_testkit::guest("duet-keeper")).unwrap();
    bytes.extend([0, 3, 1, b'n', number]);
    rig.file("keeper.wasm", bytes)
}

#[test]
fn a_map_of_players_goes_from_one_version_to_the_next() {
    let rig = Rig::new();
    rig.serve(&keeper(&rig, 1), options()).unwrap();
    for (players, bytes) in [(0u32, 0..100), (11_000, 1 << 20..2 << 20), (50_000, 5 << 20..16 << 20)] {
        rig.reply(2, players.to_string().as_bytes());
        let loaded = rig.runtime.loader().load(&keeper(&rig, (bytes.end >> 16) as u8), options()).unwrap();
        let swapped = rig.runtime.swap(loaded, false).unwrap();
        assert_eq!(swapped.state, StateMoved::Kept);
        assert!(bytes.contains(&swapped.state_bytes), "{swapped:?}");
        eprintln!(
            "swap: {} bytes of state, save {:?}, restore {:?}, pause {:?}",
            swapped.state_bytes, swapped.save, swapped.restore, swapped.pause
        );
    }
    assert_eq!(rig.reply(3, b"60999"), (60_999 * 7).to_string().as_bytes());
    assert_eq!(rig.reply(1, b"9"), br#"{"seq":9,"own":1,"total":1}"#);
}

#[test]
fn checking_a_file_saves_and_restores() {
    let rig = Rig::new();
    let file = keeper(&rig, 1);
    assert!(rig.runtime.loader().check(&file, options()).is_ok());
    let broken = super::counter::Counter { restore: "(return (call $no))", ..super::counter::Counter::new(1) };
    let error = rig.runtime.loader().check(&broken.file(&rig, "counter"), options()).err().unwrap().to_string();
    assert!(error.contains("what a new instance saves, another does not restore: `restore` answered: no"), "{error}");
}
