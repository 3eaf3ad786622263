//! The HTTP listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;

use http::uri::Authority;
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::{KeyLimits, TlsConfig, TrialConfig};
use crate::model::{Scope, absent, check_name};
use crate::store::{COMMAND, HOST, OTHER};
use crate::{Error, Result};

/// The token that works without any configuration, on loopback only.
pub const DEFAULT_DEV_TOKEN: &str = "default-dev-token";

/// Callers that need no token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anonymous {
    /// Nobody.
    #[default]
    Off,
    /// Programs on this machine.
    Loopback,
}

documented! {
/// The HTTP listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// Whether to listen at all. Default `true`; only `serve` and `Router::listen` look at it.
    pub enabled: bool,
    /// The address. Default 127.0.0.1: nothing but this machine reaches it.
    pub host: IpAddr,
    /// The port; 0 takes a free one. Default 5010.
    pub port: u16,
    /// Tokens from the configuration, beside the keys in the store.
    #[serde(rename = "token", alias = "tokens")]
    pub tokens: Vec<TokenConfig>,
    /// Whether `default-dev-token` is accepted from programs on this machine, if the address is a loopback one. Not
    /// set: until a token is configured or the store holds a key with the scope `admin`. `true`: always. `false`:
    /// never.
    pub dev_token: Option<bool>,
    /// Callers that need no token: `off` (none) or `loopback` (programs on this machine, which may submit and read).
    /// Default `off`; `loopback` needs a loopback address.
    pub anonymous: Anonymous,
    /// Names under which programs on this machine reach the listener, beside `localhost`, `*.localhost`,
    /// `host.docker.internal`, `host.containers.internal` and IP addresses. `default-dev-token` and access without a
    /// token count under these names alone; secret keys count under any.
    pub hosts: Vec<String>,
    /// Addresses and networks (`10.0.0.0/8`) of proxies whose header `X-Forwarded-For` is believed. Trials count by the
    /// address that it names. Empty: no proxy is believed, and the address of the connection counts.
    pub trusted_proxies: Vec<String>,
    /// Trials without a token. Off by default.
    pub trial: TrialConfig,
    /// Whether `/api/v1/status` needs no token. Default `false`.
    pub public_status: bool,
    /// Whether `/metrics` needs no token. Default `false`.
    pub public_metrics: bool,
    /// Whether `/openapi.json` needs no token. Default `true`: it holds nothing but the documentation.
    pub public_openapi: bool,
    /// Whether a browser that opens `/` gets the console. Default `true`. Its files need no token and hold no data: it
    /// shows what the token allows that is typed into it.
    pub console: bool,
    /// Whether keys with the scope `admin` may add, change and remove upstreams over HTTP. Default `false`. The
    /// development token never may.
    pub manage_upstreams: bool,
    /// Addresses and networks (`10.0.0.0/8`) that such upstreams may have although they are not public: private, loopback
    /// and link-local ones. Empty: none.
    pub upstream_networks: Vec<String>,
    /// Such upstreams at most. Default 100.
    pub max_managed_upstreams: usize,
    /// TLS. Off by default.
    pub tls: TlsConfig,
    /// Cross-origin requests. Off by default.
    pub cors: CorsConfig,
    /// Milliseconds within which a request's head must have arrived. Default 10000.
    pub header_timeout_ms: u64,
    /// Milliseconds within which a request's body must have arrived. Default 30000.
    pub body_timeout_ms: u64,
    /// Bytes of a request's head. Default 32 KiB.
    pub max_header_bytes: usize,
    /// Bytes of all heads that are being read, beyond the first 2 KiB of each. Default 16 MiB.
    pub max_heads_bytes: usize,
    /// Header lines of a request. Default 100.
    pub max_headers: usize,
    /// Threads of the listener's own; 0: the threads of the program that it is in. Default 0; `serve` takes one for
    /// each processor.
    #[serde(with = "super::absent")]
    pub threads: Option<NonZeroUsize>,
    /// Connections at a time; further ones wait in the system's backlog. Default 20000.
    pub max_connections: usize,
    /// Connections at a time from one peer that is not on loopback. Default 1024.
    pub max_connections_per_peer: usize,
    /// Connections that wait in the system to be accepted. Default 4096; the system may have a lower bound of its own.
    pub backlog: u32,
    /// Bytes beyond `limits.max_request_bytes` that are read and thrown away before the answer 413. A client that is
    /// still sending would otherwise see a broken connection. Default 32 MiB.
    pub max_discarded_bytes: u64,
    /// The most sessions or tasks that one answer lists, whatever `limit` asks for. Default 1000.
    pub max_page_rows: u64,
    /// Sessions of clients of the Model Context Protocol at a time. Default 1000; beyond it a new session replaces the
    /// oldest idle one of the token that has most.
    pub max_mcp_sessions: usize,
    /// Milliseconds without a request after which a session of the Model Context Protocol ends. Default 3600000, an
    /// hour; a client then begins another one.
    pub mcp_idle_ms: u64,
    /// Milliseconds between comment lines in an idle stream. Default 15000.
    pub keepalive_ms: u64,
    /// Milliseconds after which a reader that takes nothing is cut off and its task cancelled. Default 60000.
    pub write_timeout_ms: u64,
    /// Whether `/readyz` is also 503 while no miner is up. Default `false`: miners that dial in through the same
    /// balancer would otherwise never arrive.
    pub ready_needs_miner: bool,
    /// Milliseconds that running tasks get to end when the router drains. Default 30000.
    pub drain_timeout_ms: u64,
}
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            host: IpAddr::from([127, 0, 0, 1]),
            port: 5010,
            tokens: Vec::new(),
            dev_token: None,
            anonymous: Anonymous::Off,
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            trial: TrialConfig::default(),
            public_status: false,
            public_metrics: false,
            public_openapi: true,
            console: true,
            manage_upstreams: false,
            upstream_networks: Vec::new(),
            max_managed_upstreams: 100,
            tls: TlsConfig::default(),
            cors: CorsConfig::default(),
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            max_header_bytes: 32 << 10,
            max_heads_bytes: 16 << 20,
            max_headers: 100,
            threads: None,
            max_connections: 20_000,
            max_connections_per_peer: 1_024,
            backlog: 4_096,
            max_discarded_bytes: 32 << 20,
            max_page_rows: 1_000,
            max_mcp_sessions: 1_000,
            mcp_idle_ms: 3_600_000,
            keepalive_ms: 15_000,
            write_timeout_ms: 60_000,
            ready_needs_miner: false,
            drain_timeout_ms: 30_000,
        }
    }
}

