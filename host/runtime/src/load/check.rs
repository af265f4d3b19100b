//! Refuses files before they are compiled: what is not a component, too large, or of a world this host does not offer.

use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::load::contract::{CONTRACT, Signature, WIT, functions, is_compatible};
use crate::load::world::{World, world_of};

/// Everything that decides what passes. It is part of a cache file's name, so that code that an older version let pass is not used.
pub(crate) const CHECKS: ([&str; 3], [&str; 4]) = ([include_str!("check.rs"), include_str!("contract.rs"), include_str!("world.rs")], WIT);

/// Interfaces a plugin may import, without version.
pub(crate) const IMPORTS: [&str; 7] = [
    "duet:plugin/log",
    "duet:plugin/config",
    "duet:plugin/clock",
    "duet:plugin/random",
    "duet:plugin/text",
    "duet:plugin/gateway",
    "duet:plugin/sessions",
];

/// Why a file is not a plugin for this host. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    #[error(
        "the file is not WebAssembly; build the plugin with `cargo build --release --target wasm32-wasip2` or its language's component tool"
    )]
    NotWasm,
    #[error("the file is a core WebAssembly module, not a component; build for wasm32-wasip2, or wrap it with `wasm-tools component new`")]
    CoreModule,
    #[error("the file is not valid WebAssembly: {0}; build it again or copy it again")]
    Invalid(String),
    #[error("function {index} has {bytes} bytes, the limit is {limit}; split it, or raise `runtime.function_bytes_max`")]
    LargeFunction { index: usize, bytes: usize, limit: usize },
    #[error("it does not export `{export}`; build it against world `{world}` of duet:plugin@{CONTRACT} (found: {found})")]
    MissingExport { export: &'static str, world: &'static str, found: String },
    #[error("it imports `{0}`, which this host does not offer; it offers duet:plugin@{CONTRACT} ({offered}) and WASI 0.2 without files and sockets", offered = offered())]
    UnknownImport(String),
    #[error(
        "it does not fit the contract: it {direction} `{interface}` with `{found}`, the host has `{needed}`; build it against duet:plugin@{CONTRACT}"
    )]
    WrongFunction { direction: &'static str, interface: String, found: String, needed: String },
    #[error("it does not fit the contract: its `{interface}` has no function `{needed}`; build it against duet:plugin@{CONTRACT}")]
    MissingFunction { interface: String, needed: String },
    #[error(
        "it does not fit the contract: it imports `{function}` of `{interface}`, the host has {offered} there; build it against duet:plugin@{CONTRACT}"
    )]
    UnknownFunction { interface: String, function: String, offered: String },
}

fn offered() -> String {
    IMPORTS.map(|i| i.trim_start_matches("duet:plugin/")).join(", ")
}

/// What the outside of a component shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Outline {
    /// The name under which an interface of the contract is exported.
    fn export(&self, interface: &str) -> Option<&String> {
        self.exports.iter().find(|name| is_compatible(name, interface))
    }
}

/// Reads and validates a file without compiling it.
///
/// # Errors
/// Everything that is wrong with it, as far as it can be read.
pub(crate) fn check(bytes: &[u8], function_bytes_max: usize) -> Result<(), Vec<CheckError>> {
    if !bytes.starts_with(b"\0asm") {
        return Err(vec![CheckError::NotWasm]);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(vec![CheckError::CoreModule]);
    }
    let mut problems = Vec::new();
    match outline(bytes, function_bytes_max, &mut problems) {
        Ok(outline) => {
            check_names(&outline, &mut problems);
            match Validator::new_with_features(WasmFeatures::default()).validate_all(bytes) {
                Ok(types) => check_types(&outline, types.as_ref(), &mut problems),
                Err(e) => problems.push(CheckError::Invalid(e.to_string())),
            }
        }
        Err(e) => problems.push(CheckError::Invalid(e.to_string())),
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The names on the outside of a component; functions that are too large are problems.
fn outline(bytes: &[u8], function_bytes_max: usize, problems: &mut Vec<CheckError>) -> wasmparser::Result<Outline> {
    let mut outline = Outline::default();
    let (mut depth, mut functions) = (0usize, 0usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outline.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outline.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                if size > function_bytes_max {
                    problems.push(CheckError::LargeFunction { index: functions, bytes: size, limit: function_bytes_max });
                }
                functions += 1;
            }
            _ => {}
        }
    }
    Ok(outline)
}

