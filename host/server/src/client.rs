//! `duet client`: a person, or a script, at one end of a connection.

use std::io::Cursor;
use std::process::ExitCode;
use std::time::Duration;

use duet_client::console::{ConsoleOptions, run};
use duet_client::{Client, ClientOptions, Endpoint, Session, Trust};
use duet_codec::Format;
use tokio::io::BufReader;

use crate::cli::{ByteOrderName, ClientArguments, FormatArguments, ProfileName};

/// One message, or an interactive session.
pub(crate) fn client(arguments: &ClientArguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let done = runtime.block_on(talk(arguments));
    // A terminal that waits for a line would hold the program.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn talk(arguments: &ClientArguments) -> anyhow::Result<()> {
    let endpoint: Endpoint = arguments.endpoint.parse()?;
    let (format, options) = (format(&arguments.format)?, options(arguments));
    let mut client = match &arguments.resume {
        Some(token) => Client::resume(&endpoint, format, options, &Session::from_token(token, arguments.received)).await?,
        None => Client::connect(&endpoint, format, options).await?,
    };
    let wait = Duration::from_millis(arguments.wait);
    let mut out = std::io::stdout();
    match arguments.send {
        Some(route) => {
            let seq = arguments.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
            let line = format!("{route} {seq} {}\n", arguments.body);
            let options = ConsoleOptions { one_shot: true, reply_timeout: wait, wait, ..ConsoleOptions::default() };
            run(&mut client, Cursor::new(line.into_bytes()), &mut out, &options).await?;
        }
        None => {
            eprintln!("connected to {endpoint}; type ROUTE [SEQ] BODY, session or resume, end with ctrl-d");
            let options = ConsoleOptions { reply_timeout: wait, wait, ..ConsoleOptions::default() };
            run(&mut client, BufReader::new(tokio::io::stdin()), &mut out, &options).await?;
        }
    }
    client.close().await;
    Ok(())
}

fn options(arguments: &ClientArguments) -> ClientOptions {
    let trust = match &arguments.ca_file {
        _ if arguments.accept_any_certificate => Trust::AcceptAnyCertificate,
        Some(file) => Trust::Authorities(file.clone()),
        None => Trust::WebRoots,
    };
    ClientOptions { trust, session_route: arguments.session_route, ..ClientOptions::default() }
}

/// The wire format that the arguments describe.
pub(crate) fn format(arguments: &FormatArguments) -> anyhow::Result<Format> {
    let profile = match arguments.profile {
        ProfileName::Due2 => duet_codec::Profile::Due2,
        ProfileName::Seed => duet_codec::Profile::Seed,
    };
    let byte_order = match arguments.byte_order {
        ByteOrderName::Big => duet_codec::ByteOrder::Big,
        ByteOrderName::Little => duet_codec::ByteOrder::Little,
    };
    Ok(Format::new(profile, byte_order, arguments.route_bytes, arguments.seq_bytes, arguments.body_bytes_max)?)
}
