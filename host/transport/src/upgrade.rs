//! The WebSocket handshake, over plain tcp or TLS. Frames after it are the business of `codec`, on the plain stream.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response, create_response, write_response};
use tokio_tungstenite::tungstenite::http::header::{HOST, ORIGIN};
use tokio_tungstenite::tungstenite::http::{HeaderName, StatusCode};

use crate::{Networks, Origins};

/// Most bytes of a request. Browsers send less than 1 KiB, and cookies may come on top.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// What is taken for a request at first.
const REQUEST_BYTES: usize = 1 << 10;
/// Where proxies write whom they speak for.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A client that may send frames now.
#[derive(Debug)]
pub struct Upgraded<S> {
    /// The stream, with nothing of the first frame lost.
    pub stream: S,
    /// For whom a trusted proxy speaks. Without one, or if it said nothing sensible, the peer's own address counts.
    pub forwarded: Option<IpAddr>,
}

/// Why a client did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The request did not come in time.
    #[error("no handshake in time")]
    Timeout,
    /// The connection ended or failed before.
    #[error("the connection ended before its handshake did: {0}")]
    Lost(#[from] io::Error),
    /// The client was told what is wrong.
    #[error("refused with {status}: {text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The text that the client got.
        text: String,
    },
}

/// Answers the handshake and gives the stream back. The client has to wait for the answer before its first frame.
///
/// `proxies` are the trusted networks if the peer is in one of them: then it may say for whom it speaks (`X-Forwarded-For`).
///
/// # Errors
/// [`UpgradeError`]; a client that asked for something else got an HTTP error.
pub async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    path: &str,
    origins: &Origins,
    proxies: Option<&Networks>,
    deadline: Instant,
) -> Result<Upgraded<S>, UpgradeError> {
    tokio::time::timeout_at(deadline.into(), shake_hands(stream, path, origins, proxies)).await.unwrap_or(Err(UpgradeError::Timeout))
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    path: &str,
    origins: &Origins,
    proxies: Option<&Networks>,
) -> Result<Upgraded<S>, UpgradeError> {
    let answered = match read_request(&mut stream).await {
        Ok(request) => answer(&request, path, origins).map(|response| (response, request)),
        Err(error) => Err(error),
    };
    match answered {
        Ok((response, request)) => {
            stream.write_all(&response).await?;
            stream.flush().await?;
            let forwarded = proxies.and_then(|proxies| forwarded_for(&values(&request, &FORWARDED), proxies));
            Ok(Upgraded { stream, forwarded })
        }
        Err(error) => {
            if let UpgradeError::Refused { status, text } = &error {
                stream.write_all(refusal(*status, text).as_bytes()).await?;
                stream.shutdown().await?;
            }
            Err(error)
        }
    }
}

/// Reads a request to its end. It is parsed anew with every read, which its size bounds, so that what is no request is seen at once.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Request, UpgradeError> {
    let mut bytes = vec![0; REQUEST_BYTES];
    let mut filled = 0;
    loop {
        let read = stream.read(bytes.get_mut(filled..).unwrap_or_default()).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        filled += read;
        match Request::try_parse(bytes.get(..filled).unwrap_or_default()) {
            Ok(Some((size, request))) if size == filled => return Ok(request),
            Ok(Some(_)) => return Err(refused(StatusCode::BAD_REQUEST, "nothing may follow the request before its answer")),
            Ok(None) if filled == REQUEST_BYTES_MAX => {
                return Err(refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too long"));
            }
            Ok(None) if filled == bytes.len() => bytes.resize(REQUEST_BYTES_MAX.min(2 * filled), 0),
            Ok(None) => {}
            Err(error) => return Err(refused(StatusCode::BAD_REQUEST, &format!("no WebSocket handshake: {error}"))),
        }
    }
}

/// The bytes that agree.
fn answer(request: &Request, path: &str, origins: &Origins) -> Result<Vec<u8>, UpgradeError> {
    let response: Response =
        create_response(request).map_err(|error| refused(StatusCode::BAD_REQUEST, &format!("no WebSocket handshake: {error}")))?;
    if request.uri().path() != path {
        return Err(refused(StatusCode::NOT_FOUND, &format!("the game is at {path}")));
    }
    if !origins.allow(&values(request, &ORIGIN), &values(request, &HOST)) {
        return Err(refused(StatusCode::FORBIDDEN, "pages of this origin may not connect"));
    }
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(|error| refused(StatusCode::BAD_REQUEST, &error.to_string()))?;
    Ok(bytes)
}

/// All values of a header; one that is not plain text is an empty one.
fn values<'a>(request: &'a Request, name: &HeaderName) -> Vec<&'a str> {
    request.headers().get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect()
}

fn refused(status: StatusCode, text: &str) -> UpgradeError {
    UpgradeError::Refused { status: status.as_u16(), text: text.to_owned() }
}

fn refusal(status: u16, text: &str) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    let length = text.len() + 1;
    format!(
        "HTTP/1.1 {status} {reason}\r\nconnection: close\r\nsec-websocket-version: 13\r\ncontent-type: text/plain\r\n\
         x-content-type-options: nosniff\r\ncontent-length: {length}\r\n\r\n{text}\n"
    )
}

/// The right-most address that is not a trusted proxy's. What stands to the left of it, or of something that is no address, may
/// have been written by anybody.
fn forwarded_for(values: &[&str], proxies: &Networks) -> Option<IpAddr> {
    for entry in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let address = address(entry.trim())?.to_canonical();
        if !proxies.contains(address) {
            return Some(address);
        }
    }
    None
}

/// An address, also with a port, also in brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(|| entry.parse().ok().map(|address: SocketAddr| address.ip())).or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_the_client() {
        let proxies = Networks::parse(["10.0.0.0/8", "fd00::/8"]).expect("networks");
        let table: [(&[&str], Option<&str>); 18] = [
            (&["192.0.2.7"], Some("192.0.2.7")),
            (&["6.6.6.6, 192.0.2.7"], Some("192.0.2.7")),
            (&["6.6.6.6, 192.0.2.7, 10.1.1.1,10.2.2.2"], Some("192.0.2.7")),
            (&["6.6.6.6", "192.0.2.7, 10.1.1.1", "fd00::1"], Some("192.0.2.7")),
            (&["192.0.2.7:1234"], Some("192.0.2.7")),
            (&["2001:db8::7"], Some("2001:db8::7")),
            (&["[2001:db8::7]:1234 , 10.1.1.1:80"], Some("2001:db8::7")),
            (&["[2001:db8::7]"], Some("2001:db8::7")),
            (&["::ffff:192.0.2.7"], Some("192.0.2.7")),
            (&["192.0.2.7, ::ffff:10.0.0.1"], Some("192.0.2.7")),
            // Behind garbage nothing can be trusted.
            (&["192.0.2.7, unknown"], None),
            (&["192.0.2.7, unknown, 10.1.1.1"], None),
            (&["garbage, 192.0.2.7"], Some("192.0.2.7")),
            (&["192.0.2.7,"], None),
            (&["192.0.2.7", ""], None),
            (&[""], None),
            (&[], None),
            (&["10.1.1.1, 10.2.2.2"], None),
        ];
        for (values, expected) in table {
            let expected = expected.map(|text| text.parse().expect("address"));
            assert_eq!(forwarded_for(values, &proxies), expected, "{values:?}");
        }
    }
}
