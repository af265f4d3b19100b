//! What the gate refused, for the log.

use std::convert::Infallible;
use std::time::Duration;

use duet_gateway::{Refusal, Stats};

use crate::panics;

const MINUTE: Duration = Duration::from_secs(60);

/// Logs once a minute what was refused in it, if anything was. Never ends.
pub(crate) async fn watch(stats: &Stats) -> Infallible {
    let mut before = counts(stats);
    loop {
        tokio::time::sleep(MINUTE).await;
        panics::survive("counting what was refused", || {
            let now = counts(stats);
            let grown = growth(&std::mem::replace(&mut before, now.clone()), &now);
            if !grown.is_empty() {
                tracing::info!("refused in the last minute: {grown}");
            }
        });
    }
}

/// What was refused since the start.
pub(crate) fn all(stats: &Stats) -> String {
    growth(&[], &counts(stats))
}

fn counts(stats: &Stats) -> Vec<u64> {
    Refusal::ALL.iter().map(|refusal| stats.refused(*refusal)).collect()
}

/// What has grown, by name.
fn growth(before: &[u64], now: &[u64]) -> String {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    let grown = Refusal::ALL.iter().zip(now.iter().zip(before)).filter(|(_, (now, before))| *now > before);
    grown.map(|(refusal, (now, before))| format!("{}={}", refusal.name(), now - before)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_become_more_is_named() {
        let none = vec![0; Refusal::ALL.len()];
        let mut now = none.clone();
        now[Refusal::MessageRate as usize] = 7;
        now[Refusal::Body as usize] = 1;
        assert_eq!(growth(&none, &now), "message_rate=7 body=1");
        assert_eq!(growth(&[], &now), "message_rate=7 body=1");
        let before = now.clone();
        now[Refusal::Body as usize] = 4;
        assert_eq!(growth(&before, &now), "body=3");
        assert_eq!(growth(&now, &now), "");
    }

    #[test]
    fn a_gate_that_refused_nothing_has_nothing_to_say() {
        assert_eq!(all(&Stats::default()), "");
    }
}
