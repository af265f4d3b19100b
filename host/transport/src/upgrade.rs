//! The WebSocket handshake, over plain tcp or TLS. Frames after it are the business of `codec`, on the plain stream.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, StatusCode};

pub use self::options::WsOptions;
pub use self::refusal::UpgradeError;
use self::refusal::{refusal, refused};
use crate::{Networks, in_time, part};

mod forwarded;
mod options;
mod refusal;
mod request;

/// Most bytes of a request. Browsers send less than 1 KiB, and cookies may come on top.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// How many bytes are set aside for a request at first.
const REQUEST_BYTES: usize = 1 << 10;
/// Where proxies write whom they speak for.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A client that asked as it should and has not been answered yet.
#[derive(Debug)]
pub struct Upgrade<S> {
    stream: S,
    answer: String,
    ahead: Vec<u8>,
    /// For whom a trusted proxy speaks. Without one, or if it said nothing sensible, the peer's own address counts.
    pub forwarded: Option<IpAddr>,
}

/// A client that may send frames now.
#[derive(Debug)]
pub struct Upgraded<S> {
    /// The stream.
    pub stream: S,
    /// What came after the request, before anything else from the stream.
    pub ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Upgrade<S> {
    /// Reads a request. A client that asks for something else gets an HTTP error.
    ///
    /// `proxies` are the trusted networks if the peer is in one of them: then it may say for whom it speaks (`X-Forwarded-For`).
    ///
    /// # Errors
    /// [`UpgradeError`].
    pub async fn read(mut stream: S, options: &WsOptions, proxies: Option<&Networks>, deadline: Instant) -> Result<Self, UpgradeError> {
        let read = in_time(deadline, read_request(&mut stream)).await.unwrap_or(Err(UpgradeError::Timeout));
        let answered = read.and_then(|(request, ahead)| Ok((request::answer(&request, options)?, request, ahead)));
        match answered {
            Ok((answer, request, ahead)) => {
                let forwarded = proxies.and_then(|proxies| forwarded::address(&request::values(&request, &FORWARDED), proxies));
                Ok(Self { stream, answer, ahead, forwarded })
            }
            Err(error) => {
                if let UpgradeError::Refused { status, text } = &error {
                    part(stream, refusal(*status, text).as_bytes()).await;
                }
                Err(error)
            }
        }
    }

    /// Agrees.
    ///
    /// # Errors
    /// [`UpgradeError`].
    pub async fn agree(mut self, deadline: Instant) -> Result<Upgraded<S>, UpgradeError> {
        let tell = async {
            self.stream.write_all(self.answer.as_bytes()).await?;
            self.stream.flush().await
        };
        in_time(deadline, tell).await.ok_or(UpgradeError::Timeout)??;
        Ok(Upgraded { stream: self.stream, ahead: self.ahead })
    }

    /// Says these last bytes instead, and closes.
    pub async fn refuse(self, last: &[u8]) {
        part(self.stream, last).await;
    }
}

/// Reads a request to its end, and returns what came after it. It is parsed again with every read, so that what is not a request is noticed
/// at once; its size bounds how often that happens.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Request, Vec<u8>), UpgradeError> {
    let mut bytes = vec![0; REQUEST_BYTES];
    let mut filled = 0;
    loop {
        let read = stream.read(bytes.get_mut(filled..).unwrap_or_default()).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        filled += read;
        match Request::try_parse(bytes.get(..filled).unwrap_or_default()) {
            Ok(Some((size, request))) => return Ok((request, bytes.get(size..filled).unwrap_or_default().to_vec())),
            Ok(None) if filled == REQUEST_BYTES_MAX => {
                return Err(refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too long"));
            }
            Ok(None) if filled == bytes.len() => bytes.resize(REQUEST_BYTES_MAX.min(2 * filled), 0),
            Ok(None) => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
}

fn unreadable(error: &tungstenite::Error) -> UpgradeError {
    match error {
        tungstenite::Error::Protocol(ProtocolError::WrongHttpMethod) => {
            refused(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket begins with GET")
        }
        // What proxies send that are not set up for WebSockets.
        tungstenite::Error::Protocol(ProtocolError::WrongHttpVersion) => {
            refused(StatusCode::UPGRADE_REQUIRED, "a WebSocket begins with HTTP/1.1, not with HTTP/1.0")
        }
        error => refused(StatusCode::BAD_REQUEST, &format!("no WebSocket handshake: {error}")),
    }
}
