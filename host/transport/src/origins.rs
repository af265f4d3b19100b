//! Which web pages may connect: the check against pages that use a visitor's browser behind the visitor's back.

use std::fmt::{self, Display};
use std::str::FromStr;

use duet_config::{Kind, list};

/// Whose pages may open a WebSocket. Clients that are not browsers send no `Origin` and are always let in: they could send any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Pages of the host that the request goes to, whatever their port and scheme. Behind a proxy this needs the `Host` header
    /// that the browser sent.
    #[default]
    SameHost,
    /// Pages of exactly these origins; the same host only if it is one of them.
    List(Vec<Origin>),
    /// Pages of everybody.
    Any,
}

/// Where a page is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Scheme, host and port. Case does not matter; `https` without a port means 443 and `http` 80.
    Page {
        /// In lower case.
        scheme: String,
        /// In lower case.
        host: String,
        /// Nothing if the scheme has no usual one.
        port: Option<u16>,
    },
    /// `null`: a file, a sandboxed frame, some shells of mobile apps. Every page can make itself one of these.
    Null,
}

/// A text that is not an origin.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an origin: write it like https://game.example or http://localhost:8080, without a path, or null")]
pub struct OriginError(String);

impl Origins {
    /// Whether a request may go on. `origins` and `hosts` are the values of its `Origin` and `Host` headers.
    pub(crate) fn allow(&self, origins: &[&str], hosts: &[&str]) -> bool {
        let origin = match (self, origins) {
            (Self::Any, _) | (_, []) => return true,
            (_, [origin]) => origin.parse::<Origin>(),
            // No browser sends several.
            _ => return false,
        };
        match (self, origin, hosts) {
            (Self::List(list), Ok(origin), _) => list.contains(&origin),
            (Self::SameHost, Ok(Origin::Page { host: page, .. }), [host]) => {
                split(host).is_some_and(|(host, _)| !host.is_empty() && host.eq_ignore_ascii_case(&page))
            }
            _ => false,
        }
    }
}

/// What they look like in the settings: a list, of which the two words are the only entry.
pub(crate) fn origins() -> Kind<Origins> {
    let allowed = "[\"same-host\"], [\"*\"], or origins such as \"https://game.example\", \"http://localhost:8080\", \"null\"";
    let read = |text: &str| match text {
        "same-host" => Some(Origins::SameHost),
        "*" => Some(Origins::Any),
        text => text.parse().ok().map(|origin| Origins::List(vec![origin])),
    };
    let show = |entry: &Origins| match entry {
        Origins::SameHost => "same-host".to_owned(),
        Origins::Any => "*".to_owned(),
        Origins::List(origins) => origins.iter().map(Origin::to_string).collect(),
    };
    let alone = |entries: &Vec<Origins>| entries.len() == 1 || entries.iter().all(|entry| matches!(entry, Origins::List(_)));
    list(allowed, read, show).check(allowed, alone).map(joined, parted)
}

/// Makes one value of the entries of a list.
fn joined(entries: Vec<Origins>) -> Origins {
    let mut origins = Vec::new();
    for entry in entries {
        match entry {
            Origins::List(one) => origins.extend(one),
            alone => return alone,
        }
    }
    Origins::List(origins)
}

fn parted(origins: &Origins) -> Vec<Origins> {
    match origins {
        Origins::List(origins) => origins.iter().map(|origin| Origins::List(vec![origin.clone()])).collect(),
        alone => vec![alone.clone()],
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Page { scheme, host, port: Some(port) } => write!(f, "{scheme}://{host}:{port}"),
            Self::Page { scheme, host, port: None } => write!(f, "{scheme}://{host}"),
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        parse(&text.to_ascii_lowercase()).ok_or_else(|| OriginError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Origin> {
    if text == "null" {
        return Some(Origin::Null);
    }
    let (scheme, authority) = text.split_once("://")?;
    let (host, port) = split(authority)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_name = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\:[]*,".contains(&byte);
    let is_host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name),
    };
    if scheme.is_empty() || !scheme.bytes().all(is_plain) || !is_host {
        return None;
    }
    let known = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    Some(Origin::Page { scheme: scheme.to_owned(), host: host.to_owned(), port: port.or(known) })
}

/// Host and port; the host of an IPv6 address keeps its brackets.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| port.parse().ok().map(|port| (host, Some(port))))?
        }
        _ => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAME: &str = "game.example:3553";

    fn listed(entries: &[&str]) -> Origins {
        Origins::List(entries.iter().map(|entry| entry.parse().expect("origin")).collect())
    }

    #[test]
    fn pages_of_the_same_host_are_let_in_from_any_port() {
        for (origin, host, allowed) in [
            ("https://game.example", GAME, true),
            ("http://game.example:8080", GAME, true),
            ("https://GAME.example", "game.EXAMPLE", true),
            ("http://[::1]:8080", "[::1]:3553", true),
            ("http://[::1]", "[::1]", true),
            ("http://127.0.0.1:80", "127.0.0.1:3553", true),
            ("https://evil.example", GAME, false),
            ("https://game.example.evil.example", GAME, false),
            ("https://evilgame.example", GAME, false),
            ("https://game.example@evil.example", GAME, false),
            ("https://evil.example/game.example", GAME, false),
            ("https://game.example:", GAME, false),
            ("https://game.example:x", GAME, false),
            ("http://[::2]", "[::1]:3553", false),
            ("null", GAME, false),
            ("", GAME, false),
            ("://", "", false),
            ("https://", ":3553", false),
        ] {
            assert_eq!(Origins::SameHost.allow(&[origin], &[host]), allowed, "{origin} to {host}");
        }
    }

    #[test]
    fn only_listed_origins_are_let_in_and_the_same_host_is_not_one_by_itself() {
        let origins = listed(&["https://Game.example", "http://localhost:8080", "capacitor://localhost"]);
        for (origin, allowed) in [
            ("https://game.example", true),
            ("HTTPS://GAME.EXAMPLE", true),
            ("https://game.example:443", true),
            ("http://localhost:8080", true),
            ("capacitor://localhost", true),
            ("http://game.example", false),
            ("https://game.example:8443", false),
            ("http://localhost", false),
            ("https://www.game.example", false),
            ("https://play.example", false),
            ("null", false),
        ] {
            assert_eq!(origins.allow(&[origin], &["play.example"]), allowed, "{origin}");
        }
    }

    #[test]
    fn a_client_that_is_no_browser_is_let_in() {
        for origins in [Origins::SameHost, listed(&[]), Origins::Any] {
            assert!(origins.allow(&[], &[GAME]) && origins.allow(&[], &[]));
        }
    }

    #[test]
    fn any_means_any_and_two_origins_are_none() {
        assert!(Origins::Any.allow(&["null"], &[]) && Origins::Any.allow(&["a", "b"], &[]));
        assert!(!Origins::SameHost.allow(&["https://game.example", "https://game.example"], &[GAME]));
        assert!(!Origins::SameHost.allow(&["https://game.example"], &[GAME, GAME]));
        assert!(!Origins::SameHost.allow(&["https://game.example"], &[]));
    }

    #[test]
    fn what_is_no_origin_is_named() {
        for text in ["game.example", "https://game.example/", "https://game.example/play", "*", "https://*.example", "https://", "nul"] {
            let error = text.parse::<Origin>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("`{text}` is not an origin")), "{error}");
        }
    }
}
