//! Decides whether a caller is on this machine, as far as its connection and the head of its request can tell.
//!
//! The development token is public, and a request without a token proves nothing. Both are accepted from local callers
//! alone, and a page in a browser of this machine must not pass for a local program. A host name that leads to
//! 127.0.0.1 (DNS rebinding) makes the page's requests same-origin, so that no preflight stops them, but that name
//! stands in `Host`. A proxy on this machine makes remote callers look local, but adds one of its headers. Secret keys
//! need none of these checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, header};

use crate::config::ListenConfig;

/// Names of this machine that are not addresses. Containers know their host by the last two.
const LOCAL_NAMES: [&str; 3] = ["localhost", "host.docker.internal", "host.containers.internal"];

/// Headers that proxies, tunnels and content delivery networks add to a request. Gives the headers whose names begin
/// with the byte `first`: whole names, and beginnings of names.
const fn forwarded(first: u8) -> (&'static [&'static str], &'static [&'static str]) {
    match first {
        b'a' => (&["ali-cdn-real-ip"], &["akamai-"]),
        b'c' => (&["cdn-loop", "client-ip"], &["cf-", "cloudfront-"]),
        b'd' => (&["do-connecting-ip"], &[]),
        b'f' => (&["forwarded", "forwarded-for", "forwarded-for-ip"], &["fastly-", "fly-"]),
        b'i' => (&["incap-client-ip"], &[]),
        b'n' => (&[], &["ngrok-"]),
        b'p' => (&["proxy-client-ip"], &[]),
        b'r' => (&["remote-user"], &[]),
        b't' => (&["true-client-ip"], &["tailscale-"]),
        b'v' => (&["via"], &[]),
        b'w' => (&["wl-proxy-client-ip"], &[]),
        b'x' => (
            &[
                "x-amz-cf-id",
                "x-amzn-trace-id",
                "x-appengine-user-ip",
                "x-client-ip",
                "x-cluster-client-ip",
                "x-coming-from",
                "x-forward-for",
                "x-host",
                "x-http-host-override",
                "x-nf-client-connection-ip",
                "x-nginx-proxy",
                "x-originating-ip",
                "x-proxyuser-ip",
                "x-remote-addr",
                "x-remote-ip",
                "x-remote-user",
                "x-request-start",
                "x-rewrite-url",
                "x-scheme",
            ],
            &[
                "x-akamai-",
                "x-arr-",
                "x-auth-request-",
                "x-authentik-",
                "x-azure-",
                "x-bluecoat-",
                "x-envoy-",
                "x-forwarded",
                "x-goog-authenticated-",
                "x-heroku-",
                "x-ms-client-",
                "x-original-",
                "x-pomerium-",
                "x-proxied-",
                "x-proxy-",
                "x-real-",
                "x-replit-",
                "x-sucuri-",
                "x-traefik",
                "x-tunnel-",
                "x-varnish",
                "x-vercel-",
                "x-webauth-",
            ],
        ),
        _ => (&[], &[]),
    }
}

/// Headers that every browser sends and that no page can remove (Fetch, section 2.2.2: `Accept-Encoding` is a forbidden
/// request-header).
const OF_BROWSERS: [&str; 3] = ["accept-encoding", "accept-language", "user-agent"];

/// The parts of a request, beside its credentials, that tell where its sender is.
#[derive(Clone, Copy)]
pub(in crate::listener) struct Visit<'a> {
    pub(in crate::listener) peer: IpAddr,
    pub(in crate::listener) uri: &'a Uri,
    pub(in crate::listener) headers: &'a HeaderMap,
}

/// A caller on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) struct Local {
    /// Whether a page in a browser sent the request, rather than a program.
    pub(in crate::listener) page: bool,
}

/// The reason why a caller does not count as local, in words that say how to mend it.
pub(in crate::listener) type Foreign = String;

/// The rule of one listener: its own host names, and the origins that it allows.
#[derive(Debug)]
pub(in crate::listener) struct LocalRule {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl LocalRule {
    pub(in crate::listener) fn new(config: &ListenConfig) -> Self {
        // An address of the configuration is local without it.
        let hosts = config.hosts.iter().filter_map(|host| match Named::of(host)?.host {
            Host::Name(name) => Some(name.to_ascii_lowercase()),
            Host::Address(_) => None,
        });
        Self { hosts: hosts.collect(), origins: config.cors.origins.clone() }
    }

