//! What a guest writes to stdout and stderr becomes log lines.

use std::sync::Arc;

use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::host::context::Context;
use crate::host::last_words::LastWords;

/// Longest line that is waited for; a longer one is logged in parts.
const LINE_BYTES_MAX: usize = 4096;

/// One of the two streams.
pub(super) struct GuestOutput {
    context: Arc<Context>,
    /// Only stderr has them: what is said there may explain a trap.
    last_words: Option<Arc<LastWords>>,
}

impl GuestOutput {
    pub(super) fn new(context: &Arc<Context>, last_words: Option<&Arc<LastWords>>) -> Self {
        Self { context: Arc::clone(context), last_words: last_words.cloned() }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    /// Only WASI 0.3 asks for this form, and no world offers it.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { context: Arc::clone(&self.context), last_words: self.last_words.clone(), partial: Vec::new() })
    }
}

struct Lines {
    context: Arc<Context>,
    last_words: Option<Arc<LastWords>>,
    partial: Vec<u8>,
}

impl Lines {
    fn log(&mut self) {
        if !self.partial.is_empty() {
            let line = String::from_utf8_lossy(&self.partial);
            if let Some(last_words) = &self.last_words {
                last_words.note(&line);
            }
            self.context.log.write(if self.last_words.is_some() { 2 } else { 3 }, &line);
            self.partial.clear();
        }
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            self.partial.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
            if part.ends_with(b"\n") || self.partial.len() >= LINE_BYTES_MAX {
                self.log();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES_MAX)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.log();
    }
}
