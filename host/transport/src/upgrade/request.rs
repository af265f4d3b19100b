//! What a request has to say, and what is answered.

use std::fmt::Write;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::Request;
use tokio_tungstenite::tungstenite::http::header::{
    CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tokio_tungstenite::tungstenite::http::{HeaderName, StatusCode};

use super::options::WsOptions;
use super::refusal::{UpgradeError, refused};

/// Characters of a key: 16 bytes in base64, which end like this. Browsers make 16 random bytes; nobody looks at the last bits.
const KEY_BYTES: usize = 24;
const KEY_END: &[u8] = b"==";

/// The answer that agrees.
pub(super) fn answer(request: &Request, options: &WsOptions) -> Result<String, UpgradeError> {
    if !(has_token(request, &CONNECTION, "upgrade") && has_token(request, &UPGRADE, "websocket")) {
        return Err(refused(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket: ask with Connection: Upgrade and Upgrade: websocket"));
    }
    if !has_token(request, &SEC_WEBSOCKET_VERSION, "13") {
        return Err(refused(StatusCode::UPGRADE_REQUIRED, "the version of the WebSocket protocol has to be 13"));
    }
    let key = key(request)?;
    let host = host(request)?;
    if request.uri().path() != options.path {
        return Err(refused(StatusCode::NOT_FOUND, &format!("the game is at {}", options.path)));
    }
    if !options.origins.allow(&values(request, &ORIGIN), &[host]) {
        return Err(refused(StatusCode::FORBIDDEN, "pages of this origin may not connect"));
    }
    // Names as RFC 6455 writes them: some clients look for just these letters.
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key)
    );
    if let Some(agreed) = subprotocol(request, &options.subprotocols) {
        // Writing to a string does not fail.
        let _ = write!(answer, "Sec-WebSocket-Protocol: {agreed}\r\n");
    }
    answer.push_str("\r\n");
    Ok(answer)
}

/// All values of a header; one that is not plain text is an empty one.
pub(super) fn values<'a>(request: &'a Request, name: &HeaderName) -> Vec<&'a str> {
    request.headers().get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect()
}

/// Whether a token is in a list that may be spread over several lines.
fn has_token(request: &Request, name: &HeaderName, token: &str) -> bool {
    let separates = |byte: &u8| b" \t,".contains(byte);
    let lines = request.headers().get_all(name).iter();
    lines.flat_map(|line| line.as_bytes().split(separates)).any(|word| word.eq_ignore_ascii_case(token.as_bytes()))
}

/// The client's random bytes as it wrote them.
fn key(request: &Request) -> Result<&[u8], UpgradeError> {
    let mut keys = request.headers().get_all(SEC_WEBSOCKET_KEY).iter().map(|key| key.as_bytes().trim_ascii());
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let is_key = |key: &&[u8]| key.len() == KEY_BYTES && key.strip_suffix(KEY_END).is_some_and(|key| key.iter().all(is_base64));
    match (keys.next().filter(is_key), keys.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(refused(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key has to be there once, with 16 bytes in base64")),
    }
}

/// The host that was asked for: the target's, if it has one, and else the header's, which RFC 9112 wants once in any case.
fn host(request: &Request) -> Result<&str, UpgradeError> {
    match values(request, &HOST).as_slice() {
        [host] => Ok(request.uri().authority().map_or(*host, |authority| authority.as_str())),
        _ => Err(refused(StatusCode::BAD_REQUEST, "Host has to be there once")),
    }
}

/// The first that the client offers and that we have, too.
fn subprotocol<'a>(request: &Request, ours: &'a [String]) -> Option<&'a str> {
    let offers = values(request, &SEC_WEBSOCKET_PROTOCOL);
    let mut offers = offers.iter().flat_map(|line| line.split([' ', '\t', ',']));
    offers.find_map(|offer| ours.iter().find(|our| *our == offer)).map(String::as_str)
}
