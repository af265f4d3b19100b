//! Debian packages for what the tests need: only what is missing, only as root, only if the package is new enough.

use crate::place::Place;
use crate::process::{program, read, run};

/// A program, the package it comes with, and the oldest version of the package that is of use.
const PACKAGES: [(&str, &str, [u32; 2]); 5] = [
    ("node", "nodejs", [20, 0]),
    ("npm", "npm", [9, 0]),
    // From 1.21 on Go fetches the version that go.mod asks for.
    ("go", "golang-go", [1, 21]),
    // For the examples and the session script in a page.
    ("chromium", "chromium", [100, 0]),
    // For the plugins in C.
    ("clang", "clang", [14, 0]),
];

/// Installs what is missing and available. The part that needs what is still missing says so.
pub(super) fn install(place: &Place) {
    let missing: Vec<_> = PACKAGES.into_iter().filter(|(name, ..)| !starts(place, name)).collect();
    if missing.is_empty() || !read(program("id", &place.root).arg("-u")).is_ok_and(|id| id.trim() == "0") || !starts(place, "apt-get") {
        return;
    }
    // Package lists may be old or not there at all; without the network the old ones have to do.
    if let Err(error) = run(program("apt-get", &place.root).args(["update", "-qq"])) {
        println!("{error:#}");
    }
    let wanted: Vec<&str> =
        missing.into_iter().filter(|(_, package, least)| offered(place, package).is_some_and(|v| v >= *least)).map(|(_, p, _)| p).collect();
    if wanted.is_empty() {
        return;
    }
    let mut command = program("apt-get", &place.root);
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-qq", "-y", "--no-install-recommends"]).args(wanted);
    if let Err(error) = run(&mut command) {
        println!("{error:#}");
    }
}

/// Whether a program can be started.
fn starts(place: &Place, name: &str) -> bool {
    let version = if name == "go" { "version" } else { "--version" };
    program(name, &place.root).arg(version).output().is_ok()
}

/// The version that apt would install.
fn offered(place: &Place, package: &str) -> Option<[u32; 2]> {
    let policy = read(program("apt-cache", &place.root).args(["policy", package])).ok()?;
    version(policy.lines().find_map(|l| l.trim().strip_prefix("Candidate: "))?)
}

/// The first two numbers of a Debian version such as `2:1.21~2` or `20.19.2+dfsg-1`.
fn version(text: &str) -> Option<[u32; 2]> {
    let upstream = text.split_once(':').map_or(text, |(_, rest)| rest);
    let mut numbers = upstream.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    Some([numbers.next()?, numbers.next().unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn debian_versions_are_read_with_and_without_an_epoch() {
        assert_eq!(version("2:1.21~2"), Some([1, 21]));
        assert_eq!(version("20.19.2+dfsg-1"), Some([20, 19]));
        assert_eq!(version("(none)"), None);
    }
}