documented! {
/// Cross-origin requests from browsers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins that are allowed (`https://app.example`), or `*` for any. Empty: none.
    pub origins: Vec<String>,
}
}

documented! {
/// A token from the configuration.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// A name for people and logs.
    #[serde(with = "absent::text")]
    pub name: Option<String>,
    /// The token itself. It is better kept in a variable: see `value_env`.
    #[serde(skip_serializing)]
    #[serde(deserialize_with = "absent::text::deserialize")]
    pub value: Option<String>,
    /// The environment variable that holds it.
    #[serde(with = "absent::text")]
    pub value_env: Option<String>,
    /// The scopes: `submit`, `read`, `admin`, `miner`. Empty: `submit`, `read` and `admin`.
    pub scopes: Vec<Scope>,
    /// The only sessions it may use. Empty: all.
    pub sessions: Vec<u64>,
    /// The only models that its tasks may use, and that miners with it may serve. Empty: all.
    pub models: Vec<String>,
    /// For a token of miners: the person or company that runs them.
    #[serde(with = "absent::text")]
    pub owner: Option<String>,
    /// Its limits. Tokens with the same name have them together.
    #[serde(skip_serializing_if = "KeyLimits::is_none")]
    pub quota: KeyLimits,
}
}

impl std::fmt::Debug for TokenConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenConfig").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl TokenConfig {
    /// The token, from the configuration or the environment.
    ///
    /// # Errors
    /// When neither gives one, and for the development token, which is no secret.
    pub fn secret(&self) -> Result<String> {
        let name = self.name.as_deref().unwrap_or_default();
        let wrong = |what: String| Error::invalid("listen.token.value", format!("the token {name:?} {what}"));
        let secret = super::secret(self.value.as_ref(), self.value_env.as_ref()).ok_or_else(|| {
            wrong("has no value: set `value`, or name a set environment variable in `value_env`".to_owned())
        })?;
        // A token of the configuration is accepted from everywhere, so a value that everybody knows opens the router.
        if secret == DEFAULT_DEV_TOKEN {
            return Err(wrong(format!(
                "is {DEFAULT_DEV_TOKEN}, which everybody knows: choose a secret value; listen.dev_token = true keeps \
                 {DEFAULT_DEV_TOKEN} for programs on this machine"
            )));
        }
        Ok(secret)
    }
}

