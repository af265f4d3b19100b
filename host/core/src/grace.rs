//! Deadlines that are looked at much too late.

use std::time::{Duration, Instant};

/// Who looks at a deadline so much later has not watched: its process was stopped, or had no time.
const STALLED: Duration = Duration::from_millis(500);
/// How long a client then has to be heard, because it may have done its part in time.
const GRACE: Duration = Duration::from_secs(2);

/// The deadline that counts instead of one that is looked at only now, if that is much too late: what was sent in time may still have to be
/// read. `None` for a deadline that has just passed, or has not.
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
