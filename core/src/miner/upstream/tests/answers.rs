//! Answers of servers by chance: usual ones, odd but legal ones, and illegal ones.

use cortensor_router_testkit::random::Random;

/// Lines that mean nothing to a client, some of which are no lines of a head.
const ODD_LINES: &[&str] = &[
    "server: x",
    "x-empty:",
    "x-blank:   ",
    "X-Long: a\r\n b\r\n\tc",
    "X-Folded:\r\n a",
    "X-Spaced : a",
    "no line at all",
    "X Y: a",
    ": a",
    "x-latin: \u{e9}\u{f6}",
    "x-tab: a\tb",
    "x-control: a\u{1}b",
    "x-delete: a\u{7f}b",
    "x-quoted: \"a, b\"",
    "(x): a",
    "x-same: 1",
    "x-same: 2",
    "date: Sun, 06 Nov 1994 08:49:37 GMT",
    "retry-after: 2",
    "Retry-After-Ms: 20",
    "Content-Type: text/event-stream; charset=utf-8",
    "content-type: application/json",
    "Content-Encoding: gzip",
    "content-encoding: identity",
    "trailer: x-end",
    "keep-alive: timeout=5",
];

const CONNECTIONS: &[&str] = &["close", "keep-alive", "Keep-Alive, Upgrade", "x, Close", "upgrade", ""];

const CODINGS: &[&str] =
    &["chunked", "Chunked", " chunked ", "gzip, chunked", "gzip", "chunked, gzip", "", "identity", "chunked,"];

const TRAILERS: &[&str] =
    &["x-end: 1\r\n", "x-end: 1\r\nx-more:\r\n", "Content-Length: 3\r\n", "no line\r\n", "x: a\nb\r\n"];

/// The bytes of an answer by chance.
pub(super) fn answer(chance: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    if chance.chance(4) {
        bytes.extend_from_slice(of(chance, &["\r\n", "\n", "\r\n\r\n", "\r", " "]).as_bytes());
    }
    while chance.chance(6) {
        bytes.extend_from_slice(of(chance, ANNOUNCEMENTS).as_bytes());
    }
    let most = if chance.chance(10) { 40_000 } else { 300 };
    let body: Vec<u8> = (0..chance.below(most)).map(|at| b'a' + (at % 26) as u8).collect();
    let mut lines = Vec::new();
    let most = if chance.chance(3) { 150 } else { 6 };
    for _ in 0..chance.below(most) {
        lines.push(of(chance, ODD_LINES).to_owned());
    }
    if chance.chance(25) {
        lines.push(format!("Connection: {}", of(chance, CONNECTIONS)));
    }
    let mut is_chunked = false;
    match chance.below(10) {
        0..4 => lines.push(format!("Content-Length: {}", length(chance, body.len()))),
        4..8 => {
            is_chunked = true;
            let coding = if chance.chance(70) { "chunked" } else { of(chance, CODINGS) };
            lines.push(format!("Transfer-Encoding: {coding}"));
            if chance.chance(15) {
                lines.push(format!("Transfer-Encoding: {}", of(chance, CODINGS)));
            }
            if chance.chance(10) {
                lines.push(format!("Content-Length: {}", length(chance, body.len())));
            }
        }
        8 => {
            lines.push(format!("content-length: {}", length(chance, body.len())));
            lines.push(format!("CONTENT-LENGTH: {}", length(chance, body.len())));
        }
        _ => {}
    }
    let (status, end) = (status_line(chance), if chance.chance(8) { "\n" } else { "\r\n" });
    bytes.extend_from_slice(status.as_bytes());
    bytes.extend_from_slice(end.as_bytes());
    while !lines.is_empty() {
        let line = lines.swap_remove(chance.below(lines.len() as u64) as usize);
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(end.as_bytes());
    }
    bytes.extend_from_slice(end.as_bytes());
    if is_chunked {
        bytes.extend(chunks(chance, &body));
    } else {
        bytes.extend_from_slice(&body);
    }
    spoil(chance, &mut bytes);
    bytes
}

