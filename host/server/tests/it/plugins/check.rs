//! `duet check` and the cache of compiled plugins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use duet_testkit::{Peer, Server, Wire, guest};
use tempfile::TempDir;

use super::single::SINGLE;

/// A folder with settings and a cache, where `duet check` runs.
struct Desk(TempDir);

/// What `duet check` said.
struct Said {
    loads: bool,
    text: String,
}

impl Desk {
    fn new() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("duet.toml"), format!("cache = \"cache\"\n{settings}")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn check(&self, file: &Path) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_duet"))
            .args(["check", "--config", "duet.toml"])
            .arg(file)
            .current_dir(self.0.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("`duet check {}` does not end", file.display());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let loads = output.status.success();
        assert_eq!(output.status.code(), Some(i32::from(!loads)), "{stderr}");
        assert_eq!(loads, stderr.is_empty(), "an error goes to stderr, and nothing else does: {stderr}");
        Said { loads, text: if loads { stdout } else { stderr } }
    }

    /// The one compiled file in the cache.
    fn compiled(&self) -> PathBuf {
        let files: Vec<PathBuf> = fs::read_dir(self.path("cache")).unwrap().map(|e| e.unwrap().path()).collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        assert!(file.extension().unwrap() == "cwasm", "{file:?}");
        file.clone()
    }
}

#[test]
fn a_good_file_loads_and_comes_from_the_cache_the_second_time() {
    let desk = Desk::new();
    let echo = guest("echo");
    let first = desk.check(&echo);
    let begun = Instant::now();
    let second = desk.check(&echo);
    let took = begun.elapsed();
    for said in [&first, &second] {
        assert!(said.loads && said.text.contains(": loads") && said.text.contains("routes   1\n"), "{}", said.text);
        assert!(said.text.contains("packed batches"), "{}", said.text);
    }
    assert!(first.text.contains("compiled") && second.text.contains("from the cache"), "{}{}", first.text, second.text);
    assert_eq!(fs::metadata(desk.path("cache")).unwrap().permissions().mode() & 0o777, 0o700);
    desk.compiled();
    let single = desk.check(Path::new(SINGLE));
    assert!(single.text.contains("one message a call"), "{}", single.text);
    let sleeper = desk.check(&guest("sleeper"));
    assert!(sleeper.text.contains("in the asynchronous lane"), "{}", sleeper.text);
    eprintln!("check: 3 good files load; the second check of one took {took:.0?} with its compiled form in the cache");
}

