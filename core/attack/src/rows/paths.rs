//! Spellings of a path that might pass the check of one route and reach another.

use crate::Outcome;
use crate::http::{Ask, PATIENCE, exchange};
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command};

/// Routes without a token, and texts before which a guarded route may hide.
const OPEN: &[&str] =
    &["/healthz", "/readyz", "/health", "/api/v1/about", "/api/v1/ping", "/openapi.json", "/miner/v1"];

/// Guarded routes.
const GUARDED: &[&str] = &["/api/v1/keys", "/api/v1/sessions", "/api/v1/miners/enrolments", "/metrics", "/v1/models"];

/// Texts that stand for "one level up" in one reader or another.
const UPS: &[&str] = &[
    "/..",
    "/%2e%2e",
    "/%2E.",
    "/.%2e",
    "/..;",
    "/..;/x/..",
    "%2f..",
    "/..%2f",
    "/%2e%2e%2f",
    "/%252e%252e",
    "/..\\",
    "\\..",
    "/%5c..",
    "/%c0%ae%c0%ae",
    "/%e0%80%ae%e0%80%ae",
    "/%uff0e%uff0e",
    "/..%00",
    "/...",
    "/.",
    "//",
    "/;/..",
    "?/..",
    "#/..",
    "%23/..",
    "%3f/..",
];

/// Spellings of a guarded path: what is put before it, in place of a slash, and behind it.
const BEHIND: &[&str] = &[
    "/", "//", "/.", "/./", ".", "%20", "%09", "%0a", "%0d%0a", "%00", "\0", ";", ";a=b", ";.json", ".json", "?", "?x",
    "#", "#x", "%23", "%3f", "%2f", "%2e", "/..;/", "~", "*", "\\", "%5c", "\t", "%ff", "%c0%af",
];

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let mut target = command.guarded("echo = true\n")?;
    let mut tally = Tally::default();
    let mut paths = Vec::new();
    for guarded in GUARDED {
        for open in OPEN {
            for up in UPS {
                paths.push(format!("{open}{up}{guarded}"));
                paths.push(format!("{open}{up}{up}{up}{guarded}"));
            }
        }
        for behind in BEHIND {
            paths.push(format!("{guarded}{behind}"));
        }
        let encoded = guarded.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02x}"));
        paths.extend([
            guarded.to_uppercase(),
            guarded.replace('/', "//"),
            guarded.replace('/', "/./"),
            guarded.replace('/', "\\"),
            guarded.replace('/', "%2f"),
            guarded.replacen('/', "//localhost/", 1),
            guarded.replace("v1", "v2"),
            guarded.replace("v1", "v%31"),
            format!("/{encoded}"),
            format!("/healthz/../{}", guarded.trim_start_matches('/')),
            format!("http://localhost{guarded}"),
            format!("http://localhost/healthz/..{guarded}"),
            guarded.trim_start_matches('/').to_owned(),
            format!("*{guarded}"),
        ]);
    }
    for path in &paths {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "GETX", "get"] {
            if method != "GET" && tally_skips(path) {
                continue;
            }
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let text = exchange(target.address, request.as_bytes(), PATIENCE)?.text();
            let status = text.get(9..12).and_then(|status| status.parse::<u16>().ok()).unwrap_or(0);
            // A spelling may lead to the open route itself, but its answer must be that route's own.
            let leaks = ["\"keys\"", "\"sessions\":", "\"enrolments\"", "# HELP", "\"object\":\"list\""];
            let leaked = (200..300).contains(&status) && leaks.iter().any(|leak| body(&text).contains(leak));
            tally.must(!leaked && status < 500, || {
                format!("{method} {path:?}: {}", text.chars().take(200).collect::<String>())
            });
        }
    }
    for guarded in GUARDED {
        let answer = target.send(Ask::get(guarded).token(ADMIN))?;
        control(answer.status == 200, || format!("{guarded}: {}", answer.told()))?;
        let answer = target.send(Ask::get(guarded))?;
        control(answer.status == 401, || format!("{guarded} without a token: {}", answer.told()))?;
    }
    tally.must(target.is_well(), || "the router is gone".to_owned());
    Ok(tally)
}

/// Whether other methods than GET are left out for this spelling: the long list of climbs is tried with GET alone.
fn tally_skips(path: &str) -> bool {
    OPEN.iter().any(|open| path.starts_with(open))
}

/// The body; `/openapi.json` itself names every word of every answer, so its own answer does not count.
fn body(text: &str) -> &str {
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if body.starts_with("{\"openapi\"") { "" } else { body }
}