const ANNOUNCEMENTS: &[&str] = &[
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nlink: a\r\nContent-Length: x\r\n\r\n",
    "HTTP/1.0 102 Processing\n\n",
    "HTTP/1.1 199 \r\nConnection: close\r\n\r\n",
];

fn status_line(chance: &mut Random) -> String {
    if chance.chance(80) {
        return "HTTP/1.1 200 OK".to_owned();
    }
    let version = if chance.chance(50) {
        "HTTP/1.1"
    } else {
        of(chance, &["HTTP/1.0", "HTTP/1.2", "HTTP/2", "http/1.1", "ICY", "SSH-2.0"])
    };
    let status =
        of(chance, &["200", "204", "304", "404", "429", "500", "999", "099", "101", "20", "2000", "abc", "-20"]);
    let reason = of(chance, &[" OK", "", " ", " caf\u{e9}", " a\tb", " a\u{1}b", "  two  "]);
    format!("{version} {status}{reason}")
}

fn length(chance: &mut Random, real: usize) -> String {
    if chance.chance(70) {
        return real.to_string();
    }
    match chance.below(12) {
        0 => (real + 1).to_string(),
        1 => (real / 2).to_string(),
        2 => format!("{real}, {real}"),
        3 => format!("{real},{}", real + 1),
        4 => format!("+{real}"),
        5 => "-1".to_owned(),
        6 => String::new(),
        7 => "18446744073709551616".to_owned(),
        8 => format!("\r\n {real}"),
        9 => format!("000{real}"),
        10 => format!("{real} "),
        _ => "0".to_owned(),
    }
}

fn chunks(chance: &mut Random, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at((chance.range(1, 900) as usize).min(rest.len()));
        rest = after;
        size_line(chance, chunk.len(), &mut bytes);
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(if chance.chance(99) { b"\r\n" } else { b"\n" });
    }
    size_line(chance, 0, &mut bytes);
    while chance.chance(8) {
        bytes.extend_from_slice(of(chance, TRAILERS).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn size_line(chance: &mut Random, size: usize, bytes: &mut Vec<u8>) {
    let size = match chance.below(20) {
        0 => format!("{size:X}"),
        1 => format!("000{size:x}"),
        2 if chance.chance(10) => format!("{:x}", size + 1),
        3 if chance.chance(10) => "fffffffffffffffff".to_owned(),
        4 if chance.chance(10) => format!("0x{size:x}"),
        5 if chance.chance(10) => String::new(),
        _ => format!("{size:x}"),
    };
    let more = match chance.below(40) {
        0 => " ",
        1 => "\t ",
        2 => ";a=b",
        3 => " ;a=\"b;c\"",
        4 if chance.chance(20) => ";a\nb",
        5 if chance.chance(20) => " 1",
        6 if chance.chance(20) => "g",
        _ => "",
    };
    bytes.extend_from_slice(size.as_bytes());
    bytes.extend_from_slice(more.as_bytes());
    bytes.extend_from_slice(if chance.chance(99) { b"\r\n" } else { b"\n" });
}

/// Cuts the bytes, adds some, or changes one, in a part of all cases.
fn spoil(chance: &mut Random, bytes: &mut Vec<u8>) {
    match chance.below(20) {
        0..5 => bytes.truncate(chance.below(bytes.len() as u64 + 1) as usize),
        5 | 6 => bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n"),
        7 => {
            let at = chance.below(bytes.len() as u64) as usize;
            bytes[at] = of(chance, &[b'\0', b'\n', b'\r', b' ', b':', 0xff, b'1', b';']);
        }
        _ => {}
    }
}

/// The bytes in pieces: byte by byte, in small pieces, in large ones, or whole.
pub(super) fn pieces(chance: &mut Random, bytes: &[u8]) -> Vec<Vec<u8>> {
    // A long answer byte by byte would take longest and show least.
    let most = if bytes.len() < 3_000 { of(chance, &[1, 8, 100, 100_000]) } else { of(chance, &[500, 5_000, 100_000]) };
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((chance.range(1, most) as usize).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

fn of<T: Copy>(chance: &mut Random, all: &[T]) -> T {
    all[chance.below(all.len() as u64) as usize]
}
