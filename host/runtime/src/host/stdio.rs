//! What a guest writes to stdout and stderr becomes log lines.

use std::sync::Arc;

use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::Context;

/// Longest line that is waited for; a longer one is logged in parts.
const LINE_BYTES_MAX: usize = 4096;

/// One of the two streams.
pub(super) struct GuestOutput {
    context: Arc<Context>,
    level: u32,
}

impl GuestOutput {
    pub(super) fn new(context: &Arc<Context>, is_error: bool) -> Self {
        Self { context: Arc::clone(context), level: if is_error { 2 } else { 3 } }
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
        Box::new(Lines { context: Arc::clone(&self.context), level: self.level, partial: Vec::new() })
    }
}

struct Lines {
    context: Arc<Context>,
    level: u32,
    partial: Vec<u8>,
}

impl Lines {
    fn log(&mut self) {
        if !self.partial.is_empty() {
            self.context.log.write(&self.context.name, self.level, &String::from_utf8_lossy(&self.partial));
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
