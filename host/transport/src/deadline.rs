//! Waiting with a deadline.

use std::pin::pin;
use std::time::Instant;

use duet_core::grace;

/// Waits for a future until a deadline. `None` if the deadline passed. If that is noticed far too late, because the process was stopped, it
/// waits a little longer, so that what came in time still counts.
pub async fn in_time<F: Future>(mut deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    loop {
        if let Ok(output) = tokio::time::timeout_at(deadline.into(), future.as_mut()).await {
            return Some(output);
        }
        deadline = grace(deadline, Instant::now())?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_comes_right_after_a_stall_is_in_time_and_what_never_comes_is_not() {
        let deadline = Instant::now() + Duration::from_millis(50);
        let (tell, told) = tokio::sync::oneshot::channel();
        tokio::spawn(async {
            // The only thread stands still.
            std::thread::park_timeout(Duration::from_millis(700));
            tokio::time::sleep(Duration::from_millis(20)).await;
            tell.send(()).unwrap();
        });
        assert_eq!(in_time(deadline, told).await, Some(Ok(())));
        assert_eq!(in_time(Instant::now() + Duration::from_millis(50), std::future::pending::<()>()).await, None);
    }
}