    /// Gives the caller if everything about it is local.
    ///
    /// # Errors
    /// The first fact that is not local.
    pub(in crate::listener) fn check(&self, visit: &Visit<'_>) -> Result<Local, Foreign> {
        let Visit { peer, uri, headers } = *visit;
        if !peer.to_canonical().is_loopback() {
            return Err("this connection comes from another machine".to_owned());
        }
        let seen = Seen::of(headers)?;
        let host = self.host(uri, headers, seen.browser)?;
        let allowed = seen.origin && self.origin(host, headers)?;
        match seen.site {
            Some(site) if !allowed && !matches!(site.as_bytes(), b"same-origin" | b"none") => {
                Err("a page of another site sent this request (Sec-Fetch-Site)".to_owned())
            }
            site => Ok(Local { page: seen.origin || seen.fetch || site.is_some() }),
        }
    }

    /// The host that the request names, if it is a name of this machine. A request that names no host does not come
    /// from a browser.
    fn host<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap, browser: bool) -> Result<Option<&'a str>, Foreign> {
        // A whole URL in the request line wins over `Host` (RFC 9112, 3.2.2).
        if let Some(authority) = uri.authority() {
            return self.known_host(authority.as_str(), browser).map(Some);
        }
        let mut named = None;
        for host in headers.get_all(header::HOST) {
            named = Some(self.known_host(text(host), browser)?);
        }
        Ok(named)
    }

    /// Accepts the host if it is an exact IP literal, or a name of this machine. A name of one label is accepted from a
    /// sender that is certainly not a browser: scripts on a bare socket write any name there, and rebinding needs a
    /// browser.
    fn known_host<'a>(&self, host: &'a str, browser: bool) -> Result<&'a str, Foreign> {
        let known = Named::of(host).is_some_and(|named| match named.host {
            Host::Address(_) => true,
            Host::Name(name) if LOCAL_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) => true,
            // The check of the whole text leaves no room for anything that is not a host.
            Host::Name(name) => {
                host.parse::<Authority>().is_ok()
                    && !host.contains('@')
                    && (is_below_localhost(name)
                        || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
                        || (is_one_label(name) && !browser))
            }
        });
        if known { Ok(host) } else { Err(format!("the host {:?} is no name of this machine", short(host))) }
    }

    /// Whether a page of an origin that `listen.cors.origins` allows sent the request; `false` without an origin, or
    /// for the listener's own origin.
    fn origin(&self, host: Option<&str>, headers: &HeaderMap) -> Result<bool, Foreign> {
        let mut allowed = false;
        for origin in headers.get_all(header::ORIGIN) {
            let origin = text(origin);
            let listed = self.origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin));
            if origin != "null" && listed {
                allowed = true;
            } else if !host.is_some_and(|host| is_own(origin, host)) {
                return Err(format!("a page of the origin {:?} sent this request", short(origin)));
            }
        }
        Ok(allowed)
    }
}

/// The facts that the names of a request's headers tell, gathered in one pass.
#[derive(Default)]
struct Seen<'a> {
    /// Whether there is an `Origin` header.
    origin: bool,
    /// The value of `Sec-Fetch-Site`.
    site: Option<&'a HeaderValue>,
    /// Whether there is a header of the `Sec-Fetch` kind that no program sends. `Sec-Fetch-Mode` does not count,
    /// because Node's fetch sends it.
    fetch: bool,
    /// Whether there is a header that every browser sends.
    browser: bool,
}

impl<'a> Seen<'a> {
    /// # Errors
    /// The header that shows that a proxy stands between.
    fn of(headers: &'a HeaderMap) -> Result<Self, Foreign> {
        let mut seen = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "origin" => seen.origin = true,
                "sec-fetch-site" => seen.site = seen.site.or(Some(value)),
                "sec-fetch-dest" | "sec-fetch-user" | "sec-fetch-storage-access" => seen.fetch = true,
                name if OF_BROWSERS.contains(&name) => seen.browser = true,
                name if is_forwarded(name) => {
                    return Err(format!("the header {name} says that a proxy stands between"));
                }
                _ => {}
            }
        }
        Ok(seen)
    }
}

