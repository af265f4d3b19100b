//! Contains panics: one ends what panicked, and nothing else.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// How long a thread pauses after its work panicked: work that panics again at once must not fill the log.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs `f` and turns a panic in it into an error. The caller drops or repairs what `f` may have left half done.
///
/// # Errors
/// The message of the panic.
pub fn contained<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(told)
}

/// The message of a panic that was caught, whose payload ends here: that may panic, too, and then what comes of it is left where it is.
pub fn told(payload: Box<dyn Any + Send>) -> String {
    let text = text(&*payload).to_owned();
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    text
}

/// The same for a future, which stays where the caller has pinned it (`pin!`): one that is moved in here would have its size twice.
///
/// # Errors
/// The message of the panic.
pub fn contained_async<T>(mut future: Pin<&mut impl Future<Output = T>>) -> impl Future<Output = Result<T, String>> {
    poll_fn(move |cx| match contained(|| future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
}

/// Runs the work of a thread until it returns. After a panic, `report` gets the message, and the work runs again with the state it left
/// behind.
pub fn until_done(mut work: impl FnMut(), report: impl Fn(&str)) {
    while let Err(panic) = contained(&mut work) {
        report(&panic);
        std::thread::park_timeout(PAUSE);
    }
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_after_a_panic_with_what_it_left() {
        let (mut turn, reports) = (0, std::cell::RefCell::new(Vec::new()));
        until_done(
            || {
                turn += 1;
                assert!(turn == 3, "turn {turn}");
            },
            |panic| reports.borrow_mut().push(panic.to_owned()),
        );
        assert_eq!(*reports.borrow(), ["turn 1", "turn 2"]);
    }

    #[test]
    fn a_payload_whose_end_panics_is_contained_with_its_panic() {
        struct Fragile;
        impl Drop for Fragile {
            fn drop(&mut self) {
                panic!("injected into the end of a payload");
            }
        }
        assert_eq!(contained::<()>(|| std::panic::panic_any(Fragile)), Err("without a text".to_owned()));
    }

    #[test]
    fn a_panic_becomes_its_text_whatever_its_type() {
        assert_eq!(contained(|| 1), Ok(1));
        assert_eq!(contained::<()>(|| panic!("plain")), Err("plain".to_owned()));
        assert_eq!(contained::<()>(|| panic!("of {}", 2)), Err("of 2".to_owned()));
        assert_eq!(contained::<()>(|| std::panic::panic_any(3)), Err("without a text".to_owned()));
    }
}
