//! Files of a crate that need each other: whoever reads one has to read all of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Meta, MetaList, Token, UseTree, Visibility};

use crate::tree;

/// How often a name may be passed on at most. A file may pass on a name that it also gives to something of another crate.
const RENAMES_MAX: usize = 8;

/// A module by its path from the root of its crate.
type Module = Vec<String>;

/// A file of a crate: what it names, and what it names for others.
#[derive(Default)]
struct Source {
    /// Every path in it, outside of its tests, as it is written there.
    named: Vec<Module>,
    /// Names that it re-exports, and where they come from.
    passed_on: BTreeMap<String, Module>,
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_private = matches!(item.vis, Visibility::Inherited);
        each_name(&item.tree, &mut Vec::new(), &mut |path, name| {
            if !is_private {
                self.passed_on.insert(name, path.to_vec());
            }
            self.named.push(path.to_vec());
        });
    }

    /// `pub(crate)` names nothing of the crate.
    fn visit_visibility(&mut self, _visibility: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.named.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args().is_ok_and(|what| needs_test(&what))
}

/// Whether a condition is met in tests only: `test`, or `all` with it.
fn needs_test(what: &Meta) -> bool {
    let all = |list: &MetaList| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    match what {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("all") && all(list).is_ok_and(|all| all.iter().any(needs_test)),
        Meta::NameValue(_) => false,
    }
}

/// Tells each path of a `use` and the name that it has here.
fn each_name(tree: &UseTree, path: &mut Module, tell: &mut impl FnMut(&[String], String)) {
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            each_name(&part.tree, path, tell);
            path.pop();
        }
        UseTree::Name(part) if part.ident == "self" => tell(path, path.last().cloned().unwrap_or_default()),
        UseTree::Name(part) => {
            path.push(part.ident.to_string());
            tell(path, part.ident.to_string());
            path.pop();
        }
        UseTree::Rename(part) => {
            path.push(part.ident.to_string());
            tell(path, part.rename.to_string());
            path.pop();
        }
        UseTree::Glob(_) => tell(path, String::new()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| each_name(tree, path, tell)),
    }
}

/// The modules of one crate.
struct Crate(BTreeMap<Module, Source>);

impl Crate {
    /// Reads files by their paths from the folder of sources.
    fn read<'a>(files: impl Iterator<Item = (&'a str, String)>) -> Self {
        let mut modules = BTreeMap::new();
        for (path, text) in files {
            let mut source = Source::default();
            source.visit_file(&syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}")));
            let path = path.trim_end_matches(".rs");
            let module = if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() };
            modules.insert(module, source);
        }
        Self(modules)
    }

    /// The file that a path in `from` leads to, through those that only pass a name on; `None` out of this crate.
    fn target(&self, from: &[String], path: &[String]) -> Option<&Module> {
        self.target_within(from, path, RENAMES_MAX)
    }

    fn target_within(&self, from: &[String], path: &[String], renames: usize) -> Option<&Module> {
        let (mut at, mut rest) = (from.to_vec(), path);
        match path.first()?.as_str() {
            "crate" => (at, rest) = (Vec::new(), path.get(1..)?),
            "self" => rest = path.get(1..)?,
            "super" => {
                while let Some(("super", more)) = rest.split_first().map(|(first, more)| (first.as_str(), more)) {
                    at.pop();
                    rest = more;
                }
            }
            child => {
                at.push(child.to_owned());
                self.0.get(&at)?;
                rest = path.get(1..)?;
            }
        }
        while let Some((name, more)) = rest.split_first() {
            at.push(name.clone());
            if !self.0.contains_key(&at) {
                at.pop();
                let passed_on = self.0.get(&at)?.passed_on.get(name).filter(|_| renames > 0);
                return match passed_on.and_then(|path| self.target_within(&at, path, renames.saturating_sub(1))) {
                    Some(target) => Some(target),
                    None => self.0.get_key_value(&at).map(|(module, _)| module),
                };
            }
            rest = more;
        }
        self.0.get_key_value(&at).map(|(module, _)| module)
    }

    fn needs(&self, module: &Module) -> BTreeSet<&Module> {
        let Some(source) = self.0.get(module) else { return BTreeSet::new() };
        source.named.iter().filter_map(|path| self.target(module, path)).filter(|target| *target != module).collect()
    }

    /// The shortest way from a file back to itself, for each file that has one and is not in one that was found before.
    fn circles(&self) -> Vec<String> {
        let mut found: Vec<Vec<&Module>> = Vec::new();
        for start in self.0.keys().filter(|module| !module.is_empty() || self.0.len() > 1) {
            if found.iter().any(|circle| circle.contains(&start)) {
                continue;
            }
            found.extend(self.way_back(start));
        }
        let name = |module: &&Module| if module.is_empty() { "lib".to_owned() } else { module.join("/") };
        found.iter().map(|circle| circle.iter().map(name).collect::<Vec<_>>().join(" -> ")).collect()
    }

    fn way_back<'a>(&'a self, start: &'a Module) -> Option<Vec<&'a Module>> {
        let mut ways = VecDeque::from([vec![start]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            for next in self.needs(way.last()?) {
                let longer: Vec<&Module> = way.iter().copied().chain([next]).collect();
                if next == start {
                    return Some(longer);
                }
                if seen.insert(next) {
                    ways.push_back(longer);
                }
            }
        }
        None
    }
}

#[test]
fn no_files_of_a_crate_need_each_other() {
    let files = tree::files();
    let folders = files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml")).filter(|folder| !folder.contains("/fixtures/"));
    let (mut wrong, mut crates) = (Vec::new(), 0);
    for folder in folders {
        let own = files.iter().filter(|file| file.is_rust() && !file.is_test()).filter_map(|file| {
            let path = file.path.strip_prefix(folder)?.strip_prefix("/src/")?;
            Some((path, file.text()))
        });
        wrong.extend(Crate::read(own).circles().iter().map(|circle| format!("{folder}: {circle}")));
        crates += 1;
    }
    assert!(crates > 10, "only {crates} crates found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_circle_is_found_through_names_that_are_passed_on_and_in_expressions() {
    let circles = |files: &[(&'static str, &str)]| Crate::read(files.iter().map(|(path, text)| (*path, (*text).to_owned()))).circles();
    let root = ("lib.rs", "mod a;\nmod b;\npub use self::a::A;\npub use self::b::{B, C as D};");
    assert_eq!(circles(&[root, ("a.rs", "pub struct A;"), ("b.rs", "use crate::A;\npub struct B(A);")]), [""; 0]);
    assert_eq!(circles(&[root, ("a.rs", "use crate::D;"), ("b.rs", "use super::A;")]), ["a -> b -> a"]);
    assert_eq!(circles(&[root, ("a.rs", "fn f() { crate::b::f(); }"), ("b.rs", "use crate::a::{self, A};")]), ["a -> b -> a"]);
    let parent = ("a.rs", "mod c;\nfn f() { c::f(); }\npub struct A;");
    assert_eq!(circles(&[root, parent, ("b.rs", ""), ("a/c.rs", "use super::A;")]), ["a -> a/c -> a"]);
    for (tests, circle) in [("test", None), ("all(test, unix)", None), ("any(test, unix)", Some("a -> a/c -> a"))] {
        let child = format!("#[cfg({tests})]\nmod tests {{\n    use super::super::A;\n}}");
        assert_eq!(circles(&[root, parent, ("b.rs", ""), ("a/c.rs", &child)]), Vec::from_iter(circle), "{tests}");
    }
}
