//! [`console::run`] from lines in to lines out.

use std::time::Duration;

use duet_client::console::{self, ConsoleError, ConsoleOptions};
use duet_client::{Client, ClientOptions};

use crate::scripted::*;

const LONG: Duration = Duration::from_secs(20);

async fn run(input: &str, options: ConsoleOptions) -> (Result<(), ConsoleError>, Vec<String>) {
    let server = scripted("ws", usual()).await;
    let mut client = Client::connect(&server.endpoint, usual(), ClientOptions::default()).await.unwrap();
    let mut out = Vec::new();
    let result = console::run(&mut client, input.as_bytes(), &mut out, &options).await;
    (result, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
}

fn interactive() -> ConsoleOptions {
    ConsoleOptions { reply_timeout: LONG, ..ConsoleOptions::default() }
}

fn one_shot() -> ConsoleOptions {
    ConsoleOptions { one_shot: true, ..interactive() }
}

#[tokio::test]
async fn everything_that_is_sent_and_comes_back_is_written_down() {
    let (result, mut lines) = run("# a comment\n1 hello\n1 9 hex:ff00\n2 refuse me\n3 - 5 apples\n", interactive()).await;
    result.unwrap();
    lines.sort();
    let mut expected = [
        "> 1 1 hello",
        "> 1 9 hex:ff00",
        "> 2 2 refuse me",
        "> 3 3 5 apples",
        "< reply 1 1 hello",
        "< reply 1 9 hex:ff00",
        "< error 2 2 404 no such thing",
        "< push 30 news",
        "< reply 3 3 5 apples",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn mistakes_in_a_line_do_not_end_an_interactive_run() {
    let (result, lines) = run("what\n40000 x\n1 hello\n", interactive()).await;
    result.unwrap();
    assert!(lines[0].starts_with("! \"what\" is no route"), "{lines:?}");
    assert!(lines[1].starts_with("! route 40000"), "{lines:?}");
    assert!(lines[3].starts_with("< reply 1 "), "{lines:?}");
}

#[tokio::test]
async fn an_unanswered_command_is_named_at_the_end() {
    let options = ConsoleOptions { reply_timeout: Duration::from_millis(5), ..interactive() };
    let (result, lines) = run("4 7 anyone\n", options).await;
    result.unwrap();
    assert_eq!(lines, ["> 4 7 anyone", "! no answer to route 4 seq 7 in time"]);
}

#[tokio::test]
async fn a_one_shot_writes_its_answer_only() {
    let (result, lines) = run("3 hello\n1 never sent\n", one_shot()).await;
    result.unwrap();
    assert_eq!(lines, ["< push 30 news", "< reply 3 1 hello"]);
}

#[tokio::test]
async fn a_one_shot_fails_with_its_answer() {
    let (result, lines) = run("2 hello\n", one_shot()).await;
    assert!(matches!(result, Err(ConsoleError::Refused { code: 404, .. })), "{result:?}");
    assert_eq!(lines, ["< error 2 1 404 no such thing"]);
}

#[tokio::test]
async fn a_one_shot_fails_without_an_answer_a_command_or_a_connection() {
    let hasty = ConsoleOptions { reply_timeout: Duration::from_millis(5), ..one_shot() };
    assert!(matches!(run("4 hello\n", hasty).await.0, Err(ConsoleError::NoReply { route: 4, seq: 1 })));
    assert!(matches!(run("\n# nothing\n", one_shot()).await.0, Err(ConsoleError::Nothing)));
    assert!(matches!(run("what\n", one_shot()).await.0, Err(ConsoleError::Command(_))));
    assert!(matches!(run("40000 x\n", one_shot()).await.0, Err(ConsoleError::Send(_))));
    match run("5 close\n", one_shot()).await.0 {
        Err(ConsoleError::Closed(reason)) => assert_eq!(reason.close_code(), Some(4001)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_one_shot_with_seq_0_waits_for_pushes_only() {
    let (result, lines) = run("3 0 hello\n", ConsoleOptions { wait: Duration::from_secs(1), ..one_shot() }).await;
    result.unwrap();
    assert_eq!(lines, ["< push 30 news", "< push 3 hello"]);
}
