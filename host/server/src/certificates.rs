//! Reads certificates again, on SIGHUP and when their files change, so that a renewed one needs no restart.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use duet_gateway::ListenerOptions;
use duet_transport::TlsIdentity;
use tokio::sync::watch;

/// How often the files are looked at.
const STEP: Duration = Duration::from_secs(10);

/// Never ends by itself. It waits for the disk, so it must not run on a thread that does I/O for clients.
pub(crate) async fn watch(listeners: &[ListenerOptions], mut hangups: watch::Receiver<u32>) -> Infallible {
    loop {
        let asked = tokio::select! {
            asked = hangups.changed() => asked.is_ok(),
            () = tokio::time::sleep(STEP) => false,
        };
        for listener in listeners {
            if let Some(identity) = listener.tls.as_deref().filter(|identity| asked || identity.changed()) {
                reload(listener, identity);
            }
        }
    }
}

fn reload(listener: &ListenerOptions, identity: &TlsIdentity) {
    let address = listener.address;
    match identity.reload() {
        Ok(()) => tracing::info!(%address, days_left = days_left(identity), "the certificate was read again"),
        Err(error) => tracing::error!(%address, "the old certificate stays in use: {error}"),
    }
}

/// How long the certificate is still valid, in whole days.
pub(crate) fn days_left(identity: &TlsIdentity) -> Option<u64> {
    let left = identity.expires()?.duration_since(SystemTime::now()).unwrap_or_default();
    Some(left.as_secs() / (24 * 3_600))
}
