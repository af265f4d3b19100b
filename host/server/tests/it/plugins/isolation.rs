//! A plugin that misbehaves harms nobody but itself: a client of another plugin is served all the while.

use std::time::{Duration, Instant};

use duet_testkit::{Honest, Message, Peer, Server, Waits, Wire, guest};

use super::{ECHO, PLUGIN_FAULT, TIMEOUT, hello};

/// What a plugin does, and what its client is told: a reply, one of these codes, or either.
struct Offence {
    name: &'static str,
    route: i16,
    body: &'static [u8],
    reply: Option<&'static [u8]>,
    codes: &'static [u16],
}

const fn fault(name: &'static str, route: i16, body: &'static [u8], codes: &'static [u16]) -> Offence {
    Offence { name, route, body, reply: None, codes }
}

/// With the budgets of a plugin that says nothing. What takes long may also run out of time.
const SLOW: [Offence; 5] = [
    fault("endless loop", 101, b"", &[TIMEOUT]),
    fault("endless loop behind a push", 114, b"loop", &[TIMEOUT]),
    fault("memory bomb", 102, b"", &[PLUGIN_FAULT, TIMEOUT]),
    Offence { name: "log flood", route: 104, body: b"", reply: Some(b"logged"), codes: &[TIMEOUT] },
    Offence { name: "stdout flood", route: 105, body: b"", reply: Some(b"printed"), codes: &[TIMEOUT] },
];

/// With so much time that nothing but its own mistake ends a call, and memory in which 64 MiB of effects can be made.
const QUICK: [Offence; 10] = [
    fault("handler error", 106, b"", &[1000]),
    fault("trap", 100, b"", &[PLUGIN_FAULT]),
    fault("deep recursion", 103, b"", &[PLUGIN_FAULT]),
    fault("effects: a size of 4 GiB", 107, b"", &[PLUGIN_FAULT]),
    fault("effects: cut off", 107, b"short", &[PLUGIN_FAULT]),
    fault("effects: unknown kind", 107, b"kind", &[PLUGIN_FAULT]),
    fault("effects: unknown request", 107, b"request", &[PLUGIN_FAULT]),
    fault("effects: a header longer than its record", 107, b"header", &[PLUGIN_FAULT]),
    fault("64 MiB of effects", 108, b"", &[PLUGIN_FAULT]),
    fault("push flood", 109, b"", &[PLUGIN_FAULT]),
];

/// Each is committed this often, and for this long.
const FAULTS: usize = 20;
const TIME: Duration = Duration::from_millis(400);
/// How often an offence may be measured until the victim's waits are what they have to be: others use this machine, too.
const TAKES: usize = 3;
/// How coarse the clock is that ends calls, in milliseconds.
const TICK_MS: f64 = 5.0;

/// A client that calls another plugin again and again. Each call must succeed.
pub(super) fn victim(server: &Server) -> Honest {
    let address = server.tcp();
    Honest::start(1, || {
        let mut peer = Peer::connect(address, Wire::TCP);
        Box::new(move || assert_eq!(peer.call(ECHO, &hello()).as_deref(), Ok(hello().as_slice())))
    })
}

pub(super) fn shown(waits: &Waits) -> String {
    format!("victim {} calls, 0 failed, p99 {:.1} ms, worst {:.1} ms", waits.count(), waits.p99_ms(), waits.worst_ms())
}

/// What the offences of one take came to.
#[derive(Debug, Default)]
struct Done {
    faults: usize,
    timeouts: usize,
    /// The longest of its calls, in milliseconds.
    worst_ms: f64,
}

/// Commits an offence, and measures how long a victim waits meanwhile: no more than twice as long as beside a client that behaves, and a tick.
/// On the same worker it also waits for the call that is running, but for no second one.
fn commit(server: &Server, workers: usize, offence: &Offence) {
    let name = offence.name;
    let mut offender = Peer::connect(server.tcp(), Wire::TCP);
    for take in 1..=TAKES {
        let (usual, ()) = beside(server, || behave(&mut offender));
        let (waits, done) = beside(server, || offend(&mut offender, offence));
        let most_ms = 2.0 * usual.p99_ms() + TICK_MS + if workers == 1 { done.worst_ms } else { 0.0 };
        let Done { faults, timeouts, worst_ms } = done;
        eprintln!(
            "isolation: {workers} worker(s), {name}: {faults} faults ({timeouts} timeouts), worst {worst_ms:.0} ms, {}, allowed p99 {most_ms:.1} ms",
            shown(&waits)
        );
        if waits.p99_ms() <= most_ms {
            return;
        }
        assert!(
            take < TAKES,
            "{name}: the victim waited {:.1} ms (p99), more than {most_ms:.1} ms, in each of {TAKES} takes",
            waits.p99_ms()
        );
    }
}

/// How long a victim waits while something else goes on.
fn beside<T>(server: &Server, work: impl FnOnce() -> T) -> (Waits, T) {
    let victim = victim(server);
    let done = work();
    (victim.stop(), done)
}

fn behave(client: &mut Peer) {
    let first = Instant::now();
    while first.elapsed() < TIME {
        assert_eq!(client.call(111, b"well").as_deref(), Ok(b"well".as_slice()));
    }
}

