//! The port of the registry: which plugin serves which route.

use std::sync::Arc;

use crate::{RequestKind, Route};

/// What is known of a serving plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginEntry {
    /// Name of the plugin: its file name without `.wasm`.
    pub name: Arc<str>,
    /// The version it states.
    pub version: Arc<str>,
    /// Routes it handles.
    pub routes: Vec<RouteEntry>,
    /// Events of connections that it wants.
    pub events: Vec<RequestKind>,
}

/// A route and who may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The route.
    pub route: Route,
    /// Only connections that are bound to a uid may use it.
    pub authorized: bool,
    /// Clients may not use it at all.
    pub internal: bool,
}

/// All routes that are served at one moment, in order.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    routes: Vec<RouteEntry>,
    /// A bit for each kind of event that somebody wants.
    events: u64,
    expects_more: bool,
}

impl RouteTable {
    /// Collects the routes and events of all plugins.
    pub fn new<'a>(plugins: impl IntoIterator<Item = &'a PluginEntry>) -> Self {
        let mut table = Self::default();
        for plugin in plugins {
            table.routes.extend_from_slice(&plugin.routes);
            table.events |= plugin.events.iter().fold(0, |bits, kind| bits | bit(*kind));
        }
        table.routes.sort_by_key(|r| r.route);
        table
    }

    /// The same table, but with plugins still on their way.
    #[must_use]
    pub const fn expecting_more(mut self, more: bool) -> Self {
        self.expects_more = more;
        self
    }

    /// Whether plugins are still on their way: a route that is not here may be one of theirs.
    pub const fn expects_more(&self) -> bool {
        self.expects_more
    }

    /// Whether a plugin wants events of this kind.
    #[inline]
    pub const fn wants(&self, kind: RequestKind) -> bool {
        self.events & bit(kind) != 0
    }

    /// The entry of a route.
    #[inline]
    pub fn get(&self, route: Route) -> Option<RouteEntry> {
        let at = self.routes.binary_search_by_key(&route, |r| r.route).ok()?;
        self.routes.get(at).copied()
    }
}

/// The bit of a kind of event.
#[inline]
const fn bit(kind: RequestKind) -> u64 {
    const { assert!(RequestKind::ALL.len() <= u64::BITS as usize, "each kind has a bit of its own") };
    1 << kind as u8
}

/// Why a plugin was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route {route} is already served by plugin `{holder}`")]
pub struct PublishError {
    /// The route both claim.
    pub route: Route,
    /// The plugin that has it.
    pub holder: Arc<str>,
}

/// Who serves what. Plugins are published once they are loaded and started, and withdrawn before they stop.
pub trait Registry: Send + Sync {
    /// Adds a plugin, or replaces the entry of the same name.
    ///
    /// # Errors
    /// [`PublishError`] if one of its routes belongs to another plugin; nothing is changed then.
    fn publish(&self, entry: PluginEntry) -> Result<(), PublishError>;

    /// Says whether plugins are still being loaded. Their routes are known only after that.
    fn expect_more(&self, more: bool);

    /// Takes a plugin out. Nothing happens if there is none of that name.
    fn withdraw(&self, name: &str);

    /// The routes as they are now. Cheap: called for every batch of messages.
    fn routes(&self) -> Arc<RouteTable>;
}