fn check_names(outline: &Outline, problems: &mut Vec<CheckError>) {
    let found = || if outline.exports.is_empty() { "no exports".to_owned() } else { outline.exports.join(", ") };
    if let Err(Some((world, missing))) = world_of(|interface| outline.export(interface).is_some()) {
        problems.extend(missing.into_iter().map(|export| CheckError::MissingExport { export, world: world.name, found: found() }));
    }
    problems.extend(outline.imports.iter().filter(|name| !is_offered(name)).cloned().map(CheckError::UnknownImport));
}

/// Compares with the contract: the plugin's functions that will be called, and the host's functions that it can call.
fn check_types(outline: &Outline, types: TypesRef<'_>, problems: &mut Vec<CheckError>) {
    // A file that fits no world is compared with the nearest one.
    let world = world_of(|interface| outline.export(interface).is_some()).or_else(|nearest| nearest.map(|(world, _)| world).ok_or(()));
    for interface in world.into_iter().flat_map(World::called) {
        let Some(name) = outline.export(interface) else { continue };
        let item = types.component_item_for_export(name).map(|item| item.ty);
        let exported = item.map_or_else(Vec::new, |ty| functions_of(types, ty));
        for (function, needed) in contract(interface) {
            match exported.iter().find(|(name, _)| name == function) {
                None => problems.push(CheckError::MissingFunction { interface: name.clone(), needed: format!("{function}: {needed}") }),
                Some((_, found)) => compare("exports", name, function, found, &needed, problems),
            }
        }
    }
    for name in &outline.imports {
        let Some(interface) = IMPORTS.iter().find(|i| is_compatible(name, &format!("{i}@{CONTRACT}"))) else { continue };
        let offered = contract(interface);
        let item = types.component_item_for_import(name).map(|item| item.ty);
        for (function, found) in item.map_or_else(Vec::new, |ty| functions_of(types, ty)) {
            match offered.iter().find(|(name, _)| *name == function) {
                None => problems.push(CheckError::UnknownFunction {
                    interface: name.clone(),
                    function,
                    offered: offered.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", "),
                }),
                Some((_, needed)) => compare("imports", name, &function, &found, needed, problems),
            }
        }
    }
}

fn contract(interface: &str) -> Vec<(&'static str, Signature)> {
    functions(interface.split('@').next().unwrap_or(interface))
}

fn compare(
    direction: &'static str,
    interface: &str,
    function: &str,
    found: &Signature,
    needed: &Signature,
    problems: &mut Vec<CheckError>,
) {
    if !found.fits(needed) {
        let (found, needed) = (format!("{function}: {found}"), format!("{function}: {needed}"));
        problems.push(CheckError::WrongFunction { direction, interface: interface.to_owned(), found, needed });
    }
}

/// The functions of an instance by name.
fn functions_of(types: TypesRef<'_>, instance: ComponentEntityType) -> Vec<(String, Signature)> {
    let ComponentEntityType::Instance(instance) = instance else { return Vec::new() };
    let function = |(name, item): (&String, &wasmparser::component_types::ComponentItem)| match item.ty {
        ComponentEntityType::Func(function) => Some((name.clone(), Signature::of(types, function))),
        _ => None,
    };
    types.get(instance).map_or_else(Vec::new, |instance| instance.exports.iter().filter_map(function).collect())
}

fn is_offered(name: &str) -> bool {
    let ours = |i: &&str| is_compatible(name, &format!("{i}@{CONTRACT}"));
    let wasi = ["wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"];
    IMPORTS.iter().any(ours) || (wasi.iter().any(|w| name.starts_with(w)) && name.contains("@0.2."))
}
