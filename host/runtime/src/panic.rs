//! Keeps a panic where it happened: it ends what panicked and nothing else.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a thread whose work panicked waits before it goes on: one that panics at once must not fill the log.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs `f`. A panic in it becomes its text, and the caller drops or repairs what `f` may have left half done.
pub(crate) fn contained<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| text(&*payload))
}

/// The same for a future.
pub(crate) async fn contained_async<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|cx| match contained(|| future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Says that there was a panic that no plugin can be named for. Saying it may panic, too, if that was the log.
pub(crate) fn report(whose: &str, panic: &str) {
    drop(contained(|| tracing::error!("{whose} panicked and goes on: {panic}")));
}

/// Starts a thread that outlives a panic of its `body`: it is run again, with what it left behind, until it returns.
pub(crate) fn thread(name: String, mut body: impl FnMut() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.clone()).spawn(move || {
        while let Err(panic) = contained(&mut body) {
            report(&name, &panic);
            std::thread::park_timeout(PAUSE);
        }
    })
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_on_after_a_panic_with_what_it_left() {
        let (turns, seen) = std::sync::mpsc::sync_channel(4);
        let mut turn = 0;
        let ended = thread("test".to_owned(), move || {
            turn += 1;
            turns.send(turn).unwrap();
            assert!(turn == 4, "turn {turn}");
        });
        ended.unwrap().join().unwrap();
        assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_panic_becomes_its_text_whatever_its_type() {
        assert_eq!(contained(|| 1), Ok(1));
        assert_eq!(contained::<()>(|| panic!("plain")), Err("plain".to_owned()));
        assert_eq!(contained::<()>(|| panic!("of {}", 2)), Err("of 2".to_owned()));
        assert_eq!(contained::<()>(|| std::panic::panic_any(3)), Err("without a text".to_owned()));
    }
}
