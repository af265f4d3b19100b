//! Versions of a plugin that counts, each as a test needs it.

use std::path::PathBuf;

use duet_runtime::{PluginOptions, SwapError, Swapped};

use crate::rig::Rig;

/// A version of the counter. Its parts are in the text format of WebAssembly, and come before what is always there.
#[derive(Clone, Copy)]
pub(crate) struct Counter {
    /// What it says in its answers, and as its version.
    pub(crate) number: u32,
    pub(crate) routes: &'static [i32],
    /// The `state` of its manifest.
    pub(crate) state: Option<&'static str>,
    pub(crate) start: &'static str,
    pub(crate) stop: &'static str,
    pub(crate) handle: &'static str,
    pub(crate) save: &'static str,
    pub(crate) restore: &'static str,
}

pub(crate) const KEPT: Option<&str> = Some(r#"{"schema":1}"#);

impl Counter {
    /// One that does everything right.
    pub(crate) const fn new(number: u32) -> Self {
        Self { number, routes: &[1, 2, 3, 4], state: KEPT, start: "", stop: "", handle: "", save: "", restore: "" }
    }

    fn component(&self) -> Vec<u8> {
        let Self { number, routes, state, start, stop, handle, save, restore } = *self;
        let parts = [("START", start), ("STOP", stop), ("HANDLE", handle), ("SAVE", save), ("RESTORE", restore)];
        duet_testkit::counter(number, routes, state, &parts)
    }

    /// As the file of a test, under a name that each plugin of a test has for itself.
    pub(crate) fn file(&self, rig: &Rig, name: &str) -> PathBuf {
        rig.file(&format!("{name}.wasm"), self.component())
    }

    /// Serves it.
    pub(crate) fn serve(&self, rig: &Rig, name: &str, options: PluginOptions) {
        rig.serve(&self.file(rig, name), options).unwrap();
    }

    /// Puts it into the place of the one that serves.
    pub(crate) fn swap(&self, rig: &Rig, name: &str, options: PluginOptions, force: bool) -> Result<Swapped, SwapError> {
        let loaded = rig.runtime.loader().load(&self.file(rig, name), options).unwrap();
        rig.runtime.swap(loaded, force)
    }
}

/// The count and the number of the version that counted.
pub(crate) fn count(rig: &Rig) -> (u64, u32) {
    counted(&rig.reply(1, b""))
}

pub(crate) fn counted(body: &[u8]) -> (u64, u32) {
    let (count, number) = body.split_at(8);
    (u64::from_le_bytes(count.try_into().unwrap()), u32::from_le_bytes(number.try_into().unwrap()))
}
