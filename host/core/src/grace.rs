//! Deadlines that are checked far too late.

use std::time::{Duration, Instant};

/// A deadline that is checked later than this was not being watched: the process was stopped, or got no CPU time.
pub const STALLED: Duration = Duration::from_millis(500);
/// How long a client then still gets to be heard, because it may have done its part in time.
const GRACE: Duration = Duration::from_secs(2);

/// The deadline to use instead of one that is checked far too late: what was sent in time may still be waiting to be read. `None` if
/// `deadline` has only just passed, or has not passed.
pub fn grace(deadline: Instant, now: Instant) -> Option<Instant> {
    (now.saturating_duration_since(deadline) > STALLED).then(|| now + GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_looks_much_too_late_waits_once_more() {
        let deadline = Instant::now() + GRACE;
        for (late, more) in [(0, None), (500, None), (501, Some(2_501)), (60_000, Some(62_000))] {
            let ms = Duration::from_millis;
            assert_eq!(grace(deadline, deadline + ms(late)), more.map(|more| deadline + ms(more)), "{late} ms late");
        }
        assert_eq!(grace(deadline, deadline - GRACE), None);
    }
}
