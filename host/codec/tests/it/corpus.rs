//! The stored fuzz corpus, replayed through the very functions the fuzz targets run.

use std::fs;
use std::path::Path;

use duet_codec::fuzzing;

/// Runs every file of a target's corpus, which must hold some.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{} holds only {count} files", folder.display());
}

#[test]
fn the_corpus_of_packet_stream_holds() {
    replay("packet_stream", fuzzing::packet_stream);
}

#[test]
fn the_corpus_of_packet_message_holds() {
    replay("packet_message", fuzzing::packet_message);
}

#[test]
fn the_corpus_of_ws_decoder_holds() {
    replay("ws_decoder", fuzzing::ws_decoder);
}
