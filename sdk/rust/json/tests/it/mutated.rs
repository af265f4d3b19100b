//! Texts that are nearly json, from a seed: the same in every run.

use std::fs;
use std::path::Path;

use crate::same;

/// So many texts, in a few seconds.
const TEXTS: usize = 20_000;

/// So many before a release, in a quarter of an hour: `cargo test --release -p duet-json -- --ignored`.
const MANY_TEXTS: usize = 10_000_000;

/// What is put in: pieces that matter to a parser.
const PIECES: [&str; 36] = [
    "\"",
    "\\",
    "\\\"",
    "\\n",
    "\\u",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\udc00",
    "\\u00zz",
    "\\x",
    "\0",
    "\u{1f}",
    "\u{7f}",
    "é",
    "😀",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "-",
    "0",
    ".",
    "e",
    "1e5",
    "99999999999999999999",
    "0.1",
    " ",
    "\n",
    "\"a\":1,",
    "{\"a\":",
    "0123456789abcdef0123456789abcdef0123456789abcdef",
];

/// The corpus of the fuzz targets, to begin with.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/reading");
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "{} holds only {} files", folder.display(), paths.len());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Marsaglia's xorshift.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end.max(1)
    }
}

fn mutate(text: &mut Vec<u8>, chance: &mut Chance) {
    let place = chance.below(text.len() + 1);
    let longest = if chance.below(8) == 0 { 200 } else { 4 };
    let length = chance.below(longest).min(text.len() - place);
    match chance.below(8) {
        0 => text.truncate(place),
        1 if place < text.len() => text[place] = chance.next() as u8,
        2 if place < text.len() => text[place] ^= 1 << chance.below(8),
        3 => drop(text.drain(place..place + length)),
        4 => {
            let copy = text[place..place + length].to_vec();
            let to = chance.below(text.len() + 1);
            drop(text.splice(to..to, copy));
        }
        _ => {
            let piece = PIECES[chance.below(PIECES.len())];
            drop(text.splice(place..place + length.min(1), piece.bytes()));
        }
    }
}

#[test]
fn every_text_of_the_corpus_is_the_same() {
    for text in seeds() {
        same::reading(&text);
        same::writing(&text);
    }
}

/// Returns how many of so many texts were json of some type.
fn read_mutated(texts: usize, mut chance: Chance) -> usize {
    let seeds = seeds();
    let mut read = 0;
    for _ in 0..texts {
        let mut text = seeds[chance.below(seeds.len())].clone();
        for _ in 0..chance.below(4) {
            mutate(&mut text, &mut chance);
        }
        read += usize::from(same::reading(&text) > 0);
    }
    read
}

#[test]
fn mutated_texts_are_read_and_written_as_serde_json_does() {
    let read = read_mutated(TEXTS, Chance(0x9e37_79b9_7f4a_7c15));
    // The test is about both: what can be read and what cannot.
    assert!((TEXTS / 5..TEXTS).contains(&read), "{read} of {TEXTS} were json");
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn ten_million_mutated_texts_are_read_and_written_as_serde_json_does() {
    let read = read_mutated(MANY_TEXTS, Chance(0xd1b5_4a32_d192_ed03));
    println!("{read} of {MANY_TEXTS} were json");
}

#[test]
fn values_of_any_bytes_are_written_as_serde_json_does() {
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let seeds = seeds();
    for _ in 0..TEXTS / 10 {
        let mut data = seeds[chance.below(seeds.len())].clone();
        for _ in 0..chance.below(20) {
            mutate(&mut data, &mut chance);
        }
        same::writing(&data);
    }
}

#[test]
fn floats_of_any_bits_are_read_back_as_serde_json_reads_them() {
    let mut chance = Chance(0x853c_49e6_748f_ea9b);
    for _ in 0..TEXTS {
        let number = f64::from_bits(chance.next());
        let place = chance.below(30);
        for text in [format!("{number}"), format!("{number:e}"), format!("{number:.place$}"), format!("{}", chance.next() as f64 / 1e6)] {
            let found = duet_json::from_slice::<f64>(text.as_bytes()).ok().map(f64::to_bits);
            assert_eq!(found, serde_json::from_str::<f64>(&text).ok().map(f64::to_bits), "{text}");
        }
    }
}
