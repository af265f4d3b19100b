//! Plugins that only tests load.

use std::collections::BTreeSet;

use crate::tree;

/// Where they are, each in a folder of its own.
const FIXTURES: &str = "host/testkit/fixtures/";

#[test]
fn every_fixture_plugin_is_loaded_by_a_test() {
    let files = tree::files();
    let fixtures: BTreeSet<&str> = files.iter().filter_map(|f| f.path.strip_prefix(FIXTURES)?.split('/').next()).collect();
    assert!(!fixtures.is_empty(), "there are no fixtures where this test looks");
    let tests: String = tree::rust_sources().filter(|f| f.path.contains("/tests/")).map(|f| f.text()).collect();
    let named =
        |name: &str| [format!("\"{name}\""), format!("\"duet-{name}\""), format!("fixtures/{name}/")].iter().any(|n| tests.contains(n));
    let unused: Vec<&str> = fixtures.into_iter().filter(|name| !named(name)).collect();
    assert!(unused.is_empty(), "no test names {unused:?}");
}
