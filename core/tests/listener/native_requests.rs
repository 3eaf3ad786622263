//! Requests that a seed decides: heads in odd orders and forms, bodies of any length, in pieces of any size.

use cortensor_router_testkit::random::Random;
use cortensor_router_testkit::server::DEV;

/// The routes that are served by both ways.
pub(crate) const BUSY: [&str; 5] =
    ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages", "/v1/responses"];

/// The bytes that a client sends on one connection.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    /// The sizes of the first pieces; the rest is one piece.
    pub(crate) pieces: Vec<usize>,
    /// Whether the client closes its side when all is sent.
    pub(crate) ends: bool,
}

impl Script {
    /// A script whose bytes are sent in one piece.
    pub(crate) fn whole(bytes: Vec<u8>) -> Self {
        Self { bytes, pieces: Vec::new(), ends: false }
    }
}

/// Makes the scripts of that many requests.
pub(crate) fn scripts(random: &mut Random, requests: usize) -> Vec<Script> {
    let (mut made, mut scripts) = (0, Vec::new());
    while made < requests {
        let count = random.range(1, 4) as usize;
        let mut bytes = Vec::new();
        for index in 1..=count {
            bytes.extend(request(random, index == count));
        }
        made += count;
        // A client that hangs up, or sends no more, in the middle of a request.
        let cut = random.chance(10);
        if cut {
            bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
        }
        let pieces = match random.below(4) {
            0 | 1 => Vec::new(),
            2 => (0..random.range(1, 6)).map(|_| random.range(1, 400) as usize).collect(),
            _ => (0..random.range(1, 60)).map(|_| random.range(1, 20) as usize).collect(),
        };
        scripts.push(Script { bytes, pieces, ends: cut });
    }
    scripts
}

fn pick<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len() as u64) as usize]
}

/// One of the rare forms in `percent` of all calls, else the usual one.
fn rarely<'a>(random: &mut Random, percent: u64, usual: &'a str, rare: &[&'a str]) -> &'a str {
    if random.chance(percent) { pick(random, rare) } else { usual }
}

/// A request. `is_last`: the connection must end after it.
fn request(random: &mut Random, is_last: bool) -> Vec<u8> {
    let method = rarely(random, 4, "POST", &["GET", "OPTIONS", "PATCH", "PUT", "post"]);
    let usual = pick(random, &BUSY);
    let target = rarely(
        random,
        8,
        usual,
        &[
            "http://localhost/v1/chat/completions",
            "http://evil.example/v1/completions",
            "/chat/completions",
            "/v1//completions/",
            "/v1/completions?x=1",
            "/v1/%63ompletions",
            "/v1/models",
            "/v1/messages/count_tokens",
            "/v1/responses/",
            "/v1/responses/resp_0",
            "/healthz",
            "*",
            "",
        ],
    );
    let version = rarely(random, 3, "HTTP/1.1", &["HTTP/1.0", "HTTP/2.0", "http/1.1"]);
    let body = body(random);
    let end = rarely(random, 4, "\r\n", &["\n"]);
    let mut lines = headers(random);
    let chunked = random.chance(3);
    if chunked {
        lines.push("Transfer-Encoding: chunked".to_owned());
    }
    if !chunked || random.chance(10) {
        let length = body.len();
        lines.push(match random.below(60) {
            0 => format!("Content-Length: 0{length}"),
            1 => format!("Content-Length:\t{length} "),
            2 => format!("Content-Length:{length}\r\nContent-Length: {length}"),
            3 => format!("Content-Length: {length}\r\nContent-Length: {}", length + 1),
            4 => format!("Content-Length: +{length}"),
            5 => format!("Content-Length: {length}, {length}"),
            6 => "Content-Length: 99999999999999999999".to_owned(),
            7 => "Accept: */*".to_owned(),
            8 => format!("Content-Length: {}", length / 2),
            _ => format!("Content-Length: {length}"),
        });
    }
    if is_last {
        lines.push(rarely(random, 5, "Connection: close", &["connection: Close", "Connection: close, x"]).to_owned());
    } else if random.chance(20) {
        lines.push(pick(random, &["Connection: keep-alive", "Connection: Keep-Alive", "Connection: x"]).to_owned());
    }
    // The order of the lines, and the case of their names.
    for index in (1..lines.len()).rev() {
        lines.swap(index, random.below(index as u64 + 1) as usize);
    }
    let mut out = rarely(random, 2, "", &["\r\n", "\n", "\r\n\r\n"]).as_bytes().to_vec();
    out.extend(format!("{method} {target} {version}{end}").bytes());
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let name = match random.below(6) {
            0 => name.to_ascii_uppercase(),
            1 => name.to_ascii_lowercase(),
            _ => name.to_owned(),
        };
        out.extend(format!("{name}:{value}{end}").bytes());
    }
    out.extend(end.bytes());
    if chunked {
        out.extend(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).bytes());
    } else {
        out.extend(body.bytes());
    }
    out
}