#[test]
fn a_bad_file_is_refused_with_its_name_and_what_to_do() {
    let desk = Desk::with("[plugin.single.config]\nstart = \"error\"\n[runtime]\nfile_bytes_max = \"1KiB\"\n");
    let usual = Desk::new();
    fs::write(desk.path("text.wasm"), "hello").unwrap();
    fs::write(desk.path("empty.wasm"), "").unwrap();
    fs::write(desk.path("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::create_dir(desk.path("folder.wasm")).unwrap();
    std::os::unix::fs::symlink(SINGLE, desk.path("link.wasm")).unwrap();
    let cases: [(&str, &str); 7] = [
        ("missing.wasm", "cannot be read"),
        ("text.wasm", "not WebAssembly"),
        ("empty.wasm", "not WebAssembly"),
        ("core.wasm", "core WebAssembly module"),
        ("folder.wasm", "not a regular file"),
        ("link.wasm", "leads out of its folder"),
        (SINGLE, "the limit is 1024"),
    ];
    for (name, text) in cases {
        let said = desk.check(&desk.path(name));
        assert!(!said.loads && said.text.contains(name) && said.text.contains(text), "{name}: {}", said.text);
        assert_eq!(said.text.lines().count(), 1, "{}", said.text);
    }
    let mut cut = fs::read(SINGLE).unwrap();
    cut.truncate(cut.len() / 2);
    fs::write(usual.path("cut.wasm"), cut).unwrap();
    let said = usual.check(&usual.path("cut.wasm"));
    assert!(!said.loads && said.text.contains("cut.wasm"), "{}", said.text);
    eprintln!("check: 8 bad files refused, each with exit code 1 and one line");
}

#[test]
fn a_plugin_whose_describe_never_returns_is_refused_in_time() {
    let desk = Desk::with("[plugin.single.config]\ndescribe = \"loop\"\n");
    let begun = Instant::now();
    let said = desk.check(Path::new(SINGLE));
    assert!(!said.loads && said.text.contains("single.component") && said.text.contains("`describe`"), "{}", said.text);
    eprintln!("check: a describe that never returns was refused after {:.1?}", begun.elapsed());
}

#[test]
fn a_plugin_whose_stop_fails_or_never_returns_loads_with_a_warning() {
    for (stop, why) in [("loop", "`stop` ran longer than 1 s"), ("trap", "`stop` failed: wasm trap")] {
        let desk = Desk::with(&format!("[plugin.single.config]\nstop = \"{stop}\"\n"));
        let said = desk.check(Path::new(SINGLE));
        let warning = format!("\nwarning  an instance does not end in good order: {why}");
        assert!(said.loads && said.text.contains(&warning), "{stop}: {}", said.text);
    }
    let twice = "[plugin.single.config]\nstop = \"trap\"\nmanifest = \"garbage\"\n";
    let said = Desk::with(twice).check(Path::new(SINGLE));
    assert!(!said.loads && said.text.contains("cannot be read") && said.text.contains("`stop` failed"), "{}", said.text);
    assert!(!Desk::new().check(Path::new(SINGLE)).text.contains("good order"));
    eprintln!("check: a stop that loops and one that traps are told, and behind a manifest that cannot be read, too");
}

/// The hand-written plugin with bytes replaced by as many others.
fn patched(changes: &[(&[u8], &[u8])]) -> Vec<u8> {
    changes.iter().fold(fs::read(SINGLE).unwrap(), |bytes, (from, to)| super::mutants::patched(&bytes, from, to))
}

#[test]
fn what_the_server_would_refuse_at_its_start_is_refused_with_all_its_reasons() {
    let desk = Desk::new();
    // s32 becomes u32: once in the exported handler, once in `push`, too.
    let file = desk.path("seq.wasm");
    fs::write(&file, patched(&[(b"\x03seq\x7a", b"\x03seq\x79"), (b"\x06now-ms", b"\x06now-us")])).unwrap();
    let said = desk.check(&file);
    assert!(!said.loads, "{}", said.text);
    for text in ["seq: u32, body: list<u8>)", "the host has `handle: func(conn: u64, uid: s64, route: s32, seq: s32,", "`now-us` of"] {
        assert!(said.text.contains(text), "{text:?} is not in {}", said.text);
    }
    assert_eq!(said.text.lines().count(), 2, "one line for each reason: {}", said.text);

    let file = desk.path("slow.wasm");
    fs::copy(SINGLE, &file).unwrap();
    fs::write(
        desk.path("slow.toml"),
        "[config]\nstart = \"loop\"\n[config.manifest]\nname = \"x\"\nversion = \"1\"\nroutes = [{ route = 1 }, { route = 1 }]\n",
    )
    .unwrap();
    let said = desk.check(&file);
    assert!(!said.loads && said.text.contains("route 1 twice") && said.text.contains("`start` ran longer than 1 s"), "{}", said.text);
    fs::write(desk.path("slow.toml"), "memry = 1\n").unwrap();
    let said = desk.check(&file);
    assert!(!said.loads && said.text.contains("slow.toml:1: memry: unknown key, did you mean `memory`?"), "{}", said.text);
    eprintln!("check: a wrong type, a start that never returns and wrong settings are refused");
}

#[test]
fn what_is_odd_about_a_manifest_is_told_by_check_and_by_the_log() {
    let routes = "routes = [{ route = 1, authorised = true }, { route = -1 }, { route = 70000 }, { route = 70001, internal = true }]";
    let manifest = |routes: &str| format!("[plugin.odd.config.manifest]\nname = \"odd\"\nversion = \"1\"\n{routes}\n");
    let odd = [
        "route 1: the manifest's key `authorised` is unknown and ignored, did you mean `authorized`?",
        "route -1: the session route of every listener",
        "route 70000: too wide for the `route_bytes` of every listener",
    ];
    let desk = Desk::with(&manifest(routes));
    fs::copy(SINGLE, desk.path("odd.wasm")).unwrap();
    let said = desk.check(&desk.path("odd.wasm"));
    assert!(said.loads, "{}", said.text);
    for text in odd {
        assert!(said.text.contains(&format!("\nwarning  {text}")), "{text:?} is not in {}", said.text);
    }
    assert_eq!(said.text.matches("warning").count(), 3, "{}", said.text);

    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("odd", SINGLE).settings(&manifest(routes)).start();
    for text in odd {
        let line = server.wait_for_log(text, Duration::from_secs(20));
        assert!(line.contains("WARN") && line.contains("odd.wasm"), "{line}");
    }
    let desk = Desk::with(&manifest("routes = []\npacke = 1"));
    fs::copy(SINGLE, desk.path("odd.wasm")).unwrap();
    let said = desk.check(&desk.path("odd.wasm"));
    assert!(said.loads && said.text.contains("warning  it has no routes") && said.text.contains("did you mean `packed`?"), "{}", said.text);
    eprintln!("check: 5 warnings, and the log has them too");
}

#[test]
fn a_cache_that_others_may_write_to_is_not_used() {
    let desk = Desk::new();
    fs::create_dir(desk.path("cache")).unwrap();
    for mode in [0o777, 0o770, 0o722, 0o702, 0o1777] {
        fs::set_permissions(desk.path("cache"), fs::Permissions::from_mode(mode)).unwrap();
        for _ in 0..2 {
            let said = desk.check(Path::new(SINGLE));
            assert!(said.loads && said.text.contains(", compiled"), "{}", said.text);
        }
    }
    assert_eq!(fs::read_dir(desk.path("cache")).unwrap().count(), 0);

    let cache = desk.path("cache");
    let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("single", SINGLE)
        .whole_config(&format!(
            "plugins = \"plugins\"\ncache = \"{}\"\n[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:0\"\n",
            cache.display()
        ))
        .start();
    let mut peer = Peer::connect(server.addresses()[0], Wire::TCP);
    assert_eq!(peer.call(211, b"echo").as_deref(), Ok(b"echo".as_slice()));
    let warned: Vec<String> = server.log().lines().filter(|l| l.contains("can be written by other users")).map(str::to_owned).collect();
    assert!(warned.len() == 1 && warned[0].contains("chmod 700") && warned[0].contains("mode 1777"), "{warned:?}");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);

    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(desk.check(Path::new(SINGLE)).text.contains(", compiled"), "others may read");
    assert!(desk.check(Path::new(SINGLE)).text.contains("from the cache"));
    eprintln!("cache: 5 modes that others may write with are not used by check, one also not by run, which says why");
}

#[test]
fn a_full_disk_costs_the_cache_and_no_plugin() {
    let desk = Desk::new();
    // No file may be larger than 4 KiB, as if the disk were full after that.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {} check --config duet.toml {SINGLE}", env!("CARGO_BIN_EXE_duet"));
    for _ in 0..2 {
        let output = Command::new("sh").args(["-c", &script]).current_dir(desk.0.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(", compiled"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(fs::read_dir(desk.path("cache")).unwrap().count(), 0, "no half file stays");
    assert!(desk.check(Path::new(SINGLE)).loads);
    assert!(desk.check(Path::new(SINGLE)).text.contains("from the cache"), "once there is room again");
    eprintln!("cache: with no room on the disk a plugin loads all the same, and is kept once there is some");
}

#[test]
fn a_process_without_address_space_is_told_what_to_do_and_no_plugin_is_blamed() {
    let desk = Desk::new();
    assert!(desk.check(Path::new(SINGLE)).loads);
    // Enough for the program, and not for the 4 GiB that an instance reserves.
    let script = format!("ulimit -v 3000000; exec {} check --config duet.toml {SINGLE}", env!("CARGO_BIN_EXE_duet"));
    let output = Command::new("sh").args(["-c", &script]).current_dir(desk.0.path()).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["mmap failed", "no more address space", "lift `ulimit -v`"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_damaged_file_in_the_cache_is_compiled_again() {
    let desk = Desk::new();
    let single = Path::new(SINGLE);
    assert!(desk.check(single).loads);
    let compiled = desk.compiled();
    let good = fs::read(&compiled).unwrap();
    let half = good[..good.len() / 2].to_vec();
    let garbage: Vec<u8> = duet_testkit::Random::new(8).bytes(good.len());
    let headed = [&good[..64], &garbage[64..]].concat();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let mut page = good;
    page[4096..8192].fill(0);
    let cases = [
        ("empty", Vec::new()),
        ("one byte", vec![0x7f]),
        ("half", half),
        ("garbage", garbage),
        ("garbage behind a header", headed),
        ("one bit", flipped),
        ("one page", page),
    ];
    for (name, bytes) in &cases {
        fs::write(&compiled, bytes).unwrap();
        let said = desk.check(single);
        assert!(said.loads && said.text.contains(", compiled"), "{name}: {}", said.text);
        let again = desk.check(single);
        assert!(again.loads && again.text.contains("from the cache"), "{name}: {}", again.text);
        assert_eq!(desk.compiled(), compiled, "{name}: nothing else is left in the cache");
    }
    fs::remove_file(&compiled).unwrap();
    fs::create_dir(&compiled).unwrap();
    let said = desk.check(single);
    assert!(said.loads && said.text.contains(", compiled"), "a folder in its place: {}", said.text);
    eprintln!("cache: 7 damaged files were compiled again, a folder in the place of one costs the cache");
}

#[test]
fn a_server_with_a_warm_cache_is_ready_without_compiling() {
    let start = || {
        let names = ["echo", "greet", "hostile", "sleeper"];
        names.into_iter().fold(Server::builder(env!("CARGO_BIN_EXE_duet")), |b, name| b.plugin(name, guest(name))).start()
    };
    drop(start());
    let times: Vec<String> = (0..3)
        .map(|_| {
            let server = start();
            let plugins: Vec<&str> = server.banner().lines().filter(|l| l.starts_with("plugin ")).collect();
            assert!(plugins.len() == 4 && plugins.iter().all(|l| l.contains("from the cache")), "{}", server.banner());
            let ready = server.banner().lines().find_map(|l| l.strip_prefix("ready in ")).unwrap();
            ready.split(" with ").next().unwrap().to_owned()
        })
        .collect();
    eprintln!("start-up: 4 plugins from the cache, ready in {}", times.join(", "));
}
