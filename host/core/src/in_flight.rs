//! Requests that were taken from a client and are not done yet.

use std::fmt::Debug;
use std::sync::Arc;

/// Whoever sent requests and wants to know when they are done.
pub trait Asker: Debug + Send + Sync {
    /// Says that this many of its requests are done: handled, refused, or lost along with whatever should have handled them.
    fn done(&self, requests: usize);
}

/// Requests of one asker that are in flight. When this is dropped they are done, whatever became of them. It travels with their records, so
/// nothing that happens to those can leave a request counted for ever.
#[derive(Debug)]
pub struct InFlight {
    asker: Arc<dyn Asker>,
    requests: usize,
}

impl InFlight {
    /// Requests that the asker has already counted.
    pub const fn new(asker: Arc<dyn Asker>, requests: usize) -> Self {
        Self { asker, requests }
    }

    /// How many there are.
    pub const fn requests(&self) -> usize {
        self.requests
    }

    /// Splits off this many of them, or all if there are fewer.
    #[must_use]
    pub fn split(&mut self, requests: usize) -> Self {
        let requests = requests.min(self.requests);
        self.requests -= requests;
        Self { asker: Arc::clone(&self.asker), requests }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.requests > 0 {
            self.asker.done(self.requests);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Done(AtomicUsize);

    impl Asker for Done {
        fn done(&self, requests: usize) {
            self.0.fetch_add(requests, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_request_is_done_once_however_they_are_split() {
        let done = Arc::new(Done::default());
        let count = || done.0.load(Ordering::Relaxed);
        let mut all = InFlight::new(Arc::clone(&done) as _, 10);
        let some = all.split(4);
        drop(all.split(3));
        assert_eq!(count(), 3);
        drop(all.split(100));
        assert_eq!(count(), 6);
        drop(all);
        assert_eq!(count(), 6);
        drop(some);
        assert_eq!(count(), 10);
    }
}
