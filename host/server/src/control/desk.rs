//! Does what is asked for.

use std::path::Path;
use std::sync::Arc;

use duet_control::{Done, Refusal, RefusalCode, RefusedFile, Swapped, Verb};
use duet_runtime::{Loaded, Runtime};

use super::report;
use super::talk::Perform;
use crate::drop_folder::{DropFolder, is_name};
use crate::lent::Lender;
use crate::panics;
use crate::settings::PluginSettings;

/// Does it with the plugins of this server.
pub(crate) struct Desk {
    pub(crate) lender: Lender,
    pub(crate) folder: Arc<DropFolder>,
}

impl Perform for Desk {
    fn perform(&self, verb: Verb) -> Result<Done, Refusal> {
        let stopping = || refusal(RefusalCode::Stopping, "the server is stopping");
        let runtime = self.lender.lend().ok_or_else(stopping)?;
        let done = panics::survive("a command", || match verb {
            Verb::List {} => Ok(self.list(&runtime)),
            Verb::Swap { name, file, force } => self.swap(&runtime, &name, file.as_deref(), force).map(Done::Swap),
            Verb::RollBack { name, hash } => self.roll_back(&runtime, &name, hash.as_deref()).map(Done::RollBack),
            Verb::Log { name } => log(&runtime, name),
        });
        done.unwrap_or_else(|| Err(refusal(RefusalCode::Internal, "the server panicked; its log says where")))
    }
}

fn refusal(code: RefusalCode, text: impl Into<String>) -> Refusal {
    Refusal { code, text: text.into() }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn refused(error: impl ToString) -> Refusal {
    refusal(RefusalCode::Refused, error.to_string())
}

fn serves(runtime: &Runtime, name: &str) -> bool {
    runtime.snapshot().iter().any(|plugin| plugin.name == name)
}

/// A plugin of this name, or those that there are.
fn known(runtime: &Runtime, name: &str) -> Result<(), Refusal> {
    let names: Vec<String> = runtime.snapshot().into_iter().map(|plugin| plugin.name).collect();
    if names.iter().any(|other| other == name) {
        return Ok(());
    }
    let others = if names.is_empty() { "none does".to_owned() } else { format!("these do: {}", names.join(", ")) };
    Err(refusal(RefusalCode::NoPlugin, format!("no plugin `{name}` serves; {others}")))
}

fn log(runtime: &Runtime, name: String) -> Result<Done, Refusal> {
    known(runtime, &name)?;
    let changes = runtime.history(&name).into_iter().map(report::change).collect();
    Ok(Done::Log { name, changes })
}

impl Desk {
    fn list(&self, runtime: &Runtime) -> Done {
        let last = |name: &str| runtime.history(name).into_iter().next().map(report::change);
        let mut plugins: Vec<_> = runtime.snapshot().into_iter().map(|plugin| report::plugin(&plugin, last(&plugin.name))).collect();
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        let file = |(name, refused): (String, crate::drop_folder::Refused)| RefusedFile {
            name,
            at_ms: report::millis(refused.at),
            why: refused.why,
        };
        Done::List { plugins, refused: self.folder.refused().into_iter().map(file).collect() }
    }

    /// Loads a file of a plugin by itself, off all workers.
    fn load(&self, runtime: &Runtime, name: &str, file: &Path) -> Result<(Loaded, PluginSettings), Refusal> {
        let own = self.folder.settings_of(name).map_err(|mistakes| refused(format!("its settings are wrong: {mistakes}")))?;
        if !own.load.enabled {
            return Err(refused("it is switched off by its settings (`enabled`)"));
        }
        let loaded = runtime.loader().load_as(name, file, own.options.clone()).map_err(refused)?;
        Ok((loaded, own))
    }

    fn swap(&self, runtime: &Runtime, name: &str, file: Option<&Path>, force: bool) -> Result<Swapped, Refusal> {
        if !is_name(name) {
            return Err(refusal(RefusalCode::NoPlugin, format!("`{name}` cannot be the name of a plugin")));
        }
        let own_file = self.folder.file_of(name);
        if file.is_some() || !own_file.exists() {
            // With a file of another place, a name that nobody has is rather a mistake than a new plugin.
            known(runtime, name)?;
        }
        let is_elsewhere = file.is_some_and(|file| file.canonicalize().ok() != own_file.canonicalize().ok());
        let (loaded, own) = self.load(runtime, name, file.unwrap_or(&own_file))?;
        let mut notes = self.folder.warnings(&own, &loaded);
        if is_elsewhere {
            notes.push(format!("the file was not copied: the next start, or a change of {}, takes what is there", own_file.display()));
        }
        let swapped = if serves(runtime, name) {
            report::swapped(runtime.swap(loaded, force).map_err(refused)?, notes)
        } else {
            let to = report::version(loaded.id());
            runtime.serve(loaded).map_err(refused)?;
            report::served(name, to, notes)
        };
        self.folder.serves_with(name, own);
        Ok(swapped)
    }

    fn roll_back(&self, runtime: &Runtime, name: &str, hash: Option<&str>) -> Result<Swapped, Refusal> {
        known(runtime, name)?;
        let swapped = runtime.roll_back(name, hash).map_err(refused)?;
        let file = self.folder.file_of(name);
        let note = format!("{} is as it was: the next start, or a change of it, takes what is there", file.display());
        Ok(report::swapped(swapped, if file.exists() { vec![note] } else { Vec::new() }))
    }
}
