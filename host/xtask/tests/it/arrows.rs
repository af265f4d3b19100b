//! Which crate may depend on which.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::tree;

/// The layers of the host: a crate depends only on crates of a lower layer.
const LAYERS: [(&str, u32); 13] = [
    ("duet-core", 0),
    ("duet-codec", 1),
    ("duet-config", 0),
    ("duet-control", 0),
    ("duet-embedded", 1),
    ("duet-session", 1),
    ("duet-transport", 1),
    ("duet-client", 2),
    ("duet-load", 3),
    ("duet-gateway", 3),
    ("duet-runtime", 3),
    ("duet", 5),
    ("xtask", 9),
];

/// Only for tests: nothing else may depend on it.
const TESTKIT: &str = "duet-testkit";

/// The host's only arrow into the world of plugins: the echo that `duet run --native-echo` has linked in.
const NATIVE_ECHO: (&str, &str) = ("duet", "duet-echo");

/// One dependency between two crates of the workspace.
struct Arrow {
    from: String,
    to: String,
    kind: DependencyKind,
}

impl Arrow {
    fn shown(&self) -> String {
        format!("{} -> {}", self.from, self.to)
    }
}

/// The crates of the workspace by name, with their folders from the top of the repository.
fn workspace() -> (BTreeMap<String, String>, Vec<Arrow>) {
    let metadata = MetadataCommand::new().current_dir(tree::root()).no_deps().exec().unwrap();
    let folder = |package: &Package| {
        let manifest = package.manifest_path.strip_prefix(tree::root()).unwrap().to_string().replace('\\', "/");
        manifest.trim_end_matches("/Cargo.toml").to_owned()
    };
    let packages = metadata.workspace_packages();
    let crates: BTreeMap<String, String> = packages.iter().map(|p| (p.name.to_string(), folder(p))).collect();
    let mut arrows = Vec::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|d| crates.contains_key(&d.name)) {
            arrows.push(Arrow { from: package.name.to_string(), to: dependency.name.clone(), kind: dependency.kind });
        }
    }
    (crates, arrows)
}

fn layer(name: &str) -> Option<u32> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

#[test]
fn every_crate_of_the_host_has_a_layer_and_every_layer_its_crate() {
    let (crates, _) = workspace();
    for (name, folder) in &crates {
        let host = folder.starts_with("host/") && !folder.contains("/fixtures/");
        assert!(
            !host || name == TESTKIT || layer(name).is_some(),
            "{name} in {folder} has no layer: add it to the table, here and in the docs"
        );
        let expected = if name == "duet" { "host/server".to_owned() } else { format!("host/{}", name.trim_start_matches("duet-")) };
        assert!(!host || *folder == expected, "{name} lies in {folder}, not in {expected}");
    }
    let gone: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).filter(|name| !crates.contains_key(*name)).collect();
    assert!(gone.is_empty(), "in the table, but not in the workspace: {gone:?}");
}

#[test]
fn a_crate_of_the_host_depends_only_on_crates_of_a_lower_layer() {
    let (_, arrows) = workspace();
    let wrong: Vec<String> = arrows
        .iter()
        .filter(|a| a.kind != DependencyKind::Development && (a.from.as_str(), a.to.as_str()) != NATIVE_ECHO)
        .filter(|a| layer(&a.from).is_some_and(|from| layer(&a.to).is_none_or(|to| to >= from)))
        .map(Arrow::shown)
        .collect();
    assert!(wrong.is_empty(), "upwards, sideways or out of the host: {wrong:?}");
}

#[test]
fn gateway_and_runtime_never_meet_not_even_in_tests() {
    let (_, arrows) = workspace();
    let pair = ["duet-gateway", "duet-runtime"];
    let wrong: Vec<String> =
        arrows.iter().filter(|a| pair.contains(&a.from.as_str()) && pair.contains(&a.to.as_str())).map(Arrow::shown).collect();
    assert!(wrong.is_empty(), "they meet in duet-core: {wrong:?}");
}

#[test]
fn only_tests_depend_on_the_testkit_and_nobody_on_xtask() {
    let (_, arrows) = workspace();
    let wrong: Vec<String> =
        arrows.iter().filter(|a| a.to == "xtask" || (a.to == TESTKIT && a.kind != DependencyKind::Development)).map(Arrow::shown).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn plugins_and_their_sdk_know_nothing_of_the_host() {
    let (crates, arrows) = workspace();
    let guest =
        |name: &str| crates.get(name).is_some_and(|f| f.starts_with("sdk/") || f.starts_with("plugins/") || f.contains("/fixtures/"));
    let wrong: Vec<String> = arrows.iter().filter(|a| guest(&a.from) && !guest(&a.to)).map(Arrow::shown).collect();
    assert!(wrong.is_empty(), "the contract in wit/ is all they share: {wrong:?}");
}

#[test]
fn only_the_runtime_names_the_wasm_engine() {
    let engine = concat!("wasm", "time");
    let named: Vec<String> = tree::files()
        .into_iter()
        .filter(|f| (f.is_rust() || f.name() == "Cargo.toml") && f.path != "Cargo.toml" && !f.path.starts_with("host/runtime/"))
        .filter(|f| f.text().contains(engine))
        .map(|f| f.path)
        .collect();
    assert!(named.is_empty(), "{engine} is named by {named:?}");
}
