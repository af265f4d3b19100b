//! `duet client`: a person, or a script, at one end of a connection.

use std::process::ExitCode;
use std::time::Duration;

use duet_client::{Client, ClientOptions, Endpoint, Session, Trust};
use duet_codec::Format;
use tokio::io::BufReader;

use crate::cli::{ByteOrderName, ClientArguments, FormatArguments, ProfileName};
use crate::console::{self, ConsoleError, ConsoleOptions, Message};
use crate::output::{self, OutputError};

/// One message, or an interactive session.
pub(crate) fn client(arguments: &ClientArguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let done = runtime.block_on(talk(arguments));
    // Waiting for a line from the terminal would keep the program from ending.
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
    let options = ConsoleOptions { reply_timeout: wait, wait, ..ConsoleOptions::default() };
    let mut out = std::io::stdout();
    let done = match arguments.send {
        Some(route) => {
            let message = Message { route, seq: arguments.seq, body: arguments.body.parse()? };
            console::send(&mut client, message, &mut out, &options).await
        }
        None => {
            output::complain(format_args!("connected to {endpoint}; type ROUTE [SEQ] BODY, session or resume, end with ctrl-d"));
            console::run(&mut client, BufReader::new(tokio::io::stdin()), &mut out, &options).await
        }
    };
    match done {
        Err(ConsoleError::Output(error)) => return Err(OutputError::from(error).into()),
        done => done?,
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
