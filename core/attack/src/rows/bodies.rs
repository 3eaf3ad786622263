//! Bodies that cost more to read than to send, or that have another form than they claim.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::http::{Ask, PATIENCE, exchange};
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command};

/// The growth of the resident memory that the whole row may cause.
const GROWTH: u64 = 256 << 20;

/// The time within which each body must have its answer.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let mut target = command.guarded("echo = true\n[listen]\nbody_timeout_ms = 2000\n")?;
    let mut tally = Tally::default();
    let idle = target.resident()?;
    let mut peak = idle;
    for path in ["/api/v1/completions", "/v1/chat/completions", "/api/v1/sessions", "/api/v1/keys"] {
        for (name, body) in bombs(path) {
            let started = Instant::now();
            let ask = Ask::new("POST", path).line("Content-Type", "application/json").body(body).token(ADMIN);
            let statuses = ask.exchange(target.address)?.statuses();
            tally.must(matches!(statuses[..], [200..500]), || format!("{path}: {name}: {statuses:?}"));
            tally.must(started.elapsed() < LIMIT, || format!("{path}: {name}: {:?}", started.elapsed()));
            peak = peak.max(target.resident()?);
        }
    }
    for (lines, body) in forms() {
        let request = [
            format!("POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n{lines}\r\n").into_bytes(),
            body,
        ]
        .concat();
        let got = exchange(target.address, &request, PATIENCE)?;
        let status = got.statuses().first().copied();
        tally.must(status.is_none_or(|status| (400..500).contains(&status)) && got.closed, || {
            format!("{lines:?}: {status:?}")
        });
        peak = peak.max(target.resident()?);
    }
    tally.must(peak < idle + GROWTH, || format!("the memory grew from {idle} to {peak} bytes"));
    tally.note(format!("resident memory: idle {} MiB, peak {} MiB", idle >> 20, peak >> 20));
    tally.must(target.is_well(), || format!("the router is gone: {}", target.log()));
    let answer = target.send(Ask::post("/api/v1/completions", &serde_json::json!({"prompt": "x"})).token(ADMIN))?;
    control(answer.status == 200, || format!("an honest body: {}", answer.told()))?;
    Ok(tally)
}

/// Bodies that stand where JSON should. The first request of each route needs the member `prompt`, `messages` or `name`.
fn bombs(path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let start = match path {
        "/v1/chat/completions" => r#"{"model":"echo","messages":[{"role":"user","content":"x"}],"#,
        "/api/v1/completions" => r#"{"prompt":"x","#,
        _ => r#"{"name":"x","#,
    };
    let with = |text: String| format!("{start}{text}}}").into_bytes();
    let nested = |open: &str, close: &str, depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let mut all = vec![
        ("lists in lists", with(format!("\"x\":{}", nested("[", "]", 400_000)))),
        ("objects in objects", with(format!("\"x\":{}", nested("{\"a\":", "}", 100_000)))),
        ("lists without end", "[".repeat(900_000).into_bytes()),
        ("objects without end", "{\"a\":".repeat(150_000).into_bytes()),
        ("a nested known member", with(format!("\"metadata\":{}", nested("[", "]", 100_000)))),
        ("a nested stop", with(format!("\"stop\":{}", nested("[", "]", 100_000)))),
        ("a wide object", with((0..80_000).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(","))),
        ("a wide list", with(format!("\"x\":[{}1]", "0,".repeat(450_000)))),
        ("equal members", with(vec!["\"max_tokens\":1"; 50_000].join(","))),
        ("a long number", with(format!("\"max_tokens\":{}", "9".repeat(900_000)))),
        ("a long fraction", with(format!("\"temperature\":0.{}", "1".repeat(900_000)))),
        ("a long exponent", with(format!("\"temperature\":1e{}", "9".repeat(900_000)))),
        ("infinity", with("\"temperature\":1e999".to_owned())),
        ("minus infinity", with("\"top_p\":-1e999".to_owned())),
        ("not a number", with("\"temperature\":NaN".to_owned())),
        ("escapes", with(format!("\"x\":\"{}\"", "\\u0000".repeat(150_000)))),
        ("lone surrogates", with(format!("\"x\":\"{}\"", "\\ud800".repeat(150_000)))),
        ("a broken escape", with("\"x\":\"\\u12".to_owned())),
        ("a byte order mark", [b"\xef\xbb\xbf".to_vec(), with("\"x\":1".to_owned())].concat()),
        ("UTF-16", with("\"x\":1".to_owned()).iter().flat_map(|byte| [*byte, 0]).collect()),
        ("bytes that are no UTF-8", [with("\"x\":1".to_owned()), vec![0xff; 1_000]].concat()),
        ("a text that is no UTF-8", [b"{\"prompt\":\"\xc3\x28\xf0\x28\x8c\xbc\"}".to_vec()].concat()),
        ("overlong UTF-8", b"{\"prompt\":\"\xc0\xaf\"}".to_vec()),
        ("zeros", vec![0; 500_000]),
        ("nothing", Vec::new()),
        ("more than the limit", vec![b' '; 3 << 20]),
        ("two values", b"{}{}".to_vec()),
        ("a value and a comment", b"{}/*x*/".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a number of 100 MB", [b"{\"prompt\":".to_vec(), vec![b'1'; 100_000_000], b"}".to_vec()].concat()),
    ];
    if path != "/api/v1/completions" {
        // The largest body is sent once.
        all.pop();
    }
    all
}

/// Head lines and bodies whose form is another one than the router's. All must be refused.
fn forms() -> Vec<(String, Vec<u8>)> {
    let json = br#"{"prompt":"x"}"#.to_vec();
    let mut all = Vec::new();
    for coding in ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, gzip", "compress", "unknown"] {
        // One kilobyte that unpacks to a megabyte begins like this; the router must not even try.
        let packed = [vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], vec![0; 1_000]].concat();
        all.push((
            format!(
                "Content-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n",
                packed.len()
            ),
            packed,
        ));
        all.push((
            format!(
                "Content-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n",
                json.len()
            ),
            json.clone(),
        ));
    }
    let parts = b"--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n--b--\r\n".to_vec();
    for kind in [
        "multipart/form-data; boundary=b",
        "multipart/mixed; boundary=",
        "application/x-www-form-urlencoded",
        "text/xml",
        "application/x-protobuf",
    ] {
        all.push((format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", parts.len()), parts.clone()));
    }
    // Chunks without an end: the time or the size of the body ends them.
    let kind = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    all.push((kind.to_owned(), b"1\r\n{\r\n".to_vec()));
    all.push((kind.to_owned(), [b"1\r\n \r\n".repeat(300_000), b"0\r\n\r\n".to_vec()].concat()));
    all.push((kind.to_owned(), [b"1;".to_vec(), vec![b'x'; 4 << 20]].concat()));
    all.push((kind.to_owned(), [b"0\r\n".to_vec(), b"A: b\r\n".repeat(200_000)].concat()));
    all.push((kind.to_owned(), [b"8000000\r\n".to_vec(), vec![b' '; 40 << 20]].concat()));
    all.push(("Content-Type: application/json\r\nContent-Length: 1000000\r\n".to_owned(), b"{".to_vec()));
    all
}
