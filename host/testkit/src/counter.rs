//! Versions of a plugin that counts, each as a test needs it.

/// The component of a plugin that counts, and keeps its count when its code is replaced. Route 1 answers with the count (u64) and the number
/// of the version (u32), both little endian; 2 traps; 3 never returns; 4 is the error `no`; others are as 1.
///
/// `state` is that of its manifest. `parts` are in the text format of WebAssembly and come before what is always there, in the functions
/// `START`, `STOP`, `HANDLE`, `SAVE` and `RESTORE`.
///
/// # Panics
/// If the parts are not WebAssembly.
pub fn counter(number: u32, routes: &[i32], state: Option<&str>, parts: &[(&str, &str)]) -> Vec<u8> {
    let routes: Vec<String> = routes.iter().map(|route| format!(r#"{{"route":{route}}}"#)).collect();
    let keeps = state.map(|state| format!(r#","state":{state}"#)).unwrap_or_default();
    let manifest = format!(r#"{{"name":"counter","version":"{number}","routes":[{}]{keeps}}}"#, routes.join(","));
    let exports_state = state.is_some_and(|state| state.starts_with('{'));
    let export = if exports_state { r#"(export "duet:plugin/state@0.1.0" (instance $state))"# } else { "" };
    let (bytes, number) = (manifest.len().to_string(), number.to_string());
    let manifest = manifest.replace('"', "\\\"");
    let known = [("MANIFEST", manifest.as_str()), ("MANIFEST_BYTES", &bytes), ("NUMBER", &number), ("EXPORT_STATE", export)];
    let none = ["START", "STOP", "HANDLE", "SAVE", "RESTORE"].map(|part| (part, ""));
    let all = known.iter().chain(parts).chain(&none);
    let text = all.fold(include_str!("../fixtures/counter/counter.wat").to_owned(), |text, (part, code)| {
        text.replace(&format!("{{{{{part}}}}}"), code)
    });
    wat::parse_str(text).expect("parts in the text format of WebAssembly")
}