fn is_forwarded(name: &str) -> bool {
    let (names, prefixes) = forwarded(name.bytes().next().unwrap_or_default());
    names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether an origin's host and port equal those of the request's host.
fn is_own(origin: &str, host: &str) -> bool {
    let (authority, default) = match origin.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (rest, 80),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (rest, 443),
        _ => return false,
    };
    let (Some(origin), Some(own)) = (Named::of(authority), Named::of(host)) else { return false };
    let same = match (origin.host, own.host) {
        (Host::Address(one), Host::Address(other)) => one == other,
        (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    let port = |named: &Named<'_>| named.port.map_or(default, NonZeroU16::get);
    same && port(&origin) == port(&own)
}

/// A host as a request names it, with its port.
struct Named<'a> {
    host: Host<'a>,
    port: Option<NonZeroU16>,
}

/// The two forms of a host.
#[derive(Clone, Copy)]
enum Host<'a> {
    /// An IP address in its exact form.
    Address(IpAddr),
    /// A name, without the dot of the root.
    Name(&'a str),
}

impl<'a> Named<'a> {
    /// Reads a host with or without a port. `None` for text that is neither an address nor has the form of a name.
    ///
    /// Only exact IP literals are addresses: IPv6 in brackets and without a zone (RFC 3986, 3.2.2), IPv4 as four decimal
    /// numbers without a dot behind them. Browsers and resolvers read further texts as addresses, such as `127.1`,
    /// `0x7f.0.0.1` and `127.0.0.1.`. Here these are names, which nobody knows.
    fn of(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            return Some(Self { host: Host::Address(address.into()), port: port(rest).ok()? });
        }
        // Hosts are too short for the search that `str` would set up.
        let end = text.bytes().position(|byte| byte == b':').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let port = port(rest).ok()?;
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self { host: Host::Address(address.into()), port });
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        (!name.is_empty()).then_some(Self { host: Host::Name(name), port })
    }
}

/// The text behind a host is no port.
#[derive(Debug)]
struct NoPort;

/// The port behind a host, if there is one. An empty port is none (RFC 3986, 3.2.3). Nobody can reach the port 0.
fn port(text: &str) -> Result<Option<NonZeroU16>, NoPort> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(None),
        Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| NoPort)
        }
        _ => Err(NoPort),
    }
}

fn is_below_localhost(name: &str) -> bool {
    name.to_ascii_lowercase().strip_suffix(".localhost").is_some_and(|rest| !rest.is_empty())
}

