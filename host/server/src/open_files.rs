//! How many files this process may have open: each connection of tcp and ws is one.

use duet_gateway::{ListenerOptions, PARTINGS_MAX};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::Settings;

/// What is open besides sockets of clients and listeners: the log, epoll, event and signal descriptors of the threads, plugins while they
/// are loaded.
const OTHERS: usize = 64;

/// Raises the soft limit to the hard one. Returns the limit that holds now; `None` if there is none.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_err() {
        return limit.current;
    }
    limit.maximum
}

/// What to say if the settings promise more connections than files may be open.
pub(crate) fn warning(settings: &Settings, listeners: &[ListenerOptions], limit: Option<u64>) -> Option<String> {
    let streams = listeners.iter().filter(|listener| !listener.protocol.is_udp()).count();
    if streams == 0 {
        return None;
    }
    let connections = settings.gate.options.connections_max;
    let needed = connections + streams * PARTINGS_MAX + listeners.len() + OTHERS;
    let limit = limit.filter(|limit| *limit < needed as u64)?;
    Some(format!(
        "gateway.connections_max = {connections} needs up to {needed} open files, but this process may have {limit}: raise the hard limit \
         (`ulimit -Hn`, LimitNOFILE of systemd), or lower connections_max"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wiring;

    fn warned(text: &str, limit: Option<u64>) -> Option<String> {
        let settings = Settings::parse("duet.toml", text).unwrap();
        let listeners: Vec<_> = settings.listeners.iter().map(|listener| wiring::listener(&settings, listener).unwrap()).collect();
        warning(&settings, &listeners, limit)
    }

    #[test]
    fn connections_above_the_limit_are_warned_of_with_both_numbers() {
        // Two listeners: 1,000 connections, 128 partings for each, themselves, and 64 others.
        let few = "[gateway]\nconnections_max = 1000";
        let text = warned(few, Some(1321)).unwrap();
        assert!(text.contains("connections_max = 1000 needs up to 1322 open files, but this process may have 1321"), "{text}");
        assert_eq!(warned(few, Some(1322)), None);
        assert_eq!(warned(few, None), None);
    }

    #[test]
    fn sessions_of_kcp_are_no_files() {
        let kcp = "[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n";
        assert_eq!(warned(kcp, Some(100)), None);
        assert!(warned(&kcp.replace("kcp", "tcp"), Some(100)).is_some());
    }
}
