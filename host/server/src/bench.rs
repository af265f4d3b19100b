//! `duet bench`: a load on a server, and the bare echoes that its figures are held against.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use duet_client::load::{self, IdleOptions, LoadBody, LoadOptions};
use duet_client::{Endpoint, Transport, bare_echo};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::BenchArguments;
use crate::client::format;

/// Measures, holds connections, or serves a bare echo.
pub(crate) fn bench(arguments: &BenchArguments) -> anyhow::Result<ExitCode> {
    if let Some(address) = arguments.bare_echo {
        return serve(address, Transport::Tcp);
    }
    if let Some(address) = arguments.bare_ws_echo {
        return serve(address, Transport::Ws);
    }
    let endpoint: Endpoint = arguments.endpoint.parse()?;
    if arguments.idle { idle(arguments, endpoint) } else { measure(arguments, endpoint) }
}

fn measure(arguments: &BenchArguments, endpoint: Endpoint) -> anyhow::Result<ExitCode> {
    let duration = Duration::try_from_secs_f64(arguments.seconds)?;
    let body = arguments.body.as_ref().map_or(LoadBody::Letters(arguments.letters), |text| LoadBody::Bytes(text.clone().into_bytes()));
    let options = LoadOptions {
        connections: arguments.connections,
        window: arguments.window,
        route: arguments.route,
        // A body of one's own may be answered by anything.
        same_size: arguments.body.is_none(),
        body,
        warm_up: duration / 5,
        duration,
        ..LoadOptions::new(endpoint, format(&arguments.format)?)
    };
    let bar = bar(options.warm_up + duration)?;
    let report = load::run(&options, |progress| {
        bar.set_position(progress.elapsed.as_secs());
        bar.set_message(format!("{:.0} replies/s, {} connections", progress.rate, progress.open));
    });
    bar.finish_and_clear();
    let report = report?;
    if arguments.line {
        println!("{report}");
    } else {
        println!("{}", report.table());
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn idle(arguments: &BenchArguments, endpoint: Endpoint) -> anyhow::Result<ExitCode> {
    let options = IdleOptions {
        endpoint,
        format: format(&arguments.format)?,
        connections: arguments.connections,
        hold: Duration::try_from_secs_f64(arguments.seconds)?,
        heartbeat_interval: Some(Duration::from_secs(10)),
        dial_timeout: Duration::from_secs(3),
    };
    let bar = bar(options.hold)?;
    let report = load::hold_idle(&options, |progress| {
        bar.set_position(progress.held.unwrap_or_default().as_secs());
        bar.set_message(format!("{} of {} connections open", progress.open, progress.opened));
    });
    bar.finish_and_clear();
    let report = report?;
    println!("{report}");
    Ok(if report.ended == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Seconds on standard error, and only on a terminal.
fn bar(length: Duration) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} s  {msg}")?;
    Ok(ProgressBar::new(length.as_secs()).with_style(style))
}

fn serve(address: SocketAddr, transport: Transport) -> anyhow::Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        println!("bare echo on {}", listener.local_addr()?);
        match transport {
            Transport::Tcp => bare_echo::tcp(listener).await,
            Transport::Ws => bare_echo::ws(listener).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
