//! Sockets: listening with clear errors, accepting without giving up, admission by address, TLS, and the handshakes before the
//! first packet.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod bucket;
mod deadline;
mod guard;
mod kcp;
mod listener;
mod networks;
mod origins;
mod parting;
mod proxy;
mod stream;
mod tls;
mod upgrade;

pub use self::bucket::{Rate, TokenBucket};
pub use self::deadline::in_time;
pub use self::guard::{Guard, GuardOptions, Permit, Refusal};
pub use self::kcp::{KcpAdmission, KcpConnection, KcpListener, KcpOptions, KcpReader, KcpStats, KcpWriter};
pub use self::listener::{BindError, Listener};
pub use self::networks::{NetworkError, Networks, networks};
pub use self::origins::{Origin, OriginError, Origins};
pub use self::parting::part;
pub use self::proxy::{ProxyError, read_proxy_header};
pub use self::stream::{Ahead, Reader, Stream, Writer};
pub use self::tls::{Tls, TlsAcceptError, TlsError, TlsIdentity, TlsReader, TlsStream, TlsWriter};
pub use self::upgrade::{Upgrade, UpgradeError, Upgraded, WsOptions};
