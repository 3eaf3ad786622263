//! The address of a router that a miner dials.

use http::Uri;

use crate::miner::protocol::frame::PATH;
use crate::secrecy::shown_url;
use crate::{Error, Result};

/// The address of a router.
#[derive(Debug, Clone)]
pub(super) struct Target {
    url: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let shown = shown_url(text);
            Error::invalid("routers", format!("{shown:?} {why}: write it like ws://127.0.0.1:5010"))
        };
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            _ => return Err(wrong("must start with ws:// or wss://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host"))?;
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = if matches!(uri.path(), "" | "/") { PATH } else { uri.path() };
        let scheme = if tls { "wss" } else { "ws" };
        Ok(Self {
            url: format!("{scheme}://{host}:{port}{path}"),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            tls,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_routers() {
        let url = |text: &str| Target::parse(text).map(|target| target.url().to_owned());
        assert_eq!(url("ws://127.0.0.1:5010").unwrap(), "ws://127.0.0.1:5010/miner/v1");
        assert_eq!(url("https://router.example/").unwrap(), "wss://router.example:443/miner/v1");
        assert_eq!(url("ws://[::1]:9/own/path").unwrap(), "ws://[::1]:9/own/path");
        for wrong in ["", "router.example:5010", "ftp://x", "ws://"] {
            assert_eq!(url(wrong).unwrap_err().details().param.as_deref(), Some("routers"), "{wrong}");
        }
    }
}
