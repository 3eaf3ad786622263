//! The heads of requests to the busy routes: a head is served or left to hyper, and a connection that has seen a head
//! before judges the next one as a fresh connection does.

use cortensor_router::internals::heads::{Judged, judge};

use super::Target;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "head",
    read,
    growth: Growth { fixed: 64 << 10, times: 16 },
    words: &[
        "POST /v1/chat/completions HTTP/1.1\r\n",
        "POST /v1/embeddings HTTP/1.1\r\n",
        "Host: localhost\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "\r\n\r\n",
        "\n\n",
        "\r\n ",
        ": ",
    ],
    shapes: &[
        Shape { name: "many lines", make: |n| head(&"A: b\r\n".repeat(n)) },
        Shape { name: "a long line", make: |n| head(&format!("A: {}\r\n", "b".repeat(n * 8))) },
        Shape { name: "a long name", make: |n| head(&format!("{}: b\r\n", "a".repeat(n * 8))) },
        Shape { name: "empty lines first", make: |n| "\r\n".repeat(n * 4) },
        Shape { name: "no end", make: |n| format!("POST /{}", "a".repeat(n * 8)) },
    ],
};

fn head(lines: &str) -> String {
    format!("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{lines}\r\n")
}

fn read(data: &[u8]) {
    let [fresh, known] = judge(data, data);
    assert_eq!(fresh, known, "a connection judges a head otherwise when it comes again");
    let Judged::Served { head, body } = fresh else { return };
    let text = String::from_utf8_lossy(&data[..head]).to_ascii_lowercase();
    assert!(text.trim_start().starts_with("post /v1/"), "{text}");
    assert!(text.ends_with('\n') && text.contains("content-length") && text.contains("host"), "{text}");
    for other in ["\ntransfer-encoding:", "\nexpect:", "\nupgrade:"] {
        assert!(!text.contains(other), "{text}");
    }
    // With a part of the head alone nothing is decided, or the head is left to hyper.
    for end in [head - 1, head / 2] {
        let [fresh, known] = judge(data, &data[..end]);
        assert_eq!(fresh, known);
        assert!(!matches!(fresh, Judged::Served { .. }), "{text} was cut off at {end}");
    }
    // The next head may have another length, and nothing else that the connection does not look at.
    let next = text.replacen("content-length: ", "content-length: 1", 1);
    let [fresh, known] = judge(&data[..head], next.as_bytes());
    assert_eq!(fresh, known, "{next}");
    assert!(body < 1_000_000_000_000_000_000);
}
