//! The cache of compiled plugins, shared, unwritable and unusable.

use std::path::Path;
use std::sync::Arc;

use duet_runtime::{Loader, PluginOptions, RuntimeOptions};

use crate::refusals::replaced;
use crate::rig::{Rig, Seen, requests, single};

fn loader(cache: &Path) -> Loader {
    let options = RuntimeOptions { cache: cache.to_owned(), ..RuntimeOptions::default() };
    Loader::new(Arc::new(options), Arc::<Seen>::default()).unwrap()
}

/// The hand-written plugin under another name of the same length.
fn named(name: &str) -> Vec<u8> {
    replaced(single(), br#""name":"single""#, format!(r#""name":"{name}""#).as_bytes())
}

#[test]
fn two_servers_that_share_a_cache_each_run_their_own_plugins() {
    const ROUNDS: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let names = ["ground", "height", "islets", "jungle"];
    let files: Vec<_> = names.iter().map(|name| folder.path().join(format!("{name}.wasm"))).collect();
    names.iter().zip(&files).for_each(|(name, file)| std::fs::write(file, named(name)).unwrap());
    for round in 0..ROUNDS {
        let cache = folder.path().join(format!("cache-{round}"));
        std::thread::scope(|scope| {
            for (file, name) in files.iter().zip(names) {
                let cache = &cache;
                scope.spawn(move || {
                    let loaded = loader(cache).load(file, PluginOptions::default()).unwrap();
                    assert_eq!(loaded.manifest.name, name, "round {round}");
                });
            }
        });
        for (file, name) in files.iter().zip(names) {
            let loaded = loader(&cache).load(file, PluginOptions::default()).unwrap();
            assert_eq!((loaded.manifest.name.as_str(), loaded.cached), (name, true), "round {round}, from the cache");
        }
    }
    eprintln!("cache: {ROUNDS} rounds of 4 servers that filled one cache at the same time, each plugin stayed its own");
}

#[test]
fn a_cache_that_cannot_be_used_or_written_costs_no_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("single.wasm");
    std::fs::write(&file, single()).unwrap();
    // A folder of ours in which nobody can make a file; no folder; nothing that could become one.
    for cache in [Path::new("/proc/self"), &file, Path::new("/proc/duet")] {
        for _ in 0..2 {
            let loaded = loader(cache).load(&file, PluginOptions::default()).unwrap_or_else(|e| panic!("{}: {e}", cache.display()));
            assert!(!loaded.cached);
            let mut call = loaded.caller().unwrap();
            assert!(!call(requests(&[(5, 211, 1, b"echo")]).bytes()).unwrap().is_empty());
        }
    }
    eprintln!("cache: 3 folders that cannot be used, 6 loads without them");
}

#[test]
fn what_is_left_in_the_cache_is_whole_and_nothing_else() {
    let rig = Rig::new();
    let file = rig.file("single.wasm", single());
    rig.serve(&file, PluginOptions::default()).unwrap();
    let cache = file.parent().unwrap().join("cache");
    let names: Vec<_> = std::fs::read_dir(cache).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(matches!(names.as_slice(), [one] if one.extension().unwrap() == "cwasm"), "{names:?}");
}
