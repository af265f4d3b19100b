//! The commands of the pages, run as they are written there, in an empty folder next to a checkout; they print what the pages say.

mod page;
mod shell;

use duet_testkit::guest;

use crate::clients::programs::is_skipped;
use page::{Block, Page};
use shell::Shell;

#[test]
fn the_first_request_of_the_readme() {
    let mut shell = Shell::beside_a_checkout();
    shell.enter("duet");
    shell.plugin("greet", &guest("greet"));
    shell.serve("target/debug/duet run", &["...".to_owned(), "ready in 1 ms with 2 workers and 2 I/O threads".to_owned()]);
    // The commands of the other block build the plugins and the server, as was done for this test.
    let blocks = Page::read("README.md").section("Two commands");
    shell.run(blocks.into_iter().filter(|block| matches!(block, Block::Console(_))));
}

#[test]
fn the_five_minutes_of_the_readme() {
    Shell::beside_a_checkout().run(Page::read("README.md").section("A handler of your own, in five minutes"));
}

#[test]
fn the_page_of_the_sdk_for_rust() {
    Shell::beside_a_checkout().run(Page::read("sdk/rust/README.md").section("From nothing to an answer"));
}

#[test]
fn the_page_of_the_sdk_for_typescript() {
    if is_skipped("node") {
        return;
    }
    let mut shell = Shell::beside_a_checkout();
    shell.copy("sdk/js");
    shell.run(Page::read("sdk/js/README.md").section("From nothing to an answer"));
}

#[test]
fn the_page_of_the_chat() {
    if is_skipped("node") {
        return;
    }
    let mut shell = Shell::beside_a_checkout();
    shell.copy("sdk/js");
    shell.copy("examples/chat");
    shell.enter("duet/examples/chat");
    shell.run(Page::read("examples/chat/README.md").section("Start"));
}
