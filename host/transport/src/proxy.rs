//! The header of the PROXY protocol, versions 1 and 2: what a load balancer says about whom it speaks for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::in_time;

/// How every header of version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// How every header of version 1 begins, and the longest one with its line end.
const WORD: &[u8] = b"PROXY ";
const V1_BYTES_MAX: usize = 107;
/// The longest part after the first 16 bytes of version 2 that is read. Addresses take at most 216 bytes; the rest is for extensions.
const V2_BYTES_MAX: usize = 520;

/// Why there is no header that can be trusted. The connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It did not come in time.
    #[error("no proxy header in time")]
    Timeout,
    /// The connection ended or failed before the end of the header.
    #[error("the connection ended before its proxy header did: {0}")]
    Lost(io::Error),
    /// What came is not a header.
    #[error("the proxy header is wrong: {0}")]
    Malformed(&'static str),
}

/// Reads the header, and not one byte beyond it. Call it only for peers that may speak for others.
///
/// Gives the address of the client, or nothing if the proxy speaks for itself (a health check) or does not know.
///
/// # Errors
/// [`ProxyError`].
pub async fn read_proxy_header(stream: &mut TcpStream, deadline: Instant) -> Result<Option<SocketAddr>, ProxyError> {
    in_time(deadline, read(stream)).await.unwrap_or(Err(ProxyError::Timeout))
}

async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>, ProxyError> {
    // Both versions are longer than this.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await.map_err(ProxyError::Lost)?;
    if start == SIGNATURE {
        let mut fixed = [0; 4];
        stream.read_exact(&mut fixed).await.map_err(ProxyError::Lost)?;
        let mut rest = [0; V2_BYTES_MAX];
        let rest = rest.get_mut(..v2_bytes(fixed)?).unwrap_or_default();
        stream.read_exact(rest).await.map_err(ProxyError::Lost)?;
        return parse_v2(fixed, rest);
    }
    if !start.starts_with(WORD) {
        return Err(ProxyError::Malformed("it begins like neither version 1 nor version 2"));
    }
    let mut line = [0; V1_BYTES_MAX];
    let (head, mut rest) = line.split_at_mut(start.len());
    head.copy_from_slice(&start);
    // What was peeked at is taken only up to the end of the line.
    loop {
        let seen = stream.peek(rest).await.map_err(ProxyError::Lost)?;
        if seen == 0 {
            return Err(match rest.is_empty() {
                true => ProxyError::Malformed("the line is too long"),
                false => ProxyError::Lost(io::ErrorKind::UnexpectedEof.into()),
            });
        }
        let end = rest.iter().take(seen).position(|byte| *byte == b'\n');
        let (taken, behind) = std::mem::take(&mut rest).split_at_mut(end.map_or(seen, |end| end + 1));
        stream.read_exact(taken).await.map_err(ProxyError::Lost)?;
        rest = behind;
        if end.is_some() {
            break;
        }
    }
    let unused = rest.len();
    parse_v1(line.get(..V1_BYTES_MAX - unused).unwrap_or_default())
}

/// A whole line of version 1.
fn parse_v1(line: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let malformed = ProxyError::Malformed;
    let line = line.strip_suffix(b"\r\n").ok_or(malformed("the line does not end in CR LF"))?;
    let line = std::str::from_utf8(line).map_err(|_| malformed("the line is not text"))?;
    let mut words = line.split(' ');
    let (proxy, family) = (words.next(), words.next());
    if proxy != Some("PROXY") {
        return Err(malformed("the line does not begin with PROXY"));
    }
    // What follows UNKNOWN means nothing.
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let (source, destination) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let ports = (words.next().and_then(port), words.next().and_then(port), words.next());
    let (Some(port), Some(_), None) = ports else { return Err(malformed("the ports")) };
    let source: IpAddr = match family {
        Some("TCP4") => pair::<Ipv4Addr>(source, destination)?.into(),
        Some("TCP6") => pair::<Ipv6Addr>(source, destination)?.into(),
        _ => return Err(malformed("the family is none of TCP4, TCP6 and UNKNOWN")),
    };
    Ok(Some(SocketAddr::new(source.to_canonical(), port)))
}

/// The source, if both are addresses.
fn pair<A: std::str::FromStr>(source: &str, destination: &str) -> Result<A, ProxyError> {
    match (source.parse(), destination.parse::<A>()) {
        (Ok(source), Ok(_)) => Ok(source),
        _ => Err(ProxyError::Malformed("the addresses")),
    }
}

fn port(word: &str) -> Option<u16> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
}

/// How many bytes follow the first 16 of version 2.
fn v2_bytes([_, _, high, low]: [u8; 4]) -> Result<usize, ProxyError> {
    match usize::from(u16::from_be_bytes([high, low])) {
        bytes if bytes <= V2_BYTES_MAX => Ok(bytes),
        _ => Err(ProxyError::Malformed("it is too long")),
    }
}

/// What follows the signature of version 2. Extensions are skipped.
fn parse_v2([version, family, ..]: [u8; 4], rest: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let malformed = ProxyError::Malformed;
    match version {
        0x20 => return Ok(None), // the proxy itself
        0x21 => {}
        _ => return Err(malformed("neither LOCAL nor PROXY of version 2")),
    }
    match family {
        0x11 => {
            let (source, rest) = rest.split_first_chunk::<4>().ok_or(malformed("its addresses are cut off"))?;
            Ok(Some(SocketAddr::new(IpAddr::from(*source), v2_port(rest, 4)?)))
        }
        0x21 => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or(malformed("its addresses are cut off"))?;
            Ok(Some(SocketAddr::new(IpAddr::from(*source).to_canonical(), v2_port(rest, 16)?)))
        }
        // Unspecified, datagrams, Unix sockets.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Ok(None),
        _ => Err(malformed("an unknown family")),
    }
}

/// The source's port, which stands between the destination's address and port.
fn v2_port(rest: &[u8], address_bytes: usize) -> Result<u16, ProxyError> {
    match rest.get(address_bytes..) {
        Some([high, low, _, _, ..]) => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(ProxyError::Malformed("its addresses are cut off")),
    }
}

#[cfg(test)]
mod tests;
