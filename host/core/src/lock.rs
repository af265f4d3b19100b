//! The lock of the host: one that a panic does not poison.

use std::sync::PoisonError;
use std::time::Duration;

pub use std::sync::MutexGuard;

/// A mutex that can always be locked. A panic ends a call or a connection, never the process ([`crate::panic`]), so whoever locks next goes
/// on with what it left behind; what must not be half done is changed in one step, or repaired by whoever contains the panic. Behind it is
/// the mutex of the standard library: a futex on Linux, which reads no clock, and whose guard clippy knows (`await_holding_lock`).
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits until nobody else holds it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, without locking: `&mut self` proves that nobody else has the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until what a [`Mutex`] guards has changed.
#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    /// A condition that nobody is waiting for.
    pub const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Releases the lock and waits to be notified. It may also return for no reason, so the caller checks again.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, but waits no longer than `timeout`.
    pub fn wait_timeout<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes one waiting thread.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all waiting threads.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::panic::contained;

    #[test]
    fn what_a_panic_left_behind_is_there_for_the_next() {
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        let ours = Arc::clone(&pair);
        let panicked = contained(move || {
            let mut value = ours.0.lock();
            *value = 1;
            panic!("with the lock held");
        });
        assert!(panicked.is_err());
        let value = pair.1.wait_timeout(pair.0.lock(), Duration::ZERO);
        assert_eq!(*value, 1);
        let waiter = std::thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                let mut value = pair.0.lock();
                while *value == 1 {
                    value = pair.1.wait(value);
                }
                *value
            }
        });
        drop(value);
        *pair.0.lock() = 2;
        pair.1.notify_all();
        assert_eq!(waiter.join().ok(), Some(2));
        assert_eq!(Arc::into_inner(pair).map(|mut pair| *pair.0.get_mut()), Some(2));
    }
}
