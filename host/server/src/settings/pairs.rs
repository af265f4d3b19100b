//! Settings that are each allowed and do not go together well: reported when the server starts.

use duet_core::EFFECT_BYTES_MAX;
use duet_session::HALF_CLOSED;

use duet_session::Timeouts;

use super::{PACKET_OVERHEAD_BYTES, PluginSettings, Settings};

/// The longest answer about a session: a token and two numbers.
const SESSION_ANSWER_BYTES: usize = 112;

impl Settings {
    /// One sentence for each pair, with both keys and values, and what to do.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        self.compare_sizes(&mut warnings);
        self.compare_times(&mut warnings);
        warnings
    }

    fn compare_sizes(&self, warnings: &mut Vec<String>) {
        let body = self.codec.body_bytes_max as usize;
        if body + PACKET_OVERHEAD_BYTES > EFFECT_BYTES_MAX {
            warnings.push(format!(
                "codec.body_bytes_max = {body}: clients may send this much, but a plugin cannot send more than {EFFECT_BYTES_MAX} bytes in one \
                 call; have it answer in parts"
            ));
        }
        let (addresses, connections) = (self.gate.options.guard.addresses_max, self.gate.options.connections_max);
        if addresses < connections {
            warnings.push(format!(
                "limits.addresses_max = {addresses} is below gateway.connections_max = {connections}: clients with addresses of their own \
                 cannot take all places; raise addresses_max"
            ));
        }
        for (at, listener) in self.listeners.iter().enumerate().filter(|(_, listener)| listener.client.sessions.resume) {
            let sessions = &listener.client.sessions;
            if body < SESSION_ANSWER_BYTES {
                warnings.push(format!(
                    "codec.body_bytes_max = {body} has no room for what resume = true answers on listener[{at}]: raise it to \
                     {SESSION_ANSWER_BYTES}, or set resume = false"
                ));
            }
            let (kept, least) = (sessions.resume_bytes, body + PACKET_OVERHEAD_BYTES);
            if sessions.resume_packets > 0 && kept < least {
                warnings.push(format!(
                    "resume_bytes = {kept} of listener[{at}] is too little for one packet of codec.body_bytes_max = {body}: a client that \
                     misses such a packet cannot resume; raise resume_bytes to {least}"
                ));
            }
            let total = self.gate.options.resume_bytes_total;
            if kept > total {
                warnings.push(format!(
                    "resume_bytes = {kept} of listener[{at}] is above gateway.resume_bytes_total = {total}, which is for all sessions \
                     together: no session can have that much; lower the first or raise the second"
                ));
            }
        }
    }

    fn compare_times(&self, warnings: &mut Vec<String>) {
        let Timeouts { first_packet: first, packet, .. } = self.gate.client.timeouts;
        if first < packet {
            warnings.push(format!(
                "gateway.first_packet_timeout = {first:?} is below gateway.packet_timeout = {packet:?}: a first packet has less time than \
                 others; raise first_packet_timeout"
            ));
        }
        let (spread, drain) = (self.gate.options.drain_spread, self.process.drain_timeout);
        // Without a timeout nothing is spread, and nobody expects it.
        if spread > drain && !drain.is_zero() {
            warnings.push(format!(
                "gateway.drain_spread = {spread:?} is above drain_timeout = {drain:?}: the last connections are closed all at once; raise \
                 drain_timeout"
            ));
        }
        for (at, listener) in
            self.listeners.iter().enumerate().filter(|(_, listener)| !listener.client.timeouts.heartbeat_interval.is_zero())
        {
            let interval = listener.client.timeouts.heartbeat_interval;
            if first <= interval {
                warnings.push(format!(
                    "gateway.first_packet_timeout = {first:?} is not above heartbeat_interval = {interval:?} of listener[{at}]: a client \
                     that only sends heartbeats sends the first after one interval, and is closed before; raise first_packet_timeout"
                ));
            }
            if packet > interval * 2 {
                warnings.push(format!(
                    "gateway.packet_timeout = {packet:?} is above two times heartbeat_interval = {interval:?} of listener[{at}]: a packet \
                     that takes longer than these is closed as silence; raise heartbeat_interval"
                ));
            }
        }
    }
}

