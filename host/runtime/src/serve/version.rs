//! A version: what of a plugin changes when its code is replaced.

use std::path::PathBuf;
use std::sync::Arc;

use duet_core::{RequestKind, Route};

use crate::load::Loaded;
use crate::load::cache::Source;
use crate::load::id::VersionId;
use crate::load::manifest::Manifest;
use crate::options::PluginOptions;
use crate::serve::counters::{Counters, Counts};
use crate::serve::health::Health;
use crate::serve::instance::Code;

/// Code, what it says of itself, how it is to be run, and how it is doing.
pub(crate) struct Version {
    pub(crate) id: VersionId,
    /// The hash of the file; `None` for code that is linked in.
    pub(crate) source: Option<Source>,
    pub(crate) file: PathBuf,
    pub(crate) manifest: Manifest,
    /// The events of the manifest.
    pub(crate) events: Vec<RequestKind>,
    pub(crate) options: PluginOptions,
    pub(crate) health: Health,
    pub(crate) code: Code,
    /// One for each instance.
    pub(crate) counters: Vec<Arc<Counters>>,
}

impl Version {
    /// Of code that is linked in.
    pub(crate) fn native(manifest: Manifest, options: PluginOptions, code: Code, instances: usize) -> Self {
        Self::new(None, PathBuf::new(), manifest, options, code, instances)
    }

    /// Of a file that was loaded, for so many instances.
    pub(crate) fn of(loaded: Loaded, instances: usize) -> Self {
        let Loaded { manifest, file, source, options, template, .. } = loaded;
        Self::new(Some(source), file, manifest, options, Code::Wasm(Box::new(template)), instances)
    }

    fn new(source: Option<Source>, file: PathBuf, manifest: Manifest, options: PluginOptions, code: Code, instances: usize) -> Self {
        let routes: Vec<Route> = manifest.routes().iter().map(|entry| entry.route).collect();
        let counters = (0..instances).map(|_| Arc::new(Counters::new(routes.clone()))).collect();
        let id = VersionId::new(&manifest.version, source);
        Self { id, source, file, events: manifest.events(), manifest, health: Health::new(&options), options, code, counters }
    }

    /// What all instances counted, for each route in order, and behind them for all events.
    pub(crate) fn counts(&self) -> Vec<(Option<Route>, Counts)> {
        let mut sums: Vec<(Option<Route>, Counts)> = Vec::new();
        for instance in &self.counters {
            sums.resize(instance.counts().count(), (None, Counts::default()));
            for ((route, sum), (of, counts)) in sums.iter_mut().zip(instance.counts()) {
                *route = of;
                sum.add(counts);
            }
        }
        sums
    }
}