fn headers(random: &mut Random) -> Vec<String> {
    let host = rarely(
        random,
        6,
        "Host: localhost",
        &["Host: 127.0.0.1:5010", "Host: evil.example", "Host: a b", "Host:", "Host: a\r\nHost: a", "Accept: x"],
    );
    let token = rarely(
        random,
        8,
        DEV.trim_end(),
        &[
            "Authorization: Bearer wrong",
            "Authorization: bearer\tdefault-dev-token",
            "X-API-Key: default-dev-token",
            "api-key: default-dev-token",
            "Authorization:",
            "Accept: y",
        ],
    );
    let mut lines = vec![host.to_owned(), token.to_owned()];
    for rare in [
        "Content-Type: application/json",
        "Content-Type: text/plain; charset=utf-8",
        "User-Agent: OpenAI/Python 1.99.0",
        "Accept: application/json",
        "X-Stainless-Retry-Count: 0",
        "Accept-Encoding: gzip, deflate",
    ] {
        if random.chance(40) {
            lines.push(rare.to_owned());
        }
    }
    for rare in [
        "Content-Type: image/png",
        "Content-Encoding: identity",
        "Content-Encoding: gzip",
        "X-Request-Id: my-own-request",
        "X-Request-Id: two words",
        "X-Cortensor-Session: 0",
        "X-Cortensor-Session: 9",
        "X-Cortensor-Session: \u{e9}",
        "X-Stainless-Timeout: 30",
        "Origin: http://localhost",
        "Origin: https://evil.example",
        "Sec-Fetch-Site: same-origin",
        "X-Forwarded-For: 192.0.2.1",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate: a=b",
        "Upgrade: websocket",
        "Trailer: x",
        "TE: trailers",
        "X-Folded: one\r\n two",
        "X-Empty:",
        "X-Blank : x",
        "X Name: x",
        "X-Control: \u{1}",
        "X-Tab: a\tb",
        ": nameless",
        "no colon",
    ] {
        if random.chance(1) {
            lines.push(rare.to_owned());
        }
    }
    if random.chance(1) {
        lines.extend((0..random.range(20, 60)).map(|index| format!("X-Line-{index}: {index}")));
    }
    if random.chance(1) {
        lines.push(format!("X-Long: {}", "x".repeat(random.range(1, 20_000) as usize)));
    }
    lines
}

fn body(random: &mut Random) -> String {
    let stream = rarely(random, 20, "", &["\"stream\":true,", "\"stream\":false,", "\"stream\":1,"]);
    let model = rarely(random, 10, "tiny", &["absent", "session-0", "session-9", "vectors", ""]);
    let words = match random.below(20) {
        0 => "x".repeat(random.range(1, 40_000) as usize),
        1 => "\u{1f600} \\\"quoted\\\" \\u00e9".to_owned(),
        _ => pick(random, &["one", "one two", "one two three"]).to_owned(),
    };
    let rest = rarely(
        random,
        10,
        "",
        &[
            ",\"temperature\":0.5",
            ",\"max_tokens\":0",
            ",\"max_output_tokens\":9,\"store\":false",
            ",\"background\":true",
            ",\"n\":2",
            ",\"user\":\"u\"",
            ",\"tools\":[]",
            ",\"x\":{\"y\":[1]}",
        ],
    );
    let input = match random.below(6) {
        0 => format!("\"prompt\":\"{words}\""),
        1 | 2 => format!("\"input\":\"{words}\""),
        3 => format!("\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}]"),
        _ => format!("\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}]"),
    };
    let whole = format!("{{{stream}\"model\":\"{model}\",{input}{rest}}}");
    match random.below(40) {
        0 => whole[..whole.floor_char_boundary(whole.len() / 2)].to_owned(),
        1 => format!("\n {whole}\n"),
        2 => pick(random, &["", "{}", "[]", "null", "\"x\"", "{\"messages\":[]}"]).to_owned(),
        3 => "[".repeat(random.range(1, 200) as usize),
        _ => whole,
    }
}
