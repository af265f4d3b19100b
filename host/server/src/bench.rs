//! `duet bench`: loads on a server.

use std::process::ExitCode;
use std::time::Duration;

use duet_client::Endpoint;
use duet_codec::Format;
use duet_load::{Audience, BroadcastOptions, ConnectsOptions, IdleOptions, LoadBody, LoadError, LoadOptions, LoadReport, Loss, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{AudienceName, BenchArguments};
use crate::client::format;
use crate::output;

/// How long one connection may take to open.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// How often clients of games usually send one.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// What all loads that are measured have in common.
struct Target {
    endpoint: Endpoint,
    format: Format,
    warm_up: Duration,
    duration: Duration,
}

/// Measures, or holds connections.
pub(crate) fn bench(arguments: &BenchArguments) -> anyhow::Result<ExitCode> {
    let kind = &arguments.load;
    let (endpoint, format) = (arguments.endpoint.parse::<Endpoint>()?, format(&arguments.format)?);
    if kind.idle {
        return idle(arguments, endpoint, format);
    }
    let duration = Duration::try_from_secs_f64(arguments.seconds)?;
    let target = Target { endpoint, format, warm_up: duration / 5, duration };
    let bar = bar(target.warm_up + duration)?;
    let progress = |progress: &Progress| {
        bar.set_position(progress.elapsed.as_secs());
        bar.set_message(format!("{:.0}/s, {} connections", progress.rate, progress.open));
    };
    let report = if let Some(audience) = kind.broadcast {
        duet_load::broadcast(&broadcast_options(arguments, target, audience), progress)
    } else if kind.connect {
        duet_load::connects(&connects_options(arguments, target), progress)
    } else {
        duet_load::run(&load_options(arguments, target), progress)
    };
    bar.finish_and_clear();
    show(report, arguments.line)
}

fn load_options(arguments: &BenchArguments, Target { endpoint, format, warm_up, duration }: Target) -> LoadOptions {
    LoadOptions {
        connections: arguments.connections,
        window: arguments.window,
        route: arguments.route,
        // A body that was given may be answered with anything.
        same_size: arguments.body.is_none(),
        body: body(arguments),
        warm_up,
        duration,
        loss: Loss { part: arguments.loss / 100.0, seed: arguments.loss_seed },
        ..LoadOptions::new(endpoint, format)
    }
}

fn connects_options(arguments: &BenchArguments, Target { endpoint, format, warm_up, duration }: Target) -> ConnectsOptions {
    let BenchArguments { connections, route, .. } = *arguments;
    ConnectsOptions { endpoint, format, connections, route, body: body(arguments), warm_up, duration, dial_timeout: DIAL_TIMEOUT }
}

fn broadcast_options(arguments: &BenchArguments, target: Target, audience: AudienceName) -> BroadcastOptions {
    let Target { endpoint, format, warm_up, duration } = target;
    let BenchArguments { connections, window, letters, .. } = *arguments;
    let audience = match audience {
        AudienceName::Channel => Audience::Channel,
        AudienceName::All => Audience::All,
    };
    BroadcastOptions { endpoint, format, connections, window, audience, letters, warm_up, duration, dial_timeout: DIAL_TIMEOUT }
}

fn body(arguments: &BenchArguments) -> LoadBody {
    arguments.body.as_ref().map_or(LoadBody::Letters(arguments.letters), |text| LoadBody::Bytes(text.clone().into_bytes()))
}

fn show(report: Result<LoadReport, LoadError>, line: bool) -> anyhow::Result<ExitCode> {
    let report = report?;
    if line {
        output::print(&report)?
    } else {
        output::print(report.table())?
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn idle(arguments: &BenchArguments, endpoint: Endpoint, format: Format) -> anyhow::Result<ExitCode> {
    let options = IdleOptions {
        endpoint,
        format,
        connections: arguments.connections,
        hold: Duration::try_from_secs_f64(arguments.seconds)?,
        heartbeat_interval: Some(HEARTBEAT_INTERVAL),
        dial_timeout: DIAL_TIMEOUT,
        process: arguments.process,
    };
    let bar = bar(options.hold)?;
    let report = duet_load::hold_idle(&options, |progress| {
        bar.set_position(progress.held.unwrap_or_default().as_secs());
        bar.set_message(format!("{} of {} connections open", progress.open, progress.opened));
    });
    bar.finish_and_clear();
    let report = report?;
    output::print(report)?;
    Ok(if report.ended == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Seconds on standard error, and only on a terminal.
fn bar(length: Duration) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} s  {msg}")?;
    Ok(ProgressBar::new(length.as_secs()).with_style(style))
}
