//! Pages and proxies that pass for a program of this machine: DNS rebinding, foreign origins, forwarded requests.

use std::net::SocketAddr;

use serde_json::json;

use crate::Outcome;
use crate::http::{Ask, PATIENCE, exchange};
use crate::miner::{Hand, hello};
use crate::report::{Tally, control};
use crate::target::Command;

const DEV: &str = "default-dev-token";

/// Values of `Host` that do not name this machine.
const HOSTS: &[&str] = &[
    "evil.example",
    "evil.example:PORT",
    "evil.example.",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.evil.example:PORT",
    "127-0-0-1.evil.example",
    "localhost@evil.example",
    "127.0.0.1@evil.example:PORT",
    "evil.example@localhost",
    "user:pass@localhost",
    "localhost#evil.example",
    "localhost/evil.example",
    "localhost?evil.example",
    "localhost\\evil.example",
    "localhost, evil.example",
    "evil.example, localhost",
    "localhost evil.example",
    "localhost:PORT:PORT",
    "localhost:99999",
    "localhost:port",
    "[::1]evil.example",
    "[::1].evil.example",
    "[::1",
    "::1",
    "[::1%25evil]",
    "[::1%25evil]:PORT",
    "[fe80::1%25eth0]",
    "[127.0.0.1]",
    "[::1].:PORT",
    "127.0.0.1.",
    "127.0.0.1.:PORT",
    "127.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0177.0.0.1",
    "2130706433:PORT",
    "127.0.0.1%25evil",
    "localhost:0",
    "localhost:65536",
    "127.0.0.1:65536",
    "[evil.example]",
    "xlocalhost",
    "localhostx",
    "evillocalhost",
    ".localhost.evil.example",
    "localhost.localdomain.evil.example",
    "localhost%2eevil.example",
    "xn--localhost-evil.example",
    "host.docker.internal.evil.example",
    "metadata.google.internal",
    "router.local",
];

/// Values of `Origin` that are not the listener's own.
const ORIGINS: &[&str] = &[
    "null",
    "http://evil.example",
    "http://evil.example:PORT",
    "https://localhost.evil.example",
    "http://localhost:1",
    "http://127.0.0.1:1",
    "http://[::1]:1",
    "https://127.0.0.1:PORT.evil.example",
    "https://127.0.0.1.:PORT",
    "http://127.0.0.1.:PORT",
    "http://127.1:PORT",
    "http://0x7f.0.0.1:PORT",
    "http://2130706433:PORT",
    "http://[::1%25evil]:PORT",
    "http://[::ffff:127.0.0.1]:PORT",
    "http://localhost:0",
    "http://localhost:",
    "http://127.0.0.1:PORT@evil.example",
    "http://evil.example@127.0.0.1:PORT",
    "http://127.0.0.1:PORT, http://evil.example",
    "http://127.0.0.1:PORT http://evil.example",
    "http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#evil",
    "file://",
    "data:",
    "chrome-extension://abcdef",
    "moz-extension://abcdef",
    "capacitor://evil",
    "",
    "*",
    "127.0.0.1:PORT",
];

