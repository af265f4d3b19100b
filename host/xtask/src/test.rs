//! `cargo xtask test`: everything that has to hold before a change goes in.

mod deny;
mod packages;
mod steps;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::place::Place;
use crate::process::{cargo, program, read, run};
use crate::{guests, npm, toolchain};
use steps::Steps;

/// Tells the tests which peers (`go`, `node`, `chromium`, `clang`) they have to do without.
const SKIP_CLIENTS: &str = "DUET_SKIP_CLIENTS";

/// Installs what is missing if that is wanted, runs all steps, and reports.
pub(crate) fn test(place: &Place, install: bool) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::default();
    if install {
        packages::install(place);
    }
    let node = check_node(place, install);
    let go = check_go(place, install);
    let chromium = check_chromium(place);
    let clang = check_clang(place);

    steps.step("format", || {
        toolchain::need_component(place, "fmt", "rustfmt", install)?;
        run(cargo(&place.root).args(["fmt", "--all", "--check"]))
    });
    steps.step("tidy", || run(cargo(&place.root).args(["test", "--quiet", "--package", "xtask"])));
    deny::test_dependencies(place, install, &mut steps);
    let built = steps.step("plugins in Rust", || build_guests(place, install));
    steps.step("lints", || {
        toolchain::need_component(place, "clippy", "clippy", install)?;
        run(cargo(&place.root).args(["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"]))
    });
    test_javascript(place, &node, &mut steps);
    if built {
        let tools = [("node", &node), ("go", &go), ("chromium", &chromium), ("clang", &clang)];
        steps.step("tests", || run(&mut workspace_tests(place, &tools)));
    } else {
        steps.fail("tests", "the plugins did not build");
    }
    test_browser(place, node.as_ref().and(chromium.as_ref()), &mut steps);
    if let Err(why) = &node {
        steps.skip("clients on npm ws and plugins in TypeScript against the server", why);
    }
    if let Err(why) = &clang {
        steps.skip("plugins in C against the server", why);
    }
    if let Some(why) = node.as_ref().err().or(chromium.as_ref().err()) {
        steps.skip("a session in a page of Chromium against the server", why);
    }
    if !place.autobahn().is_file() {
        steps.skip(
            "Autobahn against the ws listener",
            "it is not installed; `cargo xtask suite edge` does that, where there is a Python 2.7",
        );
    }
    test_go(place, &go, &mut steps);
    Ok(steps.report())
}

/// What a part cannot do without, or why it is not available.
type Tool = Result<(), String>;

fn check_node(place: &Place, install: bool) -> Tool {
    let folders = || anyhow::Ok([vec![place.sdk_js(), place.peer("npm-ws")], npm::plugins(place)?, npm::examples(place)?].concat());
    let fetch = || npm::check(place).and_then(|()| folders()?.iter().try_for_each(|folder| npm::modules(folder, install)));
    fetch().map_err(|error| format!("{error:#}"))
}

fn check_go(place: &Place, install: bool) -> Tool {
    let fetch = |folder: &Path| {
        let mut modules = program("go", folder);
        if !install {
            modules.env("GOPROXY", "off");
        }
        read(modules.args(["list", "-deps", "-test", "./..."])).context("Go modules").map(drop)
    };
    let check = || {
        // The version is asked for there: a Go that is too old fetches the one that go.mod wants, or says so.
        let version = read(program("go", &place.peer("go-due")).arg("version")).context("no Go")?;
        println!("{}", version.trim());
        go_peers(place).iter().try_for_each(|folder| fetch(folder))
    };
    check().map_err(|error| format!("{error:#}"))
}

/// The clients in Go.
fn go_peers(place: &Place) -> [PathBuf; 2] {
    ["go-due", "go-kcp"].map(|name| place.peer(name))
}

fn check_chromium(place: &Place) -> Tool {
    let version = read(program("chromium", &place.root).arg("--version")).map_err(|error| format!("no Chromium: {error:#}"))?;
    println!("{}", version.trim());
    Ok(())
}

fn check_clang(place: &Place) -> Tool {
    let targets = read(program("clang", &place.root).arg("--print-targets")).map_err(|error| format!("no clang: {error:#}"))?;
    if targets.contains("wasm32") { Ok(()) } else { Err("this clang does not compile to wasm32".to_owned()) }
}

/// The plugins that the tests load, those in Rust.
pub(crate) fn build_guests(place: &Place, install: bool) -> anyhow::Result<()> {
    toolchain::need_target(place, install)?;
    for guest in guests::build(place, &[place.plugins(), place.fixtures()])? {
        // The tests know them by the names that cargo gives them.
        let name = guest.component.file_stem().unwrap_or_default().to_string_lossy();
        guests::put(place, &guest.component, &place.guests(), &name)?;
    }
    Ok(())
}

/// All Rust tests except tidy, which has run already.
fn workspace_tests(place: &Place, tools: &[(&str, &Tool)]) -> Command {
    let mut command = cargo(&place.root);
    command.args(["test", "--workspace", "--exclude", "xtask", "--no-fail-fast"]).env("DUET_GUESTS", place.guests());
    let missing: Vec<&str> = tools.iter().filter(|(_, tool)| tool.is_err()).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        command.env_remove(SKIP_CLIENTS);
    } else {
        command.env(SKIP_CLIENTS, missing.join(","));
    }
    command
}

fn test_javascript(place: &Place, node: &Tool, steps: &mut Steps) {
    if let Err(why) = node {
        steps.skip("SDK for TypeScript", why);
        steps.skip("plugins in TypeScript", why);
        steps.skip("examples", why);
        return;
    }
    let sdk = place.sdk_js();
    steps.step("SDK for TypeScript", || {
        run(npm::npm(&sdk).args(["run", "--silent", "check"]))?;
        run(npm::npm(&sdk).args(["test", "--silent"]))
    });
    steps.step("plugins in TypeScript", || {
        // Their types are checked before they are bundled.
        npm::plugins(place)?.iter().try_for_each(|folder| npm::build(folder).map(drop))
    });
    steps.step("examples", || {
        let run_script = |folder: &Path, script| run(npm::npm(folder).args(["run", "--silent", script]));
        npm::examples(place)?.iter().try_for_each(|folder| run_script(folder, "check").and_then(|()| run_script(folder, "unit")))
    });
}

/// The examples in a browser, against the server that the tests have built.
fn test_browser(place: &Place, tools: Result<&(), &String>, steps: &mut Steps) {
    const STEP: &str = "examples in Chromium";
    if let Err(why) = tools {
        steps.skip(STEP, why);
        return;
    }
    steps.step(STEP, || {
        for folder in npm::examples(place)? {
            run(npm::npm(&folder).args(["run", "--silent", "browser"]).env("DUET_BIN", place.server("debug")))?;
        }
        Ok(())
    });
}

fn test_go(place: &Place, go: &Tool, steps: &mut Steps) {
    if let Err(why) = go {
        steps.skip("clients on due and on kcp-go, in Go, against the server", why);
        steps.skip("clients in Go", why);
        return;
    }
    steps.step("clients in Go", || {
        go_peers(place).iter().try_for_each(|folder| {
            run(program("go", folder).args(["vet", "./..."]))?;
            run(program("go", folder).args(["test", "./..."]))
        })
    });
}
