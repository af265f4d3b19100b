//! What the contract generates for plugins that keep state, which export `state` as well.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated; the canonical ABI is raw pointers"
)]

wit_bindgen::generate!({
    world: "with-state",
    path: "wit",
    pub_export_macro: true,
    export_macro_name: "export_state",
    default_bindings_module: "duet_plugin::component::state_bindings",
});
