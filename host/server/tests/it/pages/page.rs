//! A page of the documentation, and the blocks in it that a reader types or copies.

use std::fs;

use crate::clients::programs::folder;

/// A block between two fences. The words after the first fence say what a block is.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// `LANGUAGE FILE`: what is in this file.
    File { name: String, text: String },
    /// `sh`: commands; what they print does not matter.
    Commands(String),
    /// `console`: commands after `$ `, each with what it prints. What stands before the first is said to a client that is open, and by it.
    Console(Vec<(String, Vec<String>)>),
}

/// The blocks of a page, or of a part of it, in their order. Blocks of other kinds are for reading only.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
}

impl Page {
    pub(super) fn read(path: &str) -> Self {
        Self { text: fs::read_to_string(folder(path)).unwrap() }
    }

    /// The blocks under a heading, up to the next one of its level.
    pub(super) fn section(&self, heading: &str) -> Vec<Block> {
        let from = self.text.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading:?}"));
        let rest = &self.text[from + 1..];
        let end = rest.find("\n## ").unwrap_or(rest.len());
        let blocks = blocks(&rest[..end]);
        assert!(blocks.iter().any(|block| matches!(block, Block::Console(_))), "nothing in {heading:?} says what it prints");
        blocks
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match kind.split_once(' ') {
            Some((_, name)) => blocks.push(Block::File { name: name.to_owned(), text: inside.join("\n") + "\n" }),
            None if kind == "sh" => blocks.push(Block::Commands(inside.join("\n"))),
            None if kind == "console" => blocks.push(Block::Console(console(&inside))),
            None => {}
        }
    }
    blocks
}

fn console(lines: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((_, printed))) => printed.push((*line).to_owned()),
            (None, None) => commands.push((String::new(), vec![(*line).to_owned()])),
        }
    }
    commands
}
