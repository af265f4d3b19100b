//! A registry in the memory of the process.

use std::sync::Arc;

use arc_swap::ArcSwap;
use duet_core::{Mutex, PluginEntry, PublishError, Registry, RouteTable};

/// Serves one process: what its plugin runtime publishes, its gateway sees at once.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    plugins: Mutex<Plugins>,
    routes: ArcSwap<RouteTable>,
}

#[derive(Debug, Default)]
struct Plugins {
    published: Vec<PluginEntry>,
    expects_more: bool,
}

impl MemoryRegistry {
    fn change<T>(&self, change: impl FnOnce(&mut Plugins) -> T) -> T {
        let mut plugins = self.plugins.lock();
        let result = change(&mut plugins);
        self.routes.store(Arc::new(RouteTable::new(&plugins.published).expecting_more(plugins.expects_more)));
        result
    }
}

impl Registry for MemoryRegistry {
    fn publish(&self, entry: PluginEntry) -> Result<(), PublishError> {
        self.change(|Plugins { published: plugins, .. }| {
            for other in plugins.iter().filter(|p| p.name != entry.name) {
                if let Some(taken) = entry.routes.iter().find(|r| other.routes.iter().any(|o| o.route == r.route)) {
                    return Err(PublishError { route: taken.route, holder: Arc::clone(&other.name) });
                }
            }
            plugins.retain(|p| p.name != entry.name);
            plugins.push(entry);
            Ok(())
        })
    }

    fn expect_more(&self, more: bool) {
        self.change(|plugins| plugins.expects_more = more);
    }

    fn withdraw(&self, name: &str) {
        self.change(|plugins| plugins.published.retain(|p| &*p.name != name));
    }

    fn routes(&self) -> Arc<RouteTable> {
        self.routes.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_core::{Route, RouteEntry};

    fn entry(name: &str, routes: &[i32]) -> PluginEntry {
        let routes = routes.iter().map(|&r| RouteEntry { route: Route(r), authorized: false, internal: false }).collect();
        PluginEntry { name: name.into(), version: "1".into(), routes, events: Vec::new() }
    }

    #[test]
    fn a_published_route_is_seen_and_a_withdrawn_one_is_not() {
        let registry = MemoryRegistry::default();
        registry.publish(entry("a", &[1, -2])).expect("free");
        assert!(registry.routes().get(Route(-2)).is_some());
        assert!(registry.routes().get(Route(2)).is_none());
        registry.withdraw("a");
        assert!(registry.routes().get(Route(1)).is_none());
    }

    #[test]
    fn whether_more_is_expected_is_seen_until_it_is_taken_back() {
        let registry = MemoryRegistry::default();
        assert!(!registry.routes().expects_more());
        registry.expect_more(true);
        registry.publish(entry("a", &[1])).expect("free");
        assert!(registry.routes().expects_more(), "one that came is not all");
        registry.expect_more(false);
        assert!(!registry.routes().expects_more() && registry.routes().get(Route(1)).is_some());
    }

    #[test]
    fn a_route_has_one_plugin_and_the_first_keeps_it() {
        let registry = MemoryRegistry::default();
        registry.publish(entry("a", &[1])).expect("free");
        let refused = registry.publish(entry("b", &[2, 1])).expect_err("taken");
        assert_eq!(refused, PublishError { route: Route(1), holder: "a".into() });
        assert!(registry.routes().get(Route(2)).is_none(), "nothing of a refused plugin is published");
        registry.publish(entry("a", &[1, 3])).expect("a plugin may replace itself");
        assert!(registry.routes().get(Route(3)).is_some());
    }
}
