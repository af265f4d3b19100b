//! The pages that people read: how long they are, and whether their links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

/// The most lines of a page that is read from beginning to end.
const LINES_MAX: [(&str, usize); 2] = [("README.md", 170), ("host/ARCHITECTURE.md", 200)];
/// The manual.
const MANUAL: &str = "host/docs/";

/// A link to a file of the repository, and to a heading in it.
#[derive(Debug, PartialEq)]
struct Link {
    /// From the top of the repository, without `.` and `..`.
    path: String,
    heading: Option<String>,
}

/// All pages by their paths.
fn pages() -> BTreeMap<String, String> {
    tree::files().into_iter().filter(|f| f.path.ends_with(".md")).map(|f| (f.path.clone(), f.text())).collect()
}

#[test]
fn the_readme_and_the_architecture_are_short_enough_to_be_read() {
    let pages = pages();
    for (name, most) in LINES_MAX {
        let lines = pages[name].lines().count();
        assert!(lines <= most, "{name} has {lines} lines, which is more than {most}: the rest belongs on a page of {MANUAL}");
    }
}

#[test]
fn the_readme_or_the_architecture_links_every_page_of_the_manual() {
    let pages = pages();
    let linked: BTreeSet<String> = LINES_MAX.iter().flat_map(|(from, _)| links(from, &pages[*from])).map(|link| link.path).collect();
    let missing: Vec<&String> = pages.keys().filter(|path| path.starts_with(MANUAL) && !linked.contains(*path)).collect();
    assert!(pages.keys().any(|path| path.starts_with(MANUAL)), "there is no manual where this test looks");
    assert!(missing.is_empty(), "neither README nor ARCHITECTURE links {missing:?}");
}

#[test]
fn every_link_between_files_leads_to_a_file_and_a_heading() {
    let pages = pages();
    let mut broken = Vec::new();
    for (from, text) in &pages {
        for Link { path, heading } in links(from, text) {
            let is_there = match &heading {
                None => tree::root().join(&path).exists(),
                Some(heading) => pages.get(&path).is_some_and(|page| headings(page).contains(heading)),
            };
            if !is_there {
                broken.push(format!("{from}: {path}{}", heading.map(|heading| format!("#{heading}")).unwrap_or_default()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_source_file_that_a_page_about_the_host_names_is_there() {
    let is_there = |path: &str| ["", "host"].iter().any(|top| tree::root().join(top).join(path).exists());
    let mut gone = Vec::new();
    for (from, text) in pages().into_iter().filter(|(from, _)| from.starts_with("host/")) {
        let named = prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|word| word.contains("/src/"));
        gone.extend(named.filter(|path| !is_there(path)).map(|path| format!("{from}: {path}")));
    }
    assert!(gone.is_empty(), "moved or renamed: {gone:#?}");
}

/// The links of a page that stay in the repository.
fn links(from: &str, text: &str) -> Vec<Link> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    prose(text)
        .flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()))
        .filter(|goal| !goal.contains("://"))
        .map(|goal| {
            let (path, heading) = goal.split_once('#').map_or((goal, None), |(path, heading)| (path, Some(heading.to_owned())));
            Link { path: if path.is_empty() { from.to_owned() } else { resolved(folder, path) }, heading }
        })
        .collect()
}

/// A path without `.` and `..`, from the top.
fn resolved(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => assert!(parts.pop().is_some(), "{path} in {folder} leads out of the repository"),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The anchors of the headings of a page, as forges make them: small letters, hyphens for spaces, no punctuation.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles
        .map(|title| title.to_lowercase().replace(' ', "-").chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect())
        .collect()
}

/// The lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    })
}

#[test]
fn links_and_headings_are_found_outside_of_blocks_only() {
    let page = "# A page, in `two` parts\nsee [x](../b.md#c-d) and [y](https://example.com)\n```sh\n# no\n[z](no.md)\n```\n[here](#e)\n";
    let expected = [("host/b.md", "c-d"), ("host/docs/a.md", "e")];
    let expected: Vec<Link> =
        expected.into_iter().map(|(path, heading)| Link { path: path.to_owned(), heading: Some(heading.to_owned()) }).collect();
    assert_eq!(links("host/docs/a.md", page), expected);
    assert_eq!(headings(page), BTreeSet::from(["a-page-in-two-parts".to_owned()]));
}
