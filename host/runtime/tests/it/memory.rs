//! The memory of an instance: all of it counts, and the fault says what was short.

use duet_core::packed::RequestIter;
use duet_runtime::PluginOptions;

use crate::rig::{Rig, requests};

/// The hand-written plugin with a part replaced.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = include_str!("../../../testkit/fixtures/single/single.wat");
    assert!(text.contains(from), "{from:?} is not there");
    wat::parse_str(text.replacen(from, to, 1)).unwrap()
}

/// The same with more parts in front.
fn with(parts: &str) -> Vec<u8> {
    changed("(component", &format!("(component {parts}"))
}

fn mib(count: usize) -> PluginOptions {
    PluginOptions { memory_bytes: count << 20, ..PluginOptions::default() }
}

/// Loads a plugin and makes one call in an instance of its own. The error is what the log would say.
fn fault(rig: &Rig, name: &str, plugin: &[u8], options: PluginOptions, route: i32, body: &[u8]) -> String {
    let file = rig.file(&format!("{name}.wasm"), plugin);
    let mut call = rig.runtime.loader().load(&file, options).unwrap().caller().map_err(|e| e.to_string()).unwrap();
    let list = requests(&[(5, route, 1, body)]);
    assert_eq!(RequestIter::new(list.bytes()).count(), 1);
    call(list.bytes()).expect_err("a fault")
}

#[test]
fn memories_of_one_instance_count_together() {
    let rig = Rig::new();
    // 4 MiB of its own, and three of 32 MiB: each is below the limit.
    let memory = "(core module $Big (memory 512)) (core instance (instantiate $Big)) (core instance (instantiate $Big)) (core instance (instantiate $Big))";
    let file = rig.file("large.wasm", with(memory));
    let refused = rig.serve(&file, mib(64)).expect_err("100 MiB of 64");
    assert!(refused.contains("memory limit of 64 MiB reached: raise `memory`"), "{refused}");
    rig.serve(&file, mib(100)).expect("100 MiB of 100");
    assert_eq!(rig.reply(211, b"x"), b"x");
    eprintln!("memory: {refused}");
}

#[test]
fn tables_count_as_memory_and_their_elements_together() {
    let rig = Rig::new();
    let tables = "(core module $Wide (table 15000 funcref)) (core instance (instantiate $Wide)) (core instance (instantiate $Wide))";
    let file = rig.file("wide.wasm", with(tables));
    let refused = rig.serve(&file, PluginOptions::default()).expect_err("30,000 elements of 20,000");
    assert!(refused.contains("limit of 20000 table elements reached: raise `table_elements`"), "{refused}");
    let large = PluginOptions { table_elements: 10_000_000, ..mib(4) };
    let refused = rig.serve(&file, large).expect_err("4 MiB of memory and 0.2 MiB of tables");
    assert!(refused.contains("memory limit of 4 MiB reached"), "{refused}");
    rig.serve(&file, PluginOptions { table_elements: 30_000, ..mib(5) }).unwrap();
    eprintln!("memory: {refused}");
}

#[test]
fn a_fault_for_want_of_memory_or_stack_says_so() {
    let rig = Rig::new();
    let plain = crate::rig::single();
    let text = fault(&rig, "small", &plain, mib(5), 211, &vec![0; 8 << 20]);
    assert!(text.starts_with("memory limit of 5 MiB reached: raise `memory`") && text.contains("unreachable"), "{text}");
    let text = fault(&rig, "trap", &plain, mib(5), 207, b"");
    assert!(text.contains("unreachable") && !text.contains("memory limit"), "a trap for another reason: {text}");
    let endless = changed("(func $forever (loop $turn (br $turn)))", "(func $forever (call $forever))");
    let text = fault(&rig, "deep", &endless, mib(5), 213, b"");
    assert!(text.starts_with("stack of 1 MiB exhausted: it calls itself too deeply"), "{text}");
    eprintln!("memory: 2 faults name their limit, one that has none does not");
}

#[test]
fn a_stack_that_overflows_in_describe_or_start_is_said_to_be_theirs() {
    let rig = Rig::new();
    let file = rig.file("deep.wasm", changed("(func $forever (loop $turn (br $turn)))", "(func $forever (call $forever))"));
    for function in ["describe", "start", "stop"] {
        let options = PluginOptions { config: format!(r#"{{"{function}":"loop"}}"#).parse().unwrap(), ..PluginOptions::default() };
        let told = match rig.runtime.loader().check(&file, options) {
            Ok(loaded) => loaded.ends_badly.unwrap(),
            Err(refused) => refused.to_string(),
        };
        assert!(told.contains(&format!("`{function}` failed: stack of 1 MiB exhausted: it calls itself too deeply")), "{told}");
        assert!(!told.contains("handler"), "{told}");
    }
}

#[test]
fn a_plugin_of_too_many_parts_is_told_how_many_there_may_be() {
    let rig = Rig::new();
    let count = |what: &str, of: usize| format!("(core module $Part {what}) {}", "(core instance (instantiate $Part)) ".repeat(of));
    for (name, parts) in [("memories", count("(memory 1)", 10)), ("instances", count("", 50)), ("tables", count("(table 1 funcref)", 51))] {
        let file = rig.file(&format!("{name}.wasm"), with(&parts));
        let refused = rig.serve(&file, PluginOptions::default()).expect_err(name);
        let advice = "count too high at 11; a plugin has at most 50 core instances, 10 memories and 50 tables: link its modules into fewer";
        assert!(refused.contains(&advice.replace("11", if name == "memories" { "11" } else { "51" })), "{name}: {refused}");
    }
}
