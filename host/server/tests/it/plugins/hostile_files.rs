//! A drop folder full of files that are not plugins: each is refused with its reason, and the good ones serve all the while.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use duet_testkit::{Honest, Peer, Random, Wire, guest};
use tempfile::TempDir;

use super::isolation::shown;
use super::launched::{Launched, Text};
use super::mutants::{Bomb, bomb, mutant, patched};
use super::single::SINGLE;
use super::{ECHO, hello};

const FILES: usize = 200;

/// A folder in which a server runs.
struct House {
    folder: TempDir,
    /// Files that claim to be plugins, each with what its refusal has to say.
    files: BTreeMap<String, Option<&'static str>>,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        let settings = "cache = \"cache\"\n[runtime]\nstart_wait = \"1s\"\ncompile_timeout = \"5s\"\n\
                        [[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:0\"\n";
        fs::write(folder.path().join("duet.toml"), settings).unwrap();
        Self { folder, files: BTreeMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("plugins").join(name)
    }

    /// A file that must be refused with this text.
    fn bad(&mut self, name: &str, content: &[u8], reason: &'static str) {
        fs::write(self.path(&format!("{name}.wasm")), content).unwrap();
        self.files.insert(name.to_owned(), Some(reason));
    }

    /// A file that may be loaded or refused.
    fn doubtful(&mut self, name: &str, content: &[u8]) {
        fs::write(self.path(&format!("{name}.wasm")), content).unwrap();
        self.files.insert(name.to_owned(), None);
    }

    /// The hand-written plugin, told by its configuration to misbehave.
    fn configured(&mut self, name: &str, config: &str, reason: &'static str) {
        self.bad(name, &fs::read(SINGLE).unwrap(), reason);
        fs::write(self.path(&format!("{name}.toml")), format!("[config]\n{config}\n")).unwrap();
    }

    fn wrong_worlds(&mut self, echo: &[u8], single: &[u8]) {
        self.bad("world-text", b"(component)", "not WebAssembly");
        self.bad("world-empty", b"", "not WebAssembly");
        self.bad("world-zeros", &[0; 4096], "not WebAssembly");
        self.bad("world-random", &Random::new(1).bytes(4096), "not WebAssembly");
        self.bad("world-core", b"\0asm\x01\0\0\0", "core WebAssembly module");
        self.bad("world-header", b"\0asm\x0d\0\x01\0", "does not export `duet:plugin/lifecycle@0.1.0`");
        let garbage = [b"\0asm\x0d\0\x01\0".as_slice(), &Random::new(2).bytes(4096)].concat();
        self.bad("world-garbage", &garbage, "not valid WebAssembly");
        for (name, good) in [("echo", echo), ("single", single)] {
            self.bad(
                &format!("world-{name}-0.2"),
                &patched(good, b"duet:plugin/lifecycle@0.1.0", b"duet:plugin/lifecycle@0.2.0"),
                "lifecycle@0.2.0",
            );
        }
        self.bad("world-export", &patched(echo, b"duet:plugin/batch-handler@0.1.0", b"duet:plugin/other-handler@0.1.0"), "does not export");
        self.bad("world-import", &patched(single, b"duet:plugin/gateway@0.1.0", b"wasi:http/handler-x@0.2.0"), "imports `wasi:http/");
        self.bad(
            "world-newer",
            &patched(single, b"duet:plugin/gateway@0.1.0", b"duet:plugin/gateway@0.2.0"),
            "imports `duet:plugin/gateway@0.2.0`",
        );
        self.bad("world-function", &patched(single, b"\x04push", b"\x04pull"), "does not fit the contract");
        self.bad("world-type", &patched(single, b"\x05route\x7a", b"\x05route\x79"), "does not fit the contract");
    }

    fn bad_starts(&mut self) {
        self.configured("life-garbage", "manifest = \"garbage\"", "manifest that cannot be read");
        self.configured("life-megabyte", "describe = \"megabyte\"", "1048576 bytes, the limit is 65,536");
        self.configured("life-describe-loop", "describe = \"loop\"", "`describe` ran longer than 1 s");
        self.configured("life-describe-trap", "describe = \"trap\"", "`describe` failed");
        // Whether a route is free is asked before `start` runs.
        for (name, start) in
            [("error", "start = \"error\""), ("loop", "start = \"loop\""), ("trap", "start = \"trap\""), ("route-taken", "")]
        {
            self.configured(&format!("life-{name}"), start, "is already served by plugin `a-single`");
        }
        self.configured("life-settings", "broken = = 1", "its settings are wrong");
    }

    fn bombs(&mut self, single: &[u8]) {
        let kinds = [("nested", Bomb::Nested), ("tables", Bomb::Tables), ("straight", Bomb::Straight)];
        for (name, kind) in kinds {
            self.bad(&format!("bomb-{name}-300k"), &bomb(single, kind, 1, 300 << 10), "the limit is 262144");
            self.doubtful(&format!("bomb-{name}-200k"), &bomb(single, kind, 1, 200 << 10));
        }
        for (name, kind) in kinds {
            self.doubtful(&format!("bomb-{name}-8x200k"), &bomb(single, kind, 8, 200 << 10));
        }
    }