/// Lines that proxies, tunnels and content delivery networks add.
const FORWARDED: &[&str] = &[
    "X-Forwarded-For: 8.8.8.8",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-For: ",
    "x-forwarded-for: 127.0.0.1, 8.8.8.8",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Server: proxy",
    "X-Forwarded-Prefix: /x",
    "X-Forwarded: for=8.8.8.8",
    "Forwarded: for=8.8.8.8",
    "Forwarded: for=127.0.0.1",
    "Forwarded: for=\"[::1]\";proto=http",
    "Forwarded-For: 8.8.8.8",
    "X-Real-IP: 8.8.8.8",
    "X-Client-IP: 8.8.8.8",
    "X-Cluster-Client-IP: 8.8.8.8",
    "True-Client-IP: 8.8.8.8",
    "Client-IP: 8.8.8.8",
    "Via: 1.1 proxy",
    "CF-Connecting-IP: 8.8.8.8",
    "CF-Ray: 1",
    "CDN-Loop: cloudflare",
    "Fastly-Client-IP: 8.8.8.8",
    "Fly-Client-IP: 8.8.8.8",
    "X-Envoy-External-Address: 8.8.8.8",
    "X-Original-Forwarded-For: 8.8.8.8",
    "X-Original-URL: /api/v1/keys",
    "X-Rewrite-URL: /api/v1/keys",
    "X-Amzn-Trace-Id: Root=1",
    "X-Azure-ClientIP: 8.8.8.8",
    "X-Vercel-Forwarded-For: 8.8.8.8",
    "Tailscale-User-Login: someone",
    "ngrok-trace-id: 1",
    "X-ProxyUser-Ip: 8.8.8.8",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
];

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let target = command.serve("echo = true\n", &[], &[])?;
    let mut tally = Tally::default();
    let address = target.address;
    let port = address.port().to_string();
    for host in HOSTS {
        // Rebinding needs a browser, and every browser says what it is. A script writes any name there.
        let lines = format!("Host: {}\r\nUser-Agent: Mozilla/5.0\r\n", host.replace("PORT", &port));
        attack(&mut tally, address, &lines)?;
    }
    for origin in ORIGINS {
        attack(
            &mut tally,
            address,
            &format!("Host: localhost:{port}\r\nOrigin: {}\r\n", origin.replace("PORT", &port)),
        )?;
        attack(
            &mut tally,
            address,
            &format!("Host: 127.0.0.1:{port}\r\nOrigin: {}\r\n", origin.replace("PORT", &port)),
        )?;
    }
    for line in FORWARDED {
        attack(&mut tally, address, &format!("Host: localhost\r\n{line}\r\n"))?;
    }
    for lines in [
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: evil.example\r\nHost: localhost\r\n",
        "Host: localhost\r\nhost: localhost\r\n",
        "",
        "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n",
    ] {
        attack(&mut tally, address, lines)?;
    }
    for form in [
        "http://evil.example/api/v1/keys",
        "https://evil.example:443/api/v1/keys",
        "http://localhost@evil.example/api/v1/keys",
    ] {
        refuse(&mut tally, address, form, "Host: localhost\r\n")?;
    }
    // The listener's own page may read, but the token is public, so that a page must not make keys with it.
    let own = format!("http://localhost:{port}");
    let page = Ask::post("/api/v1/keys", &json!({"name": "page", "scopes": ["admin"]}))
        .token(DEV)
        .host(Some(&format!("localhost:{port}")))
        .line("Origin", &own);
    let answer = target.send(page)?;
    tally.must(!answer.is_success(), || format!("the listener's own page made a key: {}", answer.told()));

    let answer = target.send(Ask::get("/api/v1/sessions").token(DEV))?;
    control(answer.status == 200, || format!("a local program may not read: {}", answer.told()))?;
    Hand::welcomed(address, &hello("honest", DEV, "echo"))?;
    // The key ends the development token, so it is made last.
    let answer = target.send(Ask::post("/api/v1/keys", &json!({"name": "own", "scopes": ["admin"]})).token(DEV))?;
    control(answer.status == 201, || format!("a local program may not make a key: {}", answer.told()))?;
    for (path, public) in [("/api/v1/sessions", false), ("/api/v1/keys", false), ("/healthz", true)] {
        let answer = target.send(Ask::get(path).token(DEV))?;
        if public {
            control(answer.status == 200, || format!("{path}: {}", answer.told()))?;
        } else {
            tally.must(answer.status == 401, || {
                format!("the development token outlives a key: {path}: {}", answer.told())
            });
        }
    }
    Ok(tally)
}

/// Sends the lines with the development token to a route of each family, and to the miners' socket.
fn attack(tally: &mut Tally, address: SocketAddr, lines: &str) -> Outcome {
    refuse(tally, address, "/api/v1/keys", lines)?;
    refuse(tally, address, "/v1/models", lines)?;
    let welcomed = Hand::connect(address, lines).and_then(|mut hand| {
        hand.send(&hello("stranger", DEV, "echo"));
        hand.expect("welcome")
    });
    tally.must(welcomed.is_err(), || format!("a miner is welcome with {lines:?}"));
    Ok(())
}

fn refuse(tally: &mut Tally, address: SocketAddr, path: &str, lines: &str) -> Outcome {
    let request = format!("GET {path} HTTP/1.1\r\n{lines}Authorization: Bearer {DEV}\r\nConnection: close\r\n\r\n");
    let statuses = exchange(address, request.as_bytes(), PATIENCE)?.statuses();
    tally.must(matches!(statuses[..], [400 | 401 | 403 | 421]), || format!("GET {path} with {lines:?}: {statuses:?}"));
    Ok(())
}
