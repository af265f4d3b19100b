//! `duet plugin`: asks the server that runs here.

mod ask;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use duet_client::Shown;
use duet_control::{Request, Verb};

use self::ask::{AskError, ask};
use crate::cli::{PluginArguments, PluginCommand};
use crate::output;
use crate::settings::Settings;

/// What it ends with if no server was reached.
const UNREACHED: u8 = 3;

/// Asks for what the command says, and shows the answer.
pub(crate) fn plugin(arguments: &PluginArguments) -> anyhow::Result<ExitCode> {
    let Some(socket) = socket(arguments)? else { return Ok(ExitCode::FAILURE) };
    let line = Request { id: 0, verb: verb(&arguments.command)? }.line()?;
    match ask(&socket, &line) {
        Ok(answer) => {
            if arguments.json {
                output::print(answer.line())?;
            }
            match answer.result {
                Ok(_) if arguments.json => {}
                Ok(done) => output::print(show::done(&done, SystemTime::now()))?,
                Err(refusal) => {
                    output::complain(format_args!("duet: {}", Shown(&refusal.text)));
                    return Ok(ExitCode::FAILURE);
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            output::complain(format_args!("duet: {error}"));
            Ok(ExitCode::from(if matches!(error, AskError::Unreached { .. }) { UNREACHED } else { 1 }))
        }
    }
}

/// Where the server listens. Mistakes in the settings are told here.
fn socket(arguments: &PluginArguments) -> anyhow::Result<Option<PathBuf>> {
    if let Some(path) = &arguments.control {
        return Ok(Some(path.clone()));
    }
    match Settings::load(arguments.config.as_deref()) {
        Ok(settings) => match settings.process.control {
            Some(path) => Ok(Some(path)),
            None => anyhow::bail!("the settings switch the control socket off (`control = \"\"`), so no command reaches the server"),
        },
        Err(mistakes) => {
            output::complain(mistakes);
            Ok(None)
        }
    }
}

fn verb(command: &PluginCommand) -> anyhow::Result<Verb> {
    Ok(match command {
        PluginCommand::List => Verb::List {},
        PluginCommand::Swap { name, file, force } => {
            // The server is in another folder.
            let file = file.as_ref().map(std::path::absolute).transpose()?;
            Verb::Swap { name: name.clone(), file, force: *force }
        }
        PluginCommand::Rollback { name, hash } => Verb::RollBack { name: name.clone(), hash: hash.clone() },
        PluginCommand::Log { name } => Verb::Log { name: name.clone() },
    })
}