/// Whether it is a name, with or without a port.
fn is_host(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|host| !host.host().is_empty())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

impl CorsConfig {
    fn validate(&self) -> Result<()> {
        let is_origin = |origin: &str| {
            let rest = origin.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map(|(_, rest)| rest);
            rest.is_some_and(|rest| rest.parse::<Authority>().is_ok_and(|host| host.as_str() == rest))
        };
        match self.origins.iter().find(|origin| *origin != "*" && *origin != "null" && !is_origin(origin)) {
            Some(origin) => Err(Error::invalid(
                "listen.cors.origins",
                format!(
                    "{origin:?} is no origin: write scheme and host as in \"https://app.example\", without a path, or \"*\""
                ),
            )),
            None => Ok(()),
        }
    }
}

/// The name of callers without a token that try the router.
pub(crate) const TRIAL: &str = "trial";

/// The names that stand for other callers in usage, in the audit log and in metrics, so that no token may have them.
const OWN_NAMES: [&str; 6] = [OTHER, HOST, COMMAND, "dev", "anonymous", TRIAL];

impl ListenConfig {
    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// The URL at which clients on this machine reach a listener of that address.
    pub fn url_at(&self, mut address: SocketAddr) -> String {
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        format!("{}://{address}", if self.tls.is_on() { "https" } else { "http" })
    }