    /// What is no file, is elsewhere, or is too large; and what must not be looked at.
    fn odd_entries(&mut self, echo: &Path) {
        fs::create_dir(self.path("odd-folder.wasm")).unwrap();
        std::os::unix::fs::symlink(echo, self.path("odd-link.wasm")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", self.path("odd-device.wasm")).unwrap();
        std::os::unix::fs::symlink("nowhere", self.path("odd-dangling.wasm")).unwrap();
        for (name, reason) in [
            ("odd-folder", "not a regular file"),
            ("odd-link", "leads out of its folder"),
            ("odd-device", "leads out of its folder"),
            ("odd-dangling", "cannot be read"),
        ] {
            self.files.insert(name.to_owned(), Some(reason));
        }
        self.bad("odd-sparse", b"", "the limit is 67108864");
        fs::File::options().write(true).open(self.path("odd-sparse.wasm")).unwrap().set_len(1 << 40).unwrap();
        for ignored in ["ignored.cwasm", "ignored.wasm.old", "ignored", ".wasm"] {
            fs::write(self.path(ignored), Random::new(3).bytes(1000)).unwrap();
        }
    }

    /// Which files were served, and the refusals of the others. None as long as one is missing.
    fn outcome(&self, out: &Text, log: &Text) -> Option<(usize, Vec<String>)> {
        let (banner, log) = (out.lines(), log.lines());
        let refusals: Vec<String> = log.into_iter().filter(|l| l.contains("plugin refused") || l.contains("plugin serves")).collect();
        let served = |name: &str| {
            banner.iter().any(|l| l.starts_with(&format!("plugin     {name} ")))
                || refusals.iter().any(|l| l.contains("plugin serves") && l.contains(&format!("plugin=\"{name}\"")))
        };
        let refused = |name: &str| refusals.iter().any(|l| l.contains(&format!("plugin refused: plugins/{name}.wasm: ")));
        let served_count = self.files.keys().filter(|name| served(name)).count();
        let all = self.files.keys().all(|name| served(name) != refused(name));
        all.then_some((served_count, refusals))
    }
}

/// The good plugins are there before, in the cache, so that the server has them when it opens its ports.
fn compile_ahead(house: &House, names: &[&str]) {
    fs::write(house.folder.path().join("ahead.toml"), "cache = \"cache\"\n").unwrap();
    for name in names {
        let checked = Command::new(env!("CARGO_BIN_EXE_duet"))
            .args(["check", "--config", "ahead.toml", &format!("plugins/{name}.wasm")])
            .current_dir(house.folder.path())
            .output()
            .unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn two_hundred_bad_files_are_refused_one_by_one_while_the_good_plugins_serve() {
    let (echo, single) = (fs::read(guest("echo")).unwrap(), fs::read(SINGLE).unwrap());
    let mut house = House::new();
    fs::write(house.path("a-echo.wasm"), &echo).unwrap();
    fs::write(house.path("a-single.wasm"), &single).unwrap();
    compile_ahead(&house, &["a-echo", "a-single"]);
    house.wrong_worlds(&echo, &single);
    house.bad_starts();
    house.bombs(&single);
    house.odd_entries(&guest("echo"));
    house.bad("twin", &echo, "route 1 is already served by plugin `a-echo`");
    for seed in 0..u64::MAX {
        if house.files.len() == FILES {
            break;
        }
        // The small one compiles fast, so most of those that are valid by chance are made of it.
        let good = if seed % 4 == 0 { &echo } else { &single };
        house.doubtful(&format!("mutant-{seed:03}"), &mutant(good, seed));
    }

    let mut server = Launched::start(house.folder.path());
    let (address, ready) = server.ready(Duration::from_secs(30));
    let banner = server.out.lines().join("\n");
    assert!(banner.contains("plugin     a-echo ") && banner.contains("plugin     a-single "), "{banner}");
    let victim = Honest::start(1, || {
        let mut peer = Peer::connect(address, Wire::TCP);
        Box::new(move || {
            assert_eq!(peer.call(ECHO, &hello()).as_deref(), Ok(hello().as_slice()));
            assert_eq!(peer.call(211, b"single").as_deref(), Ok(b"single".as_slice()));
        })
    });
    let (out, log) = (server.out.clone(), server.log.clone());
    let deadline = Instant::now() + Duration::from_secs(100);
    let (served, lines) = loop {
        if let Some(outcome) = house.outcome(&out, &log) {
            break outcome;
        }
        let missing =
            || house.files.keys().filter(|n| !log.lines().iter().any(|l| l.contains(&format!("/{n}.wasm: ")))).collect::<Vec<_>>();
        assert!(server.is_alive(), "the server has ended:\n{}", log.lines().join("\n"));
        assert!(Instant::now() < deadline, "nothing was said of {:?}", missing());
        std::thread::park_timeout(Duration::from_millis(50));
    };
    let settled = server.begun.elapsed();
    let waits = victim.stop();
    assert!(server.is_alive());
    let refusals: Vec<&String> = lines.iter().filter(|l| l.contains("plugin refused: plugins/")).collect();
    assert_eq!(refusals.len() + served, FILES, "each file was refused once or served");
    for (name, reason) in &house.files {
        let refusal = refusals.iter().find(|l| l.contains(&format!("plugins/{name}.wasm: ")));
        if let Some(reason) = reason {
            assert!(refusal.is_some_and(|r| r.contains(reason)), "{name} is not refused with {reason:?} but {refusal:?}");
        }
        if name.starts_with("bomb") {
            eprintln!("hostile files: {name}: {}", refusal.map_or("served", |r| r.split_once(".wasm: ").unwrap().1));
        }
    }
    assert!(!log.lines().iter().any(|l| l.contains("ignored") || l.contains("panicked")));
    let temporaries =
        fs::read_dir(house.folder.path().join("cache")).unwrap().filter(|e| e.as_ref().unwrap().path().extension().unwrap() != "cwasm");
    assert_eq!(temporaries.count(), 0, "nothing but compiled plugins is left in the cache");
    assert!(server.terminate().success());
    eprintln!(
        "hostile files: {FILES} files, {} refused, {served} served, ready in {ready:.1?}, all settled in {settled:.1?}, 2 good plugins: {}",
        refusals.len(),
        shown(&waits)
    );
}
