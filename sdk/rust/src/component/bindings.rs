//! What the contract generates.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated; the canonical ABI is raw pointers"
)]

wit_bindgen::generate!({
    world: "game",
    path: "wit",
    pub_export_macro: true,
    export_macro_name: "export_game",
    default_bindings_module: "duet_plugin::component::bindings",
    // Exported by `lists`.
    skip: ["handle-batch"],
});
