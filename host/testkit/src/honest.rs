//! Well-behaved clients in the background of a test, and how long they had to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What one client does over and over again.
type Step = Box<dyn FnMut() + Send>;

/// Threads that do the same thing over and over again until they are told to stop.
#[derive(Debug)]
pub struct Honest {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Duration>>>,
}

/// How long the steps took.
#[derive(Clone, Debug)]
pub struct Waits(Vec<Duration>);

impl Honest {
    /// Starts this many clients. `client` makes the step of each; a step that goes wrong panics.
    pub fn start(count: usize, client: impl FnMut() -> Step) -> Self {
        // One step a millisecond is load enough, and leaves room for what is tested.
        Self::start_every(Duration::from_millis(1), count, client)
    }

    /// The same with this pause between the steps of each client.
    pub fn start_every(pause: Duration, count: usize, mut client: impl FnMut() -> Step) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let threads = (0..count)
            .map(|_| {
                let (stop, mut step) = (Arc::clone(&stop), client());
                std::thread::spawn(move || {
                    let mut waits = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        step();
                        waits.push(begun.elapsed());
                        std::thread::park_timeout(pause);
                    }
                    waits
                })
            })
            .collect();
        Self { stop, threads }
    }

    /// Lets all finish their step.
    ///
    /// # Panics
    /// If a step went wrong.
    pub fn stop(self) -> Waits {
        self.stop.store(true, Ordering::Relaxed);
        let waits = self.threads.into_iter().flat_map(|t| t.join().expect("every step of an honest client succeeds"));
        let mut waits: Vec<Duration> = waits.collect();
        waits.sort();
        assert!(!waits.is_empty(), "honest clients did nothing");
        Waits(waits)
    }
}

impl Waits {
    /// How many steps there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that 99 of 100 steps did not exceed, in milliseconds.
    pub fn p99_ms(&self) -> f64 {
        self.0[(self.0.len() * 99 / 100).min(self.0.len() - 1)].as_secs_f64() * 1000.0
    }

    /// The longest time, in milliseconds.
    pub fn worst_ms(&self) -> f64 {
        self.0[self.0.len() - 1].as_secs_f64() * 1000.0
    }
}
