//! What one call of a plugin costs: the benchmark's echo as a component and the same code linked in, by body size and batch.
#![allow(missing_docs, clippy::expect_used, reason = "a benchmark")]

use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use duet_core::{ConnId, Counts, Directory, Presence, Request, RequestKind, Requests, Route, Seq, Uid};
use duet_runtime::{Loader, PluginOptions, RuntimeOptions};

/// Nobody is there: the echo asks for nobody.
struct Nobody;

impl Directory for Nobody {
    fn presence(&self, _uid: Uid) -> Presence {
        Presence::Offline
    }

    fn conn_of(&self, _uid: Uid) -> Option<ConnId> {
        None
    }

    fn uid_of(&self, _conn: ConnId) -> Option<Uid> {
        None
    }

    fn address(&self, _conn: ConnId) -> Option<SocketAddr> {
        None
    }

    fn counts(&self) -> Counts {
        Counts::default()
    }

    fn member_count(&self, _channel: &str) -> usize {
        0
    }

    fn members(&self, _channel: &str, _max: usize) -> Vec<ConnId> {
        Vec::new()
    }
}

/// Requests for the echo, whose message has about `bytes` bytes.
fn requests(bytes: usize, count: usize) -> Requests {
    let letters: String = ('a'..='z').cycle().take(bytes.saturating_sub(14).max(1)).collect();
    let body = format!("{{\"message\":\"{letters}\"}}");
    let mut requests = Requests::default();
    for seq in 0..count {
        requests.push(&Request {
            kind: RequestKind::Message,
            conn: ConnId(1),
            uid: None,
            route: Route(1),
            seq: Seq(seq as i32),
            body: body.as_bytes(),
        });
    }
    requests
}

fn call(criterion: &mut Criterion) {
    let cache = tempfile::tempdir().expect("a folder for the cache");
    let options = RuntimeOptions { cache: cache.path().join("cache"), ..RuntimeOptions::default() };
    let loader = Loader::new(Arc::new(options), Arc::new(Nobody)).expect("a loader");
    let loaded = loader.load(&duet_testkit::guest("duet-echo"), PluginOptions::default()).expect("the echo");
    let mut plugin = loaded.caller().expect("an instance");
    for (bytes, count) in [(16, 1), (16, 32), (1024, 1), (1024, 32), (16 << 10, 1), (16 << 10, 2)] {
        let mut group = criterion.benchmark_group(format!("{bytes} B, {count} a call"));
        let requests = requests(bytes, count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter("wasm"), |b| b.iter(|| plugin(requests.bytes()).expect("an answer")));
        let mut memory = Vec::new();
        group.bench_function(BenchmarkId::from_parameter("native"), |b| {
            b.iter(|| {
                memory.clear();
                memory.extend_from_slice(requests.bytes());
                let mut list = Vec::new();
                duet_echo::Plugin::handle_batch(&mut memory, &mut list).expect("an answer");
                list
            });
        });
        group.finish();
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(benches, call);
criterion_main!(benches);