    pub(super) fn validate(&self) -> Result<()> {
        self.tls.validate()?;
        self.cors.validate()?;
        self.trial.validate()?;
        Network::check("listen.trusted_proxies", &self.trusted_proxies)?;
        Network::check("listen.upstream_networks", &self.upstream_networks)?;
        if self.anonymous == Anonymous::Loopback && !self.host.is_loopback() {
            return Err(Error::invalid(
                "listen.anonymous",
                format!("listen.anonymous = \"loopback\" wants a loopback address in listen.host, not {}", self.host),
            ));
        }
        if let Some(host) = self.hosts.iter().find(|host| !is_host(host)) {
            return Err(Error::invalid(
                "listen.hosts",
                format!("{host:?} is no host: write a name such as \"router.lan\", without a scheme, a path or a *"),
            ));
        }
        for token in &self.tokens {
            let name = token.name.as_deref().unwrap_or_default();
            check_name("listen.token.name", name)?;
            if OWN_NAMES.contains(&name) {
                return Err(Error::invalid(
                    "listen.token.name",
                    format!(
                        "the router itself gives the name {name:?} in usage and in the audit log: choose another one"
                    ),
                ));
            }
            if !token.sessions.is_empty() && token.scopes.contains(&Scope::Miner) {
                return Err(Error::invalid(
                    "listen.token.sessions",
                    "a miner works for every session: leave out sessions, or the scope `miner`",
                ));
            }
            if token.scopes.contains(&Scope::Enrol) {
                return Err(Error::invalid(
                    "listen.token.scopes",
                    "a configured token works more than once and cannot enrol: use submit, read, admin or miner",
                ));
            }
        }
        super::at_least_one(
            "listen",
            [
                ("header_timeout_ms", self.header_timeout_ms),
                ("body_timeout_ms", self.body_timeout_ms),
                ("keepalive_ms", self.keepalive_ms),
                ("write_timeout_ms", self.write_timeout_ms),
                ("max_connections", self.max_connections as u64),
                ("max_connections_per_peer", self.max_connections_per_peer as u64),
                ("max_headers", self.max_headers as u64),
                ("backlog", u64::from(self.backlog)),
                ("max_page_rows", self.max_page_rows),
                ("max_mcp_sessions", self.max_mcp_sessions as u64),
                ("mcp_idle_ms", self.mcp_idle_ms),
            ],
        )?;
        if self.threads.is_some_and(|threads| threads.get() > 1_024) {
            return Err(Error::invalid("listen.threads", "listen.threads must be 0 to 1024"));
        }
        if self.max_header_bytes < 8_192 {
            return Err(Error::invalid("listen.max_header_bytes", "listen.max_header_bytes must be at least 8192"));
        }
        if self.max_heads_bytes < self.max_header_bytes {
            return Err(Error::invalid(
                "listen.max_heads_bytes",
                "listen.max_heads_bytes must be at least listen.max_header_bytes",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_origins_are_checked_and_the_error_names_the_setting() {
        let at_fault = |config: ListenConfig| config.validate().err().and_then(|error| error.details().param.clone());
        for good in ["router.lan", "router.lan:5010", "gpu", "my_host", "[fd00::1]:1"] {
            let hosts = vec![good.to_owned()];
            assert_eq!(at_fault(ListenConfig { hosts, ..ListenConfig::default() }), None, "{good}");
        }
        for bad in ["", "*", "*.lan", "http://router.lan", "router.lan/x", "a b", "me@router.lan"] {
            let hosts = vec![bad.to_owned()];
            let found = at_fault(ListenConfig { hosts, ..ListenConfig::default() });
            assert_eq!(found.as_deref(), Some("listen.hosts"), "{bad:?}");
        }
        let cors = |origin: &str| CorsConfig { origins: vec![origin.to_owned()] };
        for good in ["*", "null", "https://app.example", "http://localhost:3000", "app://x", "https://[::1]:8"] {
            assert_eq!(at_fault(ListenConfig { cors: cors(good), ..ListenConfig::default() }), None, "{good}");
        }
        for bad in ["", "app.example", "https://app.example/", "https://app.example/x", "https://", "://x"] {
            let found = at_fault(ListenConfig { cors: cors(bad), ..ListenConfig::default() });
            assert_eq!(found.as_deref(), Some("listen.cors.origins"), "{bad:?}");
        }
        let anonymous = ListenConfig { anonymous: Anonymous::Loopback, ..ListenConfig::default() };
        assert_eq!(at_fault(anonymous.clone()), None);
        let open = ListenConfig { host: [0, 0, 0, 0].into(), ..anonymous };
        assert_eq!(at_fault(open).as_deref(), Some("listen.anonymous"));
    }

    #[test]
    fn a_token_has_none_of_the_routers_own_names() {
        for (name, refused) in [("other", true), ("host", true), ("command", true), ("dev", true), ("others", false)] {
            let tokens = vec![TokenConfig { name: Some(name.to_owned()), ..TokenConfig::default() }];
            let found = ListenConfig { tokens, ..ListenConfig::default() }.validate().err();
            let param = found.as_ref().and_then(|error| error.details().param.as_deref());
            assert_eq!(param, refused.then_some("listen.token.name"), "{name}");
        }
    }

    #[test]
    fn the_development_token_is_no_secret() {
        let token = TokenConfig { value: Some(DEFAULT_DEV_TOKEN.into()), ..TokenConfig::default() };
        let error = token.secret().unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some("listen.token.value"));
        assert!(error.message().contains("listen.dev_token = true"), "{error}");
        let token = TokenConfig { value: Some("own".into()), ..TokenConfig::default() };
        assert_eq!(token.secret().unwrap(), "own");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        let plain = ListenConfig::default();
        assert_eq!(plain.url_at(([0, 0, 0, 0], 5010).into()), "http://127.0.0.1:5010");
        assert_eq!(plain.url_at((Ipv6Addr::UNSPECIFIED, 5010).into()), "http://[::1]:5010");
        let tls = TlsConfig { cert: Some("a.pem".into()), key: Some("a.key".into()), client_ca: None };
        let safe = ListenConfig { tls, ..ListenConfig::default() };
        assert_eq!(safe.url_at(([192, 0, 2, 1], 80).into()), "https://192.0.2.1:80");
    }
}
