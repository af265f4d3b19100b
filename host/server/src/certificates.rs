//! Reads certificates again, on SIGHUP and when their files change, so that a renewed one needs no restart.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use duet_gateway::ListenerOptions;
use duet_transport::TlsIdentity;
use tokio::sync::watch;

use crate::panics;

/// How often the files are checked.
const STEP: Duration = Duration::from_secs(10);

/// Never ends by itself. It waits for the disk, so it must not run on a thread that does I/O for clients.
pub(crate) async fn watch(listeners: &[ListenerOptions], mut hangups: watch::Receiver<u32>) -> Infallible {
    loop {
        let asked = tokio::select! {
            // Without a sender, nobody will ask again.
            Ok(()) = hangups.changed() => true,
            () = tokio::time::sleep(STEP) => false,
        };
        for listener in listeners {
            panics::survive("reading a certificate", || {
                if let Some(identity) = listener.tls.as_deref().filter(|identity| asked || identity.changed()) {
                    reload(listener, identity);
                }
            });
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Waker};

    use duet_testkit::{Log, Pki};

    use super::*;
    use crate::settings::Settings;
    use crate::wiring;

    #[test]
    fn a_panic_while_a_certificate_is_read_costs_neither_the_next_listener_nor_the_next_time() {
        let (pki, lines) = (Pki::new(), Arc::<AtomicU32>::default());
        let listener = |port| format!("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:{port}\"\n{}", pki.settings());
        let settings = Settings::parse("duet.toml", &(listener(1) + &listener(2))).unwrap();
        let listeners: Vec<_> = settings.listeners.iter().map(|one| wiring::listener(&settings, one).unwrap()).collect();
        let (ask, asked) = watch::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut watching = pin!(watch(&listeners, asked));
        let mut turn = || assert!(watching.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let counted = Arc::clone(&lines);
        // It panics, and counts how often.
        let broken = Log::new(tracing::Level::TRACE, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("injected into the log");
        });
        tracing::subscriber::with_default(broken, || {
            for time in 1..4 {
                ask.send_replace(time);
                turn();
                // Each of the two says that it was read, which panics.
                assert!(lines.load(Ordering::SeqCst) >= 2 * time);
            }
            drop(ask);
            turn();
        });
    }
}