/// Whether the name is one label, and no number, which resolvers read as an IPv4 address (`2130706433`, `0x7f000001`).
fn is_one_label(name: &str) -> bool {
    let is_number = match name.strip_prefix("0x").or_else(|| name.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => name.bytes().all(|byte| byte.is_ascii_digit()),
    };
    !is_number && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The text of a header's value; empty if the value is not text, because such a value is never a known one.
fn text(value: &HeaderValue) -> &str {
    value.to_str().map_or("", str::trim)
}

/// Shortens the text of a client, so that it fits into an error.
fn short(text: &str) -> &str {
    text.char_indices().nth(100).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CorsConfig;

    fn check(rule: &LocalRule, peer: &str, uri: &str, lines: &[(&str, &str)]) -> Result<Local, Foreign> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(header::HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        rule.check(&Visit { peer: peer.parse().unwrap(), uri: &uri.parse().unwrap(), headers: &headers })
    }

    fn rule() -> LocalRule {
        LocalRule::new(&ListenConfig {
            hosts: vec!["Router.lan:5010".into(), "gpu".into()],
            cors: CorsConfig { origins: vec!["https://app.example".into()] },
            ..ListenConfig::default()
        })
    }

    #[test]
    fn a_host_is_local_by_its_name_alone() {
        let rule = rule();
        for host in [
            "localhost",
            "LocalHost:5010",
            "localhost.",
            "localhost.:80",
            "localhost:",
            "a.b.localhost",
            "x.LOCALHOST:1",
            "host.docker.internal:5010",
            "host.containers.internal",
            "127.0.0.1",
            "127.8.9.1:5010",
            "10.1.2.3:80",
            "[::1]:5010",
            "[::1]",
            "[fd00::7]:1",
            "[::ffff:127.0.0.1]",
            "[::FFFF:7F00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[0000:0000:0000:0000:0000:0000:0000:0001]:5010",
            "127.0.0.1:",
            "127.0.0.1:1",
            "127.0.0.1:65535",
            "127.0.0.1:00080",
            "LOCALHOST",
            "LOCALHOST.:65535",
            "router.lan",
            "ROUTER.LAN.:7",
            "gpu:5010",
        ] {
            assert!(check(&rule, "127.0.0.1", "/", &[("host", host)]).is_ok(), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:5010",
            "localhost.evil.example",
            "localhost:5010@evil.example",
            "localhost:evil",
            "localhost:99999",
            "localhost:65536",
            "localhost:0",
            "localhost:+1",
            "localhost:-1",
            "localhost: 1",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "[::1]:0",
            "[::1]:65536",
            ".localhost",
            "localhost..",
            ".",
            ":80",
            "127.0.0.1.",
            "127.0.0.1.:5010",
            "127.1",
            "127.0.1",
            "127.0.0.1.1",
            "127.0.0.256",
            "127.0.0.01",
            "127.0.0.0x1",
            "0x7f.0.0.1",
            "0x7f.1",
            "0x7f000001",
            "0X7F000001",
            "0x",
            "017700000001",
            "0177.0.0.1",
            "2130706433",
            "2130706433.",
            "0",
            "x.1",
            "[127.0.0.1]",
            "[::1%25evil]",
            "[::1%251]",
            "[::1%lo]",
            "[fe80::1%25eth0]:5010",
            "[fe80::1%eth0]",
            "[::1.]",
            "[::1].",
            "[::127.0.0.1.]",
            "[]",
            "[localhost]",
            "[[::1]]",
            "[v1.localhost]",
            "::1",
            "fe80::1%eth0",
            "127.0.0.1%25evil",
            "localhost%25evil",
            "127.0.0.1.evil.example",
            "127.0.0.1.nip.io",
            "2130706433.x",
            "[::1].evil.example",
            "[::1",
            "localhost/x",
            "localhost evil",
            "host.docker.internal.evil.example",
            "gpu.evil.example",
            "router.lan.evil",
            "lоcalhost",
        ] {
            assert!(check(&rule, "127.0.0.1", "/", &[("host", host)]).is_err(), "{host:?}");
        }
        for browser in OF_BROWSERS {
            assert!(
                check(&rule, "127.0.0.1", "/", &[("host", "evil-localhost"), (browser, "x")]).is_err(),
                "{browser}"
            );
        }
        assert!(check(&rule, "127.0.0.1", "/", &[("host", "evil-localhost:5010")]).is_ok(), "no browser sent this");
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert!(check(&rule, "127.0.0.1", "/", &both).is_err());
        assert!(check(&rule, "127.0.0.1", "http://evil.example/", &[("host", "localhost")]).is_err());
        assert!(check(&rule, "127.0.0.1", "http://localhost:1/", &[("host", "evil.example")]).is_ok());
        assert!(check(&rule, "127.0.0.1", "/", &[]).is_ok());
    }

    #[test]
    fn another_machine_or_a_proxy_of_any_kind_is_not_local() {
        let rule = rule();
        for peer in ["192.168.0.7", "8.8.8.8", "::", "0.0.0.0", "::ffff:10.0.0.1", "fe80::1"] {
            assert!(check(&rule, peer, "/", &[("host", "localhost")]).is_err(), "{peer}");
        }
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(check(&rule, peer, "/", &[("host", "localhost")]).is_ok(), "{peer}");
        }
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Port",
            "X-Forwarded-By",
            "X-Forwarded-Server",
            "X-Forwarded-Prefix",
            "X-Forwarded",
            "X-Real-IP",
            "X-Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "CF-Ray",
            "Fly-Client-IP",
            "Fastly-Client-IP",
            "X-Original-URL",
            "X-Original-Host",
            "Via",
            "X-Envoy-External-Address",
            "X-Cluster-Client-IP",
            "X-Vercel-Id",
            "CloudFront-Viewer-Address",
            "Tailscale-User-Login",
            "Ngrok-Auth-User-Email",
            "Remote-User",
            "X-Amz-Cf-Id",
            "X-ARR-ClientCert",
            "X-Auth-Request-User",
            "X-Goog-Authenticated-User-Email",
            "X-Ms-Client-Principal",
            "X-Nginx-Proxy",
            "X-Request-Start",
            "X-Sucuri-ClientIP",
            "X-Varnish",
            "X-WEBAUTH-USER",
        ] {
            for value in ["127.0.0.1", ""] {
                let lines = [("host", "localhost"), (name, value)];
                let why = check(&rule, "127.0.0.1", "/", &lines).unwrap_err();
                assert!(why.contains(&name.to_ascii_lowercase()), "{name}: {why}");
            }
        }
        let plain = [("host", "localhost"), ("user-agent", "curl"), ("x-stainless-os", "Linux"), ("x-request-id", "1")];
        assert_eq!(check(&rule, "127.0.0.1", "/", &plain), Ok(Local { page: false }));
    }

    #[test]
    fn a_page_is_local_where_it_is_the_listeners_own_or_allowed() {
        let rule = rule();
        let page = |lines: &[(&str, &str)]| {
            let mut all = vec![("host", "localhost:5010")];
            all.extend(lines);
            check(&rule, "127.0.0.1", "/", &all)
        };
        for lines in [
            &[("origin", "http://localhost:5010")][..],
            &[("origin", "HTTP://LOCALHOST:5010")],
            &[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        ] {
            assert_eq!(page(lines), Ok(Local { page: true }), "{lines:?}");
        }
        for lines in [
            &[("origin", "null")][..],
            &[("origin", "")],
            &[("origin", "http://localhost:3000")],
            &[("origin", "http://127.0.0.1:5010")],
            &[("origin", "http://localhost")],
            &[("origin", "ftp://localhost:5010")],
            &[("origin", "http://localhost:05010/")],
            &[("origin", "http://localhost:0")],
            &[("origin", "http://localhost:70546")],
            &[("origin", "http://[localhost]:5010")],
            &[("origin", "https://evil.example")],
            &[("origin", "https://app.example.evil.example")],
            &[("origin", "https://app.example"), ("origin", "https://evil.example")],
            &[("origin", "http://localhost:5010"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
        ] {
            assert!(page(lines).is_err(), "{lines:?}");
        }
        assert_eq!(page(&[("sec-fetch-mode", "cors")]), Ok(Local { page: false }), "Node's fetch");
        let any =
            LocalRule::new(&ListenConfig { cors: CorsConfig { origins: vec!["*".into()] }, ..ListenConfig::default() });
        let from = |origin| check(&any, "127.0.0.1", "/", &[("host", "localhost"), ("origin", origin)]);
        assert!(from("https://x.example").is_ok() && from("null").is_err());
        for (host, own, foreign) in [
            (
                "127.0.0.1:5010",
                &["http://127.0.0.1:5010", "https://127.0.0.1:5010"][..],
                &[
                    "https://127.0.0.1.:5010",
                    "http://127.1:5010",
                    "http://0x7f.0.0.1:5010",
                    "http://2130706433:5010",
                    "http://[::ffff:127.0.0.1]:5010",
                    "http://localhost:5010",
                    "http://127.0.0.1%25evil:5010",
                    "http://127.0.0.1",
                    "http://127.0.0.1:",
                    "http://127.0.0.1:0",
                ][..],
            ),
            (
                "[::1]:5010",
                &["http://[::1]:5010", "http://[0:0:0:0:0:0:0:1]:5010"],
                &["http://[::1%25evil]:5010", "http://[::1].:5010", "http://::1:5010", "http://[::2]:5010"],
            ),
            ("LOCALHOST.:5010", &["http://localhost:5010", "http://localhost.:5010"], &["http://localhost..:5010"]),
            ("127.0.0.1", &["http://127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:"], &["http://127.0.0.1:81"]),
        ] {
            let page = |origin| check(&rule, "127.0.0.1", "/", &[("host", host), ("origin", origin)]);
            for origin in own {
                assert_eq!(page(origin), Ok(Local { page: true }), "{origin} at {host}");
            }
            for origin in foreign {
                assert!(page(origin).is_err(), "{origin} at {host}");
            }
        }
        // Without a port, both have the scheme's default port.
        let bare = |origin| check(&rule, "127.0.0.1", "/", &[("host", "localhost"), ("origin", origin)]);
        assert!(
            bare("http://localhost").is_ok()
                && bare("http://localhost:80").is_ok()
                && bare("http://localhost:81").is_err()
        );
    }
}
