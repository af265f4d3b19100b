//! The functions of the contract, as `wit/` has them, and those of a component: what `check` compares.

use std::fmt;

use wasmparser::component_types::{ComponentDefinedType, ComponentFuncTypeId, ComponentValType};
use wasmparser::types::TypesRef;

/// Version of the contract, as the names of interfaces carry it.
pub(crate) const CONTRACT: &str = "0.1.0";
pub(crate) const LIFECYCLE: &str = "duet:plugin/lifecycle@0.1.0";
pub(crate) const BATCH_HANDLER: &str = "duet:plugin/batch-handler@0.1.0";
pub(crate) const HANDLER: &str = "duet:plugin/handler@0.1.0";
pub(crate) const EVENT_HANDLER: &str = "duet:plugin/event-handler@0.1.0";
pub(crate) const STATE: &str = "duet:plugin/state@0.1.0";

/// The contract is read from its own text, so there is no second list that could differ.
pub(crate) const WIT: [&str; 4] = [
    include_str!("../../../../wit/lifecycle.wit"),
    include_str!("../../../../wit/handler.wit"),
    include_str!("../../../../wit/state.wit"),
    include_str!("../../../../wit/imports.wit"),
];

/// The type of a function. Names of parameters are for people: whether two signatures fit does not depend on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signature {
    parameters: Vec<(String, String)>,
    result: Option<String>,
}

impl Signature {
    /// Whether a function of one type can be called as one of the other.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.result == other.result && self.parameters.iter().map(|(_, ty)| ty).eq(other.parameters.iter().map(|(_, ty)| ty))
    }

    #[cfg(test)]
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, ty)| (&**name, &**ty))
    }

    #[cfg(test)]
    pub(crate) fn result(&self) -> Option<&str> {
        self.result.as_deref()
    }

    /// The type of a function of a component.
    pub(crate) fn of(types: TypesRef<'_>, function: ComponentFuncTypeId) -> Self {
        let Some(function) = types.get(function) else { return Self::default() };
        Self {
            parameters: function.params.iter().map(|(name, ty)| (name.to_string(), text(types, ty))).collect(),
            result: function.result.as_ref().map(|ty| text(types, ty)),
        }
    }

    /// From `func(NAME: TYPE, ...) -> TYPE`.
    fn parse(wit: &str) -> Option<Self> {
        let (parameters, result) = wit.strip_prefix("func(")?.split_once(')')?;
        let parameter = |p: &str| p.split_once(": ").map(|(name, ty)| (name.to_owned(), ty.to_owned()));
        Some(Self {
            parameters: parameters.split(", ").filter(|p| !p.is_empty()).map(parameter).collect::<Option<_>>()?,
            result: result.strip_prefix(" -> ").map(str::to_owned),
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<String> = self.parameters.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
        write!(f, "func({})", parameters.join(", "))?;
        self.result.as_ref().map_or(Ok(()), |result| write!(f, " -> {result}"))
    }
}

/// A type as WIT writes it. The contract has no named types, so their kind is enough to tell them from its own.
fn text(types: TypesRef<'_>, ty: &ComponentValType) -> String {
    nested(types, ty, 0)
}

/// Stops at a depth, because a file may nest types so that their text would fill the memory.
fn nested(types: TypesRef<'_>, ty: &ComponentValType, depth: usize) -> String {
    let id = match ty {
        ComponentValType::Primitive(primitive) => return primitive.to_string(),
        ComponentValType::Type(_) if depth > 4 => return "...".to_owned(),
        ComponentValType::Type(id) => *id,
    };
    let text = |ty| nested(types, ty, depth + 1);
    let Some(ty) = types.get(id) else { return "...".to_owned() };
    match ty {
        ComponentDefinedType::Primitive(primitive) => primitive.to_string(),
        ComponentDefinedType::List { element, .. } => format!("list<{}>", text(element)),
        ComponentDefinedType::Option { ty, .. } => format!("option<{}>", text(ty)),
        ComponentDefinedType::Result { ok, err, .. } => match (ok, err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", text(ok)),
            (ok, Some(err)) => format!("result<{}, {}>", ok.as_ref().map_or("_".to_owned(), text), text(err)),
        },
        ComponentDefinedType::Record(_) => "record".to_owned(),
        ComponentDefinedType::Variant(_) => "variant".to_owned(),
        ComponentDefinedType::Tuple(_) => "tuple".to_owned(),
        ComponentDefinedType::Enum(_) => "enum".to_owned(),
        ComponentDefinedType::Flags(_) => "flags".to_owned(),
        _ => "resource".to_owned(),
    }
}

/// The functions of an interface of the contract by name; empty if it has no such interface.
pub(crate) fn functions(interface: &str) -> Vec<(&'static str, Signature)> {
    let begin = format!("interface {} {{", interface.strip_prefix("duet:plugin/").unwrap_or(interface));
    let lines = WIT.iter().flat_map(|text| text.lines()).skip_while(|line| *line != begin).skip(1).take_while(|line| *line != "}");
    let function = |line: &'static str| {
        let (name, wit) = line.trim().strip_suffix(';')?.split_once(": ")?;
        Some((name, Signature::parse(wit)?))
    };
    lines.filter_map(function).collect()
}

/// Whether a name is the interface, in this version or in another patch of it.
pub(crate) fn is_compatible(name: &str, interface: &str) -> bool {
    let minor = |n: &str| n.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    name == interface || (minor(name).is_some() && minor(name) == minor(interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_contract_is_read_from_its_text() {
        let names = |interface: &str| functions(interface).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("duet:plugin/lifecycle"), ["describe", "start", "stop"]);
        assert_eq!(names("duet:plugin/batch-handler"), ["handle-batch"]);
        assert_eq!(names("duet:plugin/event-handler"), ["handle-event"]);
        assert_eq!(names("duet:plugin/state"), ["save", "restore"]);
        assert_eq!(names("duet:plugin/clock"), ["now-ms", "monotonic-us"]);
        assert_eq!(names("duet:plugin/nothing"), [""; 0]);
        let all: usize = WIT.iter().map(|text| text.lines().filter(|l| l.contains(": func(")).count()).sum();
        let interfaces = WIT.iter().flat_map(|text| text.lines()).filter_map(|l| l.strip_prefix("interface ")?.strip_suffix(" {"));
        assert_eq!(interfaces.map(|interface| functions(interface).len()).sum::<usize>(), all, "each is on one line");
    }

    #[test]
    fn a_signature_is_written_as_it_was_read_and_fits_without_the_names() {
        for wit in ["func()", "func() -> string", "func(conn: u64, route: s32, body: list<u8>) -> result<_, string>"] {
            assert_eq!(Signature::parse(wit).expect(wit).to_string(), wit);
        }
        let signature = |wit| Signature::parse(wit).expect(wit);
        assert!(signature("func(a: u64) -> u32").fits(&signature("func(b: u64) -> u32")));
        assert!(!signature("func(a: u64) -> u32").fits(&signature("func(a: u64)")));
        assert!(!signature("func(a: u64)").fits(&signature("func(a: s64)")));
    }
}
