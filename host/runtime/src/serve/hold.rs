//! Taking the instance of a slot away between two calls, and giving it something to go on with.
//!
//! ```text
//! serving -> ordered   Inbox::hold: another thread wants the instance
//! ordered -> held      Slot::give_way, between two calls: the instance is handed over, and the slot waits
//! ordered -> serving   Inbox::take_order: it took too long
//! held -> serving      Held::go_on with a new version, or Held::drop with what it had
//! ```
//!
//! What arrives meanwhile stays in the inbox and in the slot, in order.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::serve::counters::Counters;
use crate::serve::instance::Instance;
use crate::serve::version::Version;

/// What a slot serves with.
pub(crate) struct Post {
    pub(crate) version: Arc<Version>,
    pub(crate) counters: Arc<Counters>,
    /// `None` after a fault, until the next request.
    pub(crate) instance: Option<Instance>,
}

/// An order to hand it over.
#[derive(Debug)]
pub(crate) struct Hold {
    number: usize,
    to: SyncSender<Held>,
}

impl Hold {
    /// For the slot with this number.
    pub(crate) const fn new(number: usize, to: SyncSender<Held>) -> Self {
        Self { number, to }
    }

    /// Hands it over. What comes back is what to go on with.
    pub(crate) fn follow(self, post: Post) -> oneshot::Receiver<Post> {
        let (back, told) = oneshot::channel();
        // There is room for each slot. If nobody wants it any more, it comes back at once.
        drop(self.to.try_send(Held { number: self.number, since: Instant::now(), post: Some(post), back: Some(back) }));
        told
    }
}

/// A slot that waits. It goes on with what it had when this is dropped, whatever the reason.
pub(crate) struct Held {
    pub(crate) number: usize,
    pub(crate) since: Instant,
    post: Option<Post>,
    back: Option<oneshot::Sender<Post>>,
}

impl Held {
    /// Its instance, if it has one.
    pub(crate) fn instance(&mut self) -> Option<&mut Instance> {
        self.post.as_mut()?.instance.as_mut()
    }

    /// Takes its instance away for good.
    pub(crate) fn discard(&mut self) {
        if let Some(post) = &mut self.post {
            post.instance = None;
        }
    }

    /// Lets it go on with something else, and returns the instance that it had.
    pub(crate) fn go_on(mut self, post: Post) -> Option<Instance> {
        let old = self.post.replace(post);
        old?.instance
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(back), Some(post)) = (self.back.take(), self.post.take()) {
            drop(back.send(post));
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("number", &self.number).finish_non_exhaustive()
    }
}
