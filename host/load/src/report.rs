//! What a load run found, as one line for programs and as a table for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::measure::Measured;
use super::tally::Tally;
use duet_client::Endpoint;

/// The result of a run. `Display` writes it as one line of `key=value`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadReport {
    /// What is counted as a reply: `replies`, or `deliveries` of broadcasts, or `connections` that were opened and had their first reply.
    pub counted: &'static str,
    /// The server, as its endpoint is written.
    pub endpoint: String,
    /// Connections opened, or open at a time.
    pub connections: usize,
    /// Outstanding requests of each connection; for broadcasts, those of the one that asks for them.
    pub window: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Time measured, without the warm-up.
    pub measured: Duration,
    /// Replies in the measured time: the right route, seq and size.
    pub replies: u64,
    /// Replies per second in the measured time.
    pub rate: f64,
    /// Half of the replies came within this time. Latencies are from just before the request is handed to the system to the end of the
    /// read that brought the reply, so the time a request waits for a full socket counts.
    pub p50: Duration,
    /// 90 % of the replies came within this time.
    pub p90: Duration,
    /// 99 % of the replies came within this time.
    pub p99: Duration,
    /// 99.9 % of the replies came within this time.
    pub p999: Duration,
    /// The slowest reply.
    pub max: Duration,
    /// Bytes received in the measured time, ws headers included.
    pub bytes_in: u64,
    /// Bytes sent in the measured time, ws headers included.
    pub bytes_out: u64,
    /// Error packets by their code, from the first request on.
    pub errors: BTreeMap<u16, u64>,
    /// Packets that answer no outstanding request, or with the wrong route or size, from the first request on.
    pub bad: u64,
    /// What was wrong with the first bad packet.
    pub first_bad: Option<String>,
    /// Packets with seq 0, which are pushes, from the first request on.
    pub pushes: u64,
    /// Answers that came before one to an older request of their connection, from the first request on.
    pub reordered: u64,
    /// Requests without an answer after the drain.
    pub unanswered: u64,
    /// Connections that the server ended.
    pub ended: usize,
    /// Processor time of the generator in the measured time. Near `measured` means that the generator, not the server, is the limit.
    pub cpu: Duration,
}

/// What a report is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) counted: &'static str,
    pub(super) endpoint: &'a Endpoint,
    pub(super) connections: usize,
    pub(super) window: usize,
    pub(super) body_bytes: usize,
}

/// A [`LoadReport`] for people: a few lines.
#[derive(Debug, Clone, Copy)]
pub struct LoadTable<'a>(&'a LoadReport);

impl LoadReport {
    pub(super) fn new(subject: Subject<'_>, tally: &Tally, measured: Measured) -> Self {
        Self {
            counted: subject.counted,
            endpoint: subject.endpoint.to_string(),
            connections: subject.connections,
            window: subject.window,
            body_bytes: subject.body_bytes,
            measured: measured.time,
            replies: tally.replies,
            rate: tally.replies as f64 / measured.time.as_secs_f64(),
            p50: tally.latency(0.5),
            p90: tally.latency(0.9),
            p99: tally.latency(0.99),
            p999: tally.latency(0.999),
            max: tally.latency_max(),
            bytes_in: tally.bytes_in,
            bytes_out: tally.bytes_out,
            errors: BTreeMap::new(),
            bad: 0,
            first_bad: None,
            pushes: 0,
            reordered: 0,
            unanswered: 0,
            ended: 0,
            cpu: measured.cpu,
        }
    }

    /// Adds what is known only after the last answers.
    pub(super) fn complete(&mut self, tally: &Tally, ended: usize, unanswered: u64) {
        self.errors.clone_from(&tally.errors);
        self.bad = tally.bad;
        self.first_bad.clone_from(&tally.first_bad);
        self.pushes = tally.pushes;
        self.reordered = tally.reordered;
        self.ended = ended;
        self.unanswered = unanswered;
    }

    /// Error packets of all codes.
    pub fn errors_all(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Whether every request had its right answer and every connection stayed open.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.bad == 0 && self.unanswered == 0 && self.ended == 0
    }

    /// The report for people.
    pub fn table(&self) -> LoadTable<'_> {
        LoadTable(self)
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = Duration::as_micros;
        write!(f, "endpoint={} conns={} window={} body={}", self.endpoint, self.connections, self.window, self.body_bytes)?;
        write!(f, " seconds={:.2} rate={:.0} replies={}", self.measured.as_secs_f64(), self.rate, self.replies)?;
        write!(f, " p50_us={} p90_us={} p99_us={}", us(&self.p50), us(&self.p90), us(&self.p99))?;
        write!(f, " p999_us={} max_us={}", us(&self.p999), us(&self.max))?;
        write!(f, " bytes_in={} bytes_out={} errors={}", self.bytes_in, self.bytes_out, self.errors_all())?;
        for (code, count) in &self.errors {
            write!(f, " error_{code}={count}")?;
        }
        write!(f, " bad={} reordered={} unanswered={}", self.bad, self.reordered, self.unanswered)?;
        write!(f, " pushes={}", self.pushes)?;
        write!(f, " ended={} load_cpu_s={:.2}", self.ended, self.cpu.as_secs_f64())
    }
}

impl fmt::Display for LoadTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let seconds = report.measured.as_secs_f64();
        let mib = |bytes: u64| bytes as f64 / seconds / f64::from(1 << 20);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(f, "server      {}", report.endpoint)?;
        writeln!(f, "load        {} connections x {} outstanding, body {} bytes", report.connections, report.window, report.body_bytes)?;
        writeln!(f, "{:<11} {} in {seconds:.2} s", report.counted, report.replies)?;
        writeln!(f, "rate        {:.0} {}/s", report.rate, report.counted)?;
        write!(f, "latency ms  p50 {:.3}  p90 {:.3}  p99 {:.3}", ms(report.p50), ms(report.p90), ms(report.p99))?;
        writeln!(f, "  p99.9 {:.3}  max {:.3}", ms(report.p999), ms(report.max))?;
        writeln!(f, "traffic     in {:.1} MiB/s  out {:.1} MiB/s", mib(report.bytes_in), mib(report.bytes_out))?;
        writeln!(f, "generator   {:.0} % of one core", report.cpu.as_secs_f64() / seconds * 100.0)?;
        write!(f, "reordered   {}", report.reordered)?;
        if report.is_clean() {
            return write!(f, "\nfaults      none");
        }
        for (code, count) in &report.errors {
            write!(f, "\nfaults      {count} error packets with code {code}")?;
        }
        if report.bad > 0 {
            write!(f, "\nfaults      {} bad packets; the first: {}", report.bad, report.first_bad.as_deref().unwrap_or_default())?;
        }
        if report.unanswered > 0 {
            write!(f, "\nfaults      {} requests without an answer", report.unanswered)?;
        }
        if report.ended > 0 {
            write!(f, "\nfaults      {} connections ended by the server", report.ended)?;
        }
        Ok(())
    }
}
