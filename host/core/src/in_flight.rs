//! Requests that were taken from a client and are not done yet.

use std::fmt::Debug;
use std::sync::Arc;

/// Who sent requests, and wants to know when they are done.
pub trait Asker: Debug + Send + Sync {
    /// So many of its requests are done: handled, refused, or lost with what should have handled them.
    fn done(&self, requests: usize);
}

/// Requests of one asker that are in flight. When this is dropped they are done, whatever became of them: it goes where their records go,
/// so that nothing that happens to those can leave a request counted for ever.
#[derive(Debug)]
pub struct InFlight {
    asker: Arc<dyn Asker>,
    requests: usize,
}

impl InFlight {
    /// Requests that the asker has counted.
    pub const fn new(asker: Arc<dyn Asker>, requests: usize) -> Self {
        Self { asker, requests }
    }

    /// How many there are.
    pub const fn requests(&self) -> usize {
        self.requests
    }

    /// Takes so many of them out, at most all.
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
