//! What one call of a plugin costs, by body and batch: as a component, and with the same code linked in.
#![allow(missing_docs, clippy::expect_used, reason = "a benchmark")]

use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use duet_core::{ConnId, Request, RequestKind, Requests, Route, Seq};
use duet_runtime::{Loader, PluginOptions, RuntimeOptions};
use duet_testkit::Nobody;
use rustix::time::{ClockId, clock_gettime};

/// Processor time of the thread, so that whatever else the machine does hardly counts.
struct ProcessorTime;

impl ProcessorTime {
    fn now() -> Duration {
        clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a time after zero")
    }
}

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// This many requests with the same body.
fn requests(route: i32, body: &str, count: usize) -> Requests {
    let mut requests = Requests::default();
    for seq in 0..count {
        requests.push(&Request {
            kind: RequestKind::Message,
            conn: ConnId(1),
            uid: None,
            route: Route(route),
            seq: Seq(seq as i32),
            key: None,
            body: body.as_bytes(),
        });
    }
    requests
}

/// A body of about this many bytes, its text repeated to fill it.
fn message(bytes: usize, text: &str) -> String {
    let text: String = text.chars().cycle().take(bytes.saturating_sub(14).max(1)).collect();
    format!("{{\"message\":\"{}\"}}", text.replace('"', "\\\""))
}

/// What is called: a name, a route, a body, and the messages of a call.
fn rows() -> Vec<(&'static str, i32, String, &'static [usize])> {
    let letters = "abcdefghijklmnopqrstuvwxyz";
    let player = r#"{"id":123456789,"name":"Ada of Lovelace","x":12.5,"y":-3.25,"z":0.5,"state":{"hit":{"by":7,"damage":12}},"team":-1}"#;
    vec![
        ("16 B", 1, message(16, letters), &[1, 32]),
        ("100 B", 1, message(100, letters), &[1, 32]),
        ("1 KiB", 1, message(1024, letters), &[1, 32]),
        ("16 KiB", 1, message(16 << 10, letters), &[1, 2, 32]),
        ("move", 2, r#"{"x":1.5,"y":-2.25,"name":"Ada","hp":100}"#.to_owned(), &[1, 32]),
        ("player", 3, player.to_owned(), &[1, 32]),
        ("1 KiB with quotes", 1, message(1000, "a word of a player, \"quoted\", as in any chat of any game "), &[32]),
        ("1 KiB of escapes", 1, message(14 + 168 * 6, r"\u4e16"), &[32]),
        ("1 KiB of Cyrillic", 1, message(512, "съешь ещё этих мягких французских булок "), &[32]),
    ]
}

fn call(criterion: &mut Criterion<ProcessorTime>) {
    let cache = tempfile::tempdir().expect("a folder for the cache");
    let options = RuntimeOptions { cache: cache.path().join("cache"), ..RuntimeOptions::default() };
    let loader = Loader::new(Arc::new(options), Arc::new(Nobody::new())).expect("a loader");
    let loaded = loader.load(&duet_testkit::guest("duet-typed"), PluginOptions::default()).expect("the plugin");
    let mut plugin = loaded.caller().expect("an instance");
    for (name, route, body, counts) in rows() {
        for count in counts {
            let mut group = criterion.benchmark_group(format!("{name}, {count} a call"));
            let requests = requests(route, &body, *count);
            group.throughput(Throughput::Elements(*count as u64));
            group.bench_function(BenchmarkId::from_parameter("wasm"), |b| b.iter(|| plugin(requests.bytes()).expect("an answer")));
            let (mut memory, mut list) = (Vec::new(), Vec::new());
            group.bench_function(BenchmarkId::from_parameter("native"), |b| {
                b.iter(|| {
                    memory.clear();
                    memory.extend_from_slice(requests.bytes());
                    list.clear();
                    duet_typed::Plugin::handle_batch(&mut memory, &mut list).expect("an answer");
                });
            });
            group.finish();
        }
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = call
}
criterion_main!(benches);
