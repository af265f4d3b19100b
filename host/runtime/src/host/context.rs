//! What all instances of a plugin share with the host's functions.

use std::sync::Arc;

use duet_core::Directory;

use crate::host::log::LogQuota;
use crate::host::memory::MemoryUse;
use crate::options::PluginOptions;

/// What all instances of a plugin share with the host's functions.
pub(crate) struct Context {
    /// What `config.get` reads.
    pub(crate) config: serde_json::Value,
    pub(crate) log: LogQuota,
    pub(crate) memory: Arc<MemoryUse>,
    /// What `sessions` looks up.
    pub(crate) directory: Arc<dyn Directory>,
}

impl Context {
    pub(crate) fn new(name: &str, options: &PluginOptions, directory: &Arc<dyn Directory>) -> Result<Arc<Self>, serde_json::Error> {
        Ok(Arc::new(Self {
            config: serde_json::from_str(&options.config.to_string())?,
            log: LogQuota::new(name, options.log_lines_per_second),
            memory: Arc::default(),
            directory: Arc::clone(directory),
        }))
    }
}
