//! Refuses files before they are compiled: what is not a component, too large, or of a world this host does not offer.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// Interfaces a plugin may import, without version.
const IMPORTS: [&str; 7] = [
    "duet:plugin/log",
    "duet:plugin/config",
    "duet:plugin/clock",
    "duet:plugin/random",
    "duet:plugin/text",
    "duet:plugin/gateway",
    "duet:plugin/sessions",
];
/// Version of the contract, as the names of interfaces carry it.
pub(crate) const CONTRACT: &str = "0.1.0";
pub(crate) const LIFECYCLE: &str = "duet:plugin/lifecycle@0.1.0";
pub(crate) const BATCH_HANDLER: &str = "duet:plugin/batch-handler@0.1.0";
pub(crate) const HANDLER: &str = "duet:plugin/handler@0.1.0";
pub(crate) const EVENT_HANDLER: &str = "duet:plugin/event-handler@0.1.0";

/// Why a file is no plugin for this host. The text says what to do.
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
    #[error("it does not export `{0}`; build it against world `game` of duet:plugin@{CONTRACT} (found: {1})")]
    MissingExport(&'static str, String),
    #[error("it imports `{0}`, which this host does not offer; it offers duet:plugin@{CONTRACT} ({offered}) and WASI 0.2 without files and sockets", offered = offered())]
    UnknownImport(String),
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

/// Reads and validates a file without compiling it.
pub(crate) fn check(bytes: &[u8], function_bytes_max: usize) -> Result<(), CheckError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(CheckError::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(CheckError::CoreModule);
    }
    let outline = outline(bytes, function_bytes_max)?;
    let contract = |name: &str| outline.exports.iter().any(|e| compatible(e, name));
    let found = || if outline.exports.is_empty() { "no exports".to_owned() } else { outline.exports.join(", ") };
    if !contract(LIFECYCLE) {
        return Err(CheckError::MissingExport(LIFECYCLE, found()));
    }
    if !contract(BATCH_HANDLER) && !contract(HANDLER) {
        return Err(CheckError::MissingExport(BATCH_HANDLER, found()));
    }
    if let Some(unknown) = outline.imports.iter().find(|name| !is_offered(name)) {
        return Err(CheckError::UnknownImport(unknown.clone()));
    }
    Validator::new_with_features(WasmFeatures::default()).validate_all(bytes).map_err(|e| CheckError::Invalid(e.to_string()))?;
    Ok(())
}

fn outline(bytes: &[u8], function_bytes_max: usize) -> Result<Outline, CheckError> {
    let invalid = |e: wasmparser::BinaryReaderError| CheckError::Invalid(e.to_string());
    let mut outline = Outline::default();
    let (mut depth, mut functions) = (0usize, 0usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outline.imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outline.exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                if size > function_bytes_max {
                    return Err(CheckError::LargeFunction { index: functions, bytes: size, limit: function_bytes_max });
                }
                functions += 1;
            }
            _ => {}
        }
    }
    Ok(outline)
}

/// Whether an exported name is the interface, in this version or a later patch of it.
fn compatible(name: &str, interface: &str) -> bool {
    let minor = |n: &str| n.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    name == interface || (minor(name).is_some() && minor(name) == minor(interface))
}

fn is_offered(name: &str) -> bool {
    let ours = |i: &&str| compatible(name, &format!("{i}@{CONTRACT}"));
    let wasi = ["wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"];
    IMPORTS.iter().any(ours) || (wasi.iter().any(|w| name.starts_with(w)) && name.contains("@0.2."))
}
