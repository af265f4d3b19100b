//! A version: what of a plugin changes when its code is replaced.

use std::sync::Arc;

use duet_core::{RequestKind, Route};

use crate::load::cache::Source;
use crate::load::manifest::Manifest;
use crate::options::PluginOptions;
use crate::serve::counters::Counters;
use crate::serve::health::Health;
use crate::serve::instance::Code;

/// Code, what it says of itself, how it is to be run, and how it is doing.
pub(crate) struct Version {
    /// The hash of the file; `None` for code that is linked in.
    pub(crate) source: Option<Source>,
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
    pub(crate) fn new(source: Option<Source>, manifest: Manifest, options: PluginOptions, code: Code, instances: usize) -> Self {
        let routes: Vec<Route> = manifest.routes().iter().map(|entry| entry.route).collect();
        let counters = (0..instances).map(|_| Arc::new(Counters::new(routes.clone()))).collect();
        Self { source, events: manifest.events(), manifest, health: Health::new(&options), options, code, counters }
    }
}