impl PluginSettings {
    /// The same for the settings of one plugin. `waits`: it can wait, so that `wait_timeout` counts.
    pub(crate) fn warnings(&self, waits: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        let options = &self.options;
        let (queue, budget, wait) = (options.queue_timeout, options.call_budget, options.wait_timeout);
        let (name, call) = if waits { ("wait_timeout", wait) } else { ("call_budget", budget) };
        if queue < call {
            warnings.push(format!(
                "queue_timeout = {queue:?} is below {name} = {call:?}: what waits behind one long call is answered `timeout`; raise \
                 queue_timeout"
            ));
        }
        if waits && wait < budget {
            warnings.push(format!(
                "wait_timeout = {wait:?} is below call_budget = {budget:?}: no call can use its budget; raise wait_timeout or lower \
                 call_budget"
            ));
        }
        if queue + call > HALF_CLOSED {
            warnings.push(format!(
                "queue_timeout = {queue:?} and {name} = {call:?} are together above {HALF_CLOSED:?}: a client that ends its side gets no \
                 answer that comes later than that; lower one of them"
            ));
        }
        let (faults, window) = (options.faults_max, options.faults_window);
        if budget * faults > window {
            warnings.push(format!(
                "faults_window = {window:?} is shorter than faults_max = {faults} calls that use up call_budget = {budget:?}: a plugin that \
                 loops is never put into quarantine; raise faults_window"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENER: &str = "[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\n";

    fn warned(text: &str) -> Vec<String> {
        Settings::parse("duet.toml", text).unwrap().warnings()
    }

    fn of_plugin(text: &str, waits: bool) -> Vec<String> {
        PluginSettings::parse("echo.toml", text, &PluginSettings::default()).unwrap().warnings(waits)
    }

    /// Both keys and values are named.
    fn names(warning: &str, words: &[&str]) {
        words.iter().for_each(|word| assert!(warning.contains(word), "{word}: {warning}"));
    }

    #[test]
    fn nothing_is_said_of_the_defaults() {
        assert_eq!(Settings::default().warnings(), [""; 0]);
        for waits in [false, true] {
            assert_eq!(PluginSettings::default().warnings(waits), [""; 0]);
        }
        assert_eq!(warned("drain_timeout = \"0s\"\n[gateway]\nheartbeat_interval = \"0s\"\npacket_timeout = \"15s\""), [""; 0]);
    }

    #[test]
    fn every_pair_that_does_not_go_together_is_told_with_both_values() {
        let large = "[gateway]\nwrite_queue_bytes = \"8MiB\"\nresume_bytes = \"8MiB\"\n[runtime]\nqueue_bytes = \"8MiB\"\n";
        for (text, words) in [
            (format!("{large}[codec]\nbody_bytes_max = \"4MiB\"\n"), vec!["codec.body_bytes_max = 4194304", "4194304 bytes in one"]),
            ("[limits]\naddresses_max = 9999".into(), vec!["limits.addresses_max = 9999", "gateway.connections_max = 10000"]),
            (format!("[codec]\nbody_bytes_max = 111\n{LISTENER}"), vec!["codec.body_bytes_max = 111", "resume = true", "listener[0]"]),
            (format!("{LISTENER}resume_bytes = 65599"), vec!["resume_bytes = 65599", "codec.body_bytes_max = 65536", "to 65600"]),
            (
                format!("[gateway]\nresume_bytes_total = \"1MiB\"\n{LISTENER}resume_bytes = \"2MiB\""),
                vec!["resume_bytes = 2097152", "gateway.resume_bytes_total = 1048576"],
            ),
            (
                "[gateway]\nfirst_packet_timeout = \"11s\"\npacket_timeout = \"12s\"".into(),
                vec!["gateway.first_packet_timeout = 11s", "gateway.packet_timeout = 12s"],
            ),
            ("drain_timeout = \"500ms\"".into(), vec!["gateway.drain_spread = 1s", "drain_timeout = 500ms"]),
            (
                format!("{LISTENER}heartbeat_interval = \"15s\""),
                vec!["gateway.first_packet_timeout = 15s", "heartbeat_interval = 15s of listener[0]"],
            ),
            (
                format!("{LISTENER}heartbeat_interval = \"2s\""),
                vec!["gateway.packet_timeout = 5s", "two times heartbeat_interval = 2s of listener[0]"],
            ),
        ] {
            let warnings = warned(&text);
            assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
            names(&warnings[0], &words);
        }
        for (text, waits, words) in [
            ("queue_timeout = \"2s\"", true, ["queue_timeout = 2s", "wait_timeout = 3s"]),
            ("queue_timeout = \"40ms\"", false, ["queue_timeout = 40ms", "call_budget = 50ms"]),
            ("wait_timeout = \"40ms\"", true, ["wait_timeout = 40ms", "call_budget = 50ms"]),
            ("queue_timeout = \"28s\"", true, ["queue_timeout = 28s", "wait_timeout = 3s"]),
            ("faults_max = 201", false, ["faults_window = 10s", "call_budget = 50ms"]),
        ] {
            let warnings = of_plugin(text, waits);
            assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
            names(&warnings[0], &words);
        }
    }
}
