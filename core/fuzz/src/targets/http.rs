//! Answers of upstreams as bytes of HTTP: wherever they are cut, the same status, body and rest come out.

use bytes::Bytes;
use cortensor_router::internals::{Received, received};

use super::Target;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "http",
    read,
    // The answer is read in three ways, and the body of each reading is kept for the comparison.
    growth: Growth { fixed: 1 << 20, times: 16 },
    words: &[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 204 \n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "\r\n\r\n",
        "\r\n ",
        "5;a=b\r\n",
        "0\r\n\r\n",
        "ffffffffffffffff",
    ],
    shapes: SHAPES,
};

/// Answers that are hard to read.
const SHAPES: &[Shape] = &[
    Shape { name: "many lines of a head", make: |n| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(n)) },
    Shape { name: "a long head", make: |n| format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(n * 8)) },
    Shape {
        name: "a line of many folds",
        make: |n| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", "\r\n 1,".repeat(n)),
    },
    Shape { name: "many lengths", make: |n| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", "1,".repeat(n)) },
    Shape { name: "many lines that are none", make: |n| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a b\r\n".repeat(n)) },
    Shape { name: "many empty lines", make: |n| "\r\n".repeat(n) },
    Shape { name: "many heads that announce another", make: |n| "HTTP/1.1 100 \r\n\r\n".repeat(n) },
    Shape { name: "many small chunks", make: |n| chunked(&"1\r\na\r\n".repeat(n)) },
    Shape { name: "a long extension", make: |n| chunked(&format!("1;{}\r\na\r\n", "x".repeat(n * 8))) },
    Shape { name: "many extensions", make: |n| chunked(&"1;x\r\na\r\n".repeat(n)) },
    Shape { name: "many trailers", make: |n| chunked(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(n))) },
    Shape { name: "a size of many digits", make: |n| chunked(&format!("{}1\r\na\r\n", "0".repeat(n * 8))) },
    Shape { name: "a long body", make: |n| format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(n * 8)) },
];

fn chunked(chunks: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
}

/// The bounds of a head. They are far above every input, so that none is too long wherever it is cut.
const MOST: usize = 1 << 24;

fn read(data: &[u8]) {
    let whole = received([Bytes::copy_from_slice(data)], 100, MOST);
    // The input itself says where it is cut.
    let cut = data.iter().fold(data.len(), |sum, byte| sum.wrapping_mul(31) + usize::from(*byte)) % (data.len() + 1);
    let (left, right) = data.split_at(cut);
    same(&whole, &received([left, right].map(Bytes::copy_from_slice), 100, MOST), "cut in two");
    same(&whole, &received(data.chunks(3).map(Bytes::copy_from_slice), 100, MOST), "cut in small pieces");
    let known = whole.body.len() + whole.left.unwrap_or_default();
    assert!(known <= data.len(), "{} bytes gave {known}", data.len());
    assert!(!whole.is_broken || whole.left.is_none());
}

fn same(whole: &Received, cut: &Received, how: &str) {
    assert_eq!(whole, cut, "{how}");
}
