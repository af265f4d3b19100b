//! What a WebSocket listener agrees to.

use duet_config::{list, string};

use crate::Origins;
use crate::origins::origins;

duet_config::settings! {
    /// What is agreed to.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WsOptions {
        /// ws only: the path of the upgrade request; other paths are refused. A query after it is ignored.
        pub path: String = "/".into(), string().check(PATHS, |path| is_path(path));
        /// ws only: the web pages that may connect: those of the host that the request goes to, all (`*`), or those of a list of origins;
        /// an empty list for none. Others are refused with 403. Clients that are not browsers may always connect.
        pub origins: Origins = Origins::default(), origins();
        /// ws only: what may be agreed on as `Sec-WebSocket-Protocol`: the first that a client offers and that is in here. A client that
        /// offers none of them gets none; a browser that asked for one then closes.
        pub subprotocols: Vec<String> = Vec::new(), list(TOKENS, token, String::clone).check(TOKENS, |names| names.len() <= SUBPROTOCOLS_MAX);
    }
}

/// The longest path, in bytes, and the longest name of a subprotocol.
const PATH_BYTES_MAX: usize = 256;
/// Most subprotocols: a handshake looks at them one by one.
const SUBPROTOCOLS_MAX: usize = 64;
const PATHS: &str = "paths that start with / and have no spaces, ? and #, up to 256 bytes";
const TOKENS: &str = "up to 64 names of letters, digits and !#$%&'*+-.^_`|~";

fn is_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'?' && b != b'#';
    path.starts_with('/') && path.len() <= PATH_BYTES_MAX && path.bytes().all(plain)
}

/// A token as RFC 9110 has them.
fn token(text: &str) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!text.is_empty() && text.len() <= PATH_BYTES_MAX && text.bytes().all(is_token)).then(|| text.to_owned())
}
