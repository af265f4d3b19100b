//! The host's side of the contract: the linkers that offer the imports.

pub(crate) mod context;
mod gateway;
mod imports;
pub(crate) mod last_words;
pub(crate) mod log;
pub(crate) mod memory;
mod reached;
pub(crate) mod sessions;
pub(crate) mod state;
mod stdio;

use wasmtime::Engine;
use wasmtime::component::Linker;

use self::state::HostState;
use crate::call::lane::Lane;

/// The imports for both lanes. A lane is chosen by what a component imports.
pub(crate) struct Linkers {
    pub(crate) sync: Linker<HostState>,
    pub(crate) waiting: Linker<HostState>,
}

impl Linkers {
    /// The linker for components of this lane.
    pub(crate) const fn of(&self, lane: &Lane) -> &Linker<HostState> {
        match lane {
            Lane::Sync => &self.sync,
            Lane::Waiting(_) => &self.waiting,
        }
    }

    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut sync = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut sync)?;
        imports::add_to_linker(&mut sync)?;
        let mut waiting = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut waiting)?;
        imports::add_to_linker(&mut waiting)?;
        Ok(Self { sync, waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::component::Component;

    /// A type of the contract in the text format of components.
    fn wat_of(ty: &str) -> String {
        match ty {
            "list<u8>" => "(list u8)".to_owned(),
            "result<string>" => "(result string)".to_owned(),
            "result<_, string>" => "(result (error string))".to_owned(),
            other => other.to_owned(),
        }
    }

    #[test]
    fn every_import_of_the_contract_is_linked_with_the_type_it_has_there() {
        let (mut wat, mut count) = (String::from("(component "), 0);
        for interface in crate::load::check::IMPORTS {
            wat += &format!("(import \"{interface}@0.1.0\" (instance ");
            for (name, signature) in crate::load::contract::functions(interface) {
                let parameters = signature.parameters().map(|(name, ty)| format!("(param \"{name}\" {})", wat_of(ty)));
                let result = signature.result().map(|ty| format!("(result {})", wat_of(ty))).unwrap_or_default();
                wat += &format!("(export \"{name}\" (func {} {result}))", parameters.collect::<String>());
                count += 1;
            }
            wat += "))";
        }
        let engine = crate::call::engine::engine().unwrap();
        let linkers = Linkers::new(&engine).unwrap();
        let component = Component::new(&engine, wat::parse_str(wat + ")").unwrap()).unwrap();
        for linker in [&linkers.sync, &linkers.waiting] {
            linker.instantiate_pre(&component).map(drop).unwrap();
        }
        assert!(count > 25, "{count}");
    }
}