fn offend(offender: &mut Peer, offence: &Offence) -> Done {
    let mut done = Done::default();
    let first = Instant::now();
    while done.faults < FAULTS || first.elapsed() < TIME {
        let begun = Instant::now();
        let answer = offender.call(offence.route, offence.body);
        done.worst_ms = done.worst_ms.max(begun.elapsed().as_secs_f64() * 1000.0);
        match &answer {
            Ok(reply) if offence.reply == Some(reply.as_slice()) => {}
            Err(Message::Error { code, .. }) if offence.codes.contains(code) => done.timeouts += usize::from(*code == TIMEOUT),
            _ => panic!("{}: {answer:?}", offence.name),
        }
        done.faults += 1;
        // What misbehaved is as good as new. Several calls, because a fast machine makes more than `faults_max` faults in the shortest window.
        for _ in 0..5 {
            assert_eq!(offender.call(111, b"well").as_deref(), Ok(b"well".as_slice()), "{}", offence.name);
        }
    }
    done
}

fn server(workers: usize, hostile: &str) -> Server {
    let settings = format!(
        "[log]\nlevel = \"error\"\n[runtime]\nworkers = {workers}\n\
         [plugin.hostile]\nfaults_max = 1000\nfaults_window = \"100ms\"\n{hostile}"
    );
    Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("echo", guest("echo"))
        .plugin("hostile", guest("hostile"))
        .settings(&settings)
        .start()
}

fn a_victim_is_served(workers: usize) {
    let begun = Instant::now();
    for (settings, offences) in [("", SLOW.as_slice()), ("call_budget = \"5s\"\nmemory = \"160MiB\"\n", &QUICK)] {
        let server = server(workers, settings);
        for offence in offences {
            commit(&server, workers, offence);
        }
        let rss = server.rss_bytes() >> 20;
        let (status, _) = server.terminate();
        assert!(status.success(), "{status}");
        eprintln!("isolation: {workers} worker(s), {rss} MiB in the end, {:.1?}", begun.elapsed());
    }
}

#[test]
fn a_victim_is_served_while_another_plugin_misbehaves_on_the_same_worker() {
    a_victim_is_served(1);
}

#[test]
fn a_victim_is_served_while_another_plugin_misbehaves_on_two_workers() {
    a_victim_is_served(2);
}

#[test]
fn a_memory_bomb_ends_at_the_memory_of_its_instance() {
    let server = server(1, "call_budget = \"5s\"\nmemory = \"32MiB\"\n");
    let mut offender = Peer::connect(server.tcp(), Wire::TCP);
    let (_, before) = (offender.call(111, b"warm"), server.rss_bytes());
    for _ in 0..20 {
        let answer = offender.call(102, b"");
        assert!(matches!(answer, Err(Message::Error { code: PLUGIN_FAULT, .. })), "{answer:?}");
        // Too little memory for what it asks for.
        let answer = offender.call(108, b"");
        assert!(matches!(answer, Err(Message::Error { code: PLUGIN_FAULT, .. })), "{answer:?}");
    }
    let after = server.rss_bytes();
    assert!(after < before + (64 << 20), "{before} bytes before, {after} after");
    eprintln!("memory: 40 bombs of 32 MiB, server {} MiB before and {} MiB after", before >> 20, after >> 20);
}

/// Lines of a flood in the log, lines that count what was dropped, and their sum.
fn flood(log: &str) -> (usize, usize, usize) {
    let lines = log.lines().filter(|l| l.contains("of a flood")).count();
    let counts = log.lines().filter(|l| l.contains("log lines above the quota were dropped"));
    let counts: Vec<usize> = counts
        .map(|l| {
            let rest = l.split_once("dropped=").expect("a number").1;
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).expect("a number")
        })
        .collect();
    (lines, counts.len(), counts.iter().sum())
}

#[test]
fn a_flood_of_lines_is_cut_to_the_quota_and_the_rest_is_counted() {
    const QUOTA: usize = 50;
    for (name, route, text) in [("log", 104, "logged"), ("stdout", 105, "printed")] {
        let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
            .plugin("hostile", guest("hostile"))
            .settings(&format!("[plugin.hostile]\ncall_budget = \"5s\"\nlog_lines_per_second = {QUOTA}\n"))
            .start();
        let begun = Instant::now();
        let mut peer = Peer::connect(server.tcp(), Wire::TCP);
        assert_eq!(peer.call(route, b"").as_deref(), Ok(text.as_bytes()));
        // The count comes with the next line that is written.
        let mut floods = 1;
        loop {
            assert_eq!(peer.call(route, b"").as_deref(), Ok(text.as_bytes()));
            floods += 1;
            if flood(&server.log()).2 >= 9_000 {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was counted:\n{}", server.log());
        }
        let elapsed = begun.elapsed();
        server.terminate();
        let (lines, counts, dropped) = flood(&server.log());
        let allowed = 2 * QUOTA + (elapsed.as_secs_f64() * QUOTA as f64).ceil() as usize + 1;
        assert!(lines <= allowed, "{lines} lines in {elapsed:?}, allowed: {allowed}");
        assert!(counts <= lines, "each count belongs to a line that was written");
        assert!(lines + dropped <= floods * 10_000, "{lines} and {dropped} of {floods} floods");
        eprintln!(
            "{name} flood: {floods} x 10,000 lines in {elapsed:.1?}: {lines} written, {dropped} dropped and counted in {counts} lines"
        );
    }
}
