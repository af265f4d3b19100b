//! A panic in each function of WASI that a plugin can reach, in both lanes.

use super::*;

/// What `wasmtime-wasi` offers: with another version these names are not its own.
const VERSION: &str = "0.2.12";

/// Everything that is imported. `SUBSCRIBE` puts a plugin into the waiting lane.
const IMPORTS: &str = r#"
  (import "wasi:io/poll@VERSION" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))
    (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/error@VERSION" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $failure))
  (import "wasi:io/streams@VERSION" (instance $streams
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $p (eq $outer-pollable)))
    (alias outer 1 $failure (type $outer-failure))
    (export "error" (type $e (eq $outer-failure)))
    (type $why (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $se (eq $why)))
    (export "input-stream" (type $in (sub resource)))
    (export "output-stream" (type $out (sub resource)))
    (export "[method]input-stream.read" (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $se)))))
    (export "[method]input-stream.blocking-read" (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $se)))))
    (export "[method]input-stream.subscribe" (func (param "self" (borrow $in)) (result (own $p))))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $out)) (result (result u64 (error $se)))))
    (export "[method]output-stream.write" (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))
    (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))
    (export "[method]output-stream.flush" (func (param "self" (borrow $out)) (result (result (error $se)))))
    (export "[method]output-stream.blocking-flush" (func (param "self" (borrow $out)) (result (result (error $se)))))
    (export "[method]output-stream.subscribe" (func (param "self" (borrow $out)) (result (own $p))))))
  (alias export $streams "input-stream" (type $input))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdin@VERSION" (instance $stdin
    (alias outer 1 $input (type $outer)) (export "input-stream" (type $s (eq $outer)))
    (export "get-stdin" (func (result (own $s))))))
  (import "wasi:cli/stdout@VERSION" (instance $stdout
    (alias outer 1 $output (type $outer)) (export "output-stream" (type $s (eq $outer)))
    (export "get-stdout" (func (result (own $s))))))
  (import "wasi:cli/stderr@VERSION" (instance $stderr
    (alias outer 1 $output (type $outer)) (export "output-stream" (type $s (eq $outer)))
    (export "get-stderr" (func (result (own $s))))))
  (import "wasi:cli/environment@VERSION" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))
    (export "initial-cwd" (func (result (option string))))))
  (import "wasi:cli/exit@VERSION" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:clocks/wall-clock@VERSION" (instance $wall
    (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $record)))
    (export "now" (func (result $datetime)))
    (export "resolution" (func (result $datetime)))))
  (import "wasi:clocks/monotonic-clock@VERSION" (instance $monotonic
    (alias outer 1 $pollable (type $outer)) (export "pollable" (type $p (eq $outer)))
    SUBSCRIBE
    (export "now" (func (result u64)))
    (export "resolution" (func (result u64)))))
  (import "wasi:random/random@VERSION" (instance $secure
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure@VERSION" (instance $insecure
    (export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-insecure-random-u64" (func (result u64)))))
  (import "wasi:random/insecure-seed@VERSION" (instance $seed (export "insecure-seed" (func (result (tuple u64 u64))))))
"#;

const SUBSCRIBE: &str = r#"
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))
    (export "subscribe-instant" (func (param "when" u64) (result (own $p))))"#;

/// An instance above, its interface, a function of it, and its type in core wasm. What it takes is a handle, if `from` says whence, and then numbers.
#[derive(Clone, Copy)]
struct Case {
    instance: &'static str,
    interface: &'static str,
    function: &'static str,
    core: &'static str,
    from: Option<(&'static str, &'static str)>,
}

const fn case(instance: &'static str, interface: &'static str, function: &'static str, core: &'static str) -> Case {
    Case { instance, interface, function, core, from: None }
}

const fn of(from: (&'static str, &'static str), case: Case) -> Case {
    Case { from: Some(from), ..case }
}

const STDIN: (&str, &str) = ("stdin", "get-stdin");
const STDOUT: (&str, &str) = ("stdout", "get-stdout");
const NAP: (&str, &str) = ("monotonic", "subscribe-duration");

const CASES: [Case; 31] = [
    case("stdin", "cli/stdin", "get-stdin", "(result i32)"),
    case("stdout", "cli/stdout", "get-stdout", "(result i32)"),
    case("stderr", "cli/stderr", "get-stderr", "(result i32)"),
    case("environment", "cli/environment", "get-environment", "(param i32)"),
    case("environment", "cli/environment", "get-arguments", "(param i32)"),
    case("environment", "cli/environment", "initial-cwd", "(param i32)"),
    case("exit", "cli/exit", "exit", "(param i32)"),
    case("wall", "clocks/wall-clock", "now", "(param i32)"),
    case("wall", "clocks/wall-clock", "resolution", "(param i32)"),
    case("monotonic", "clocks/monotonic-clock", "now", "(result i64)"),
    case("monotonic", "clocks/monotonic-clock", "resolution", "(result i64)"),
    case("monotonic", "clocks/monotonic-clock", "subscribe-duration", "(param i64) (result i32)"),
    case("monotonic", "clocks/monotonic-clock", "subscribe-instant", "(param i64) (result i32)"),
    case("secure", "random/random", "get-random-bytes", "(param i64 i32)"),
    case("secure", "random/random", "get-random-u64", "(result i64)"),
    case("insecure", "random/insecure", "get-insecure-random-bytes", "(param i64 i32)"),
    case("insecure", "random/insecure", "get-insecure-random-u64", "(result i64)"),
    case("seed", "random/insecure-seed", "insecure-seed", "(param i32)"),
    case("poll", "io/poll", "poll", "(param i32 i32 i32)"),
    of(NAP, case("poll", "io/poll", "[method]pollable.ready", "(param i32) (result i32)")),
    of(NAP, case("poll", "io/poll", "[method]pollable.block", "(param i32)")),
    of(STDOUT, case("streams", "io/streams", "[method]output-stream.check-write", "(param i32 i32)")),
    of(STDOUT, case("streams", "io/streams", "[method]output-stream.write", "(param i32 i32 i32 i32)")),
    of(STDOUT, case("streams", "io/streams", "[method]output-stream.blocking-write-and-flush", "(param i32 i32 i32 i32)")),
    of(STDOUT, case("streams", "io/streams", "[method]output-stream.flush", "(param i32 i32)")),
    of(STDOUT, case("streams", "io/streams", "[method]output-stream.blocking-flush", "(param i32 i32)")),
    of(STDOUT, case("streams", "io/streams", "[method]output-stream.subscribe", "(param i32) (result i32)")),
    of(STDIN, case("streams", "io/streams", "[method]input-stream.read", "(param i32 i64 i32)")),
    of(STDIN, case("streams", "io/streams", "[method]input-stream.blocking-read", "(param i32 i64 i32)")),
    of(STDIN, case("streams", "io/streams", "[method]input-stream.subscribe", "(param i32) (result i32)")),
    of(("stderr", "get-stderr"), case("streams", "io/streams", "[method]output-stream.flush", "(param i32 i32)")),
];

impl Case {
    /// Whether only a plugin that can wait can call it.
    fn waits(&self) -> bool {
        self.function.starts_with("subscribe") || self.from == Some(NAP)
    }

    /// The hand-written plugin, which calls this function where it would ask for the monotonic clock: on route 201.
    fn plugin(&self, waits: bool) -> String {
        let lower = |name: &str, (instance, function): (&str, &str)| {
            format!(
                "(core func ${name} (canon lower (func ${instance} \"{function}\") (memory (core memory $memory \"memory\")) \
                 (realloc (core func $memory \"realloc\"))))\n"
            )
        };
        let mut shim = lower("called", (self.instance, self.function));
        // The type in core wasm of what gives a handle, and the call.
        let (mut given, mut arguments) = (String::new(), String::new());
        let mut numbers = self.core.split(')').next().filter(|p| p.starts_with("(param")).unwrap_or_default().split(' ').skip(1);
        let mut with = "(export \"f\" (func $called))".to_owned();
        if let Some(from) = self.from {
            shim += &lower("giver", from);
            let (parameter, argument) = if from == NAP { ("(param i64)", "(i64.const 1000)") } else { ("", "") };
            given = format!("(import \"w\" \"g\" (func $g {parameter} (result i32)))");
            arguments = format!("(call $g {argument})");
            with += "(export \"g\" (func $giver))";
            numbers.next();
        }
        // Nothing at 0, and what is returned at 64. The status of `exit` is 0 or 1.
        let left = numbers.clone().count();
        for (at, number) in numbers.enumerate() {
            let value = if at + 1 == left && self.function != "exit" { 64 } else { 0 };
            arguments += &format!(" ({number}.const {value})");
        }
        let drop = if self.core.contains("result") { "(drop " } else { "(block " };
        shim += &format!(
            "(core module $Shim (import \"w\" \"f\" (func $f {core})) {given}\n\
             (func (export \"f\") (result i64) {drop} (call $f {arguments})) (i64.const 0)))\n\
             (core instance $shim (instantiate $Shim (with \"w\" (instance {with}))))\n\
             (alias core export $shim \"f\" (core func $clock-monotonic))",
            core = self.core
        );
        let text = include_str!("../../../../../testkit/fixtures/single/single.wat");
        let clock = "(core func $clock-monotonic (canon lower (func $clock \"monotonic-us\")))";
        assert!(text.contains(clock));
        let imports = IMPORTS.replace("SUBSCRIBE", if waits { SUBSCRIBE } else { "" }).replace("VERSION", VERSION);
        text.replacen("(component", &format!("(component {imports}"), 1).replacen(clock, &shim, 1)
    }
}

#[test]
fn a_panic_in_any_function_of_wasi_is_a_fault_of_one_message_in_both_lanes() {
    let fault = ErrorCode::PLUGIN_FAULT.0;
    let mut count = 0;
    for case in CASES {
        for waits in [false, true] {
            if case.waits() && !waits {
                continue;
            }
            let (mut slot, codes) = slot_with(&case.plugin(waits), &format!("wasi:{}@{VERSION}", case.interface), case.function);
            let Code::Wasm(template) = &slot.plugin.version.code else { unreachable!() };
            assert_eq!(template.waits(), waits);
            let answers = answers(&mut slot, &codes, &[211, 201, 211, 211, 211, 201, 211]);
            assert_eq!(answers, [0, fault, 0, 0, 0, fault, 0], "{}, waits: {waits}", case.function);
            assert!(PANICS.take() >= 2, "{} was not called", case.function);
            count += 1;
        }
    }
    eprintln!("panics: {count} in functions of WASI, each a fault of one message");
}
