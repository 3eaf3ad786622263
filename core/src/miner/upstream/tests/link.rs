//! The rules of a connection: what is sent and read at the same time, what may follow, and what is sent again.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::script::{End, Script};
use super::*;
use crate::miner::network::{Connecting, Transport};
use crate::miner::recorder::within;
use crate::miner::upstream::dial::Stream;
use crate::miner::upstream::link::{Link, NoAnswer, Part};
use crate::miner::upstream::pool::SendError;
use crate::miner::upstream::receiver::{Bounds, Receiver};
use crate::miner::upstream::request::Outgoing;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn link(stream: impl Transport) -> Link {
    Link::new(Stream::Given(Box::new(stream)), Bounds { lines: 64, bytes: 4_096 })
}

fn post(length: usize) -> Outgoing {
    Outgoing::post(b"POST / HTTP/1.1\r\n", &[], length, |mut bytes| {
        bytes.resize(bytes.len() + length, b'x');
        bytes
    })
}

async fn body(link: &mut Link) -> String {
    let mut body = Vec::new();
    while let Some(data) = within(link.data()).await {
        body.extend_from_slice(&data.unwrap());
    }
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_request_goes_out_in_one_piece() {
    let script = Script::new([OK.to_vec()], End::Open);
    let written = script.written();
    let mut link = link(script);
    let request = post(3);
    let wanted = request.rest().to_vec();
    within(link.ask(request)).await.unwrap();
    assert_eq!(*written.lock(), wanted);
    assert_eq!(body(&mut link).await, "ok");
    assert!(link.is_done());
}

#[tokio::test]
async fn an_answer_counts_although_the_request_is_refused() {
    let answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
    for end in [End::Open, End::Close, End::Break] {
        let mut link = link(Script::new([answer.to_vec()], end).refusing_after(20_000));
        let head = within(link.ask(post(1 << 20))).await.unwrap();
        assert_eq!((head.status.as_u16(), body(&mut link).await.as_str()), (413, "no"));
        assert!(!link.is_done(), "a request that was not read whole leaves the connection in an unknown state");
    }
    let mut link = link(Script::new([], End::Close).refusing_after(20_000));
    let Err(NoAnswer::HungUp(why)) = within(link.ask(post(1 << 20))).await else { panic!("an answer came") };
    assert_eq!(why.kind(), std::io::ErrorKind::BrokenPipe);
}

/// A server that answers each part of the request as it comes, and reads no further before its answer was read.
#[tokio::test]
async fn the_rest_of_a_request_is_sent_while_the_answer_is_read() {
    const LENGTH: usize = 300_000;
    let (mut server, client) = tokio::io::duplex(1_000);
    let serving = tokio::spawn(async move {
        let (mut seen, mut part) = (0, [0; 700]);
        server.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        while seen < LENGTH {
            let count = server.read(&mut part).await.unwrap();
            seen += count;
            server.write_all(format!("{count:x}\r\n{}\r\n", "y".repeat(count)).as_bytes()).await.unwrap();
        }
        server.write_all(b"0\r\n\r\n").await.unwrap();
        (server, seen)
    });
    let mut link = link(client);
    within(link.ask(post(LENGTH))).await.unwrap();
    let length = body(&mut link).await.len();
    let (_server, seen) = within(serving).await.unwrap();
    assert_eq!(length, seen);
    assert!(link.is_done());
}

#[tokio::test]
async fn a_long_body_is_read_to_its_place_and_bounded() {
    let answer = |length: usize| {
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes(), vec![b'z'; length]].concat()
    };
    for (length, most, part) in [(300_000, 300_000, Part::End), (300_000, 299_999, Part::TooLong), (0, 0, Part::End)] {
        for pieces in [vec![answer(length)], answer(length).chunks(777).map(<[u8]>::to_vec).collect()] {
            let mut link = link(Script::new(pieces, End::Open));
            within(link.ask(post(1))).await.unwrap();
            let mut bytes = Vec::with_capacity(link.expected().min(most));
            let end = loop {
                match within(link.append(&mut bytes, most)).await.unwrap() {
                    Part::Data => {}
                    end => break end,
                }
            };
            assert_eq!((end, bytes.len()), (part, length.min(most)));
            assert!(link.is_done() || part == Part::TooLong);
        }
    }
}

#[tokio::test]
async fn the_next_answer_may_come_over_a_connection_only_after_a_clean_end() {
    let length = "content-length: 2\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    for (status, lines, rest, again) in [
        ("1.1 200", length, "ok", true),
        ("1.1 200", chunked, "2\r\nok\r\n0\r\n\r\n", true),
        ("1.1 204", "", "", true),
        ("1.1 304", length, "", true),
        ("1.1 200", "content-length: 2\r\nconnection: close\r\n", "ok", false),
        ("1.1 200", "content-length: 2\r\nconnection: keep-alive\r\nConnection: x, Close\r\n", "ok", false),
        ("1.0 200", length, "ok", false),
        ("1.0 200", "content-length: 2\r\nconnection: Keep-Alive\r\n", "ok", true),
        // Bytes that nobody asked for.
        ("1.1 200", length, "okHTTP/1.1 200 OK\r\n", false),
        ("1.1 204", "", "\r\n", false),
        // Two lengths, one of which would be another answer's beginning (RFC 9112, section 6.3).
        ("1.1 200", "content-length: 2\r\ntransfer-encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n", false),
    ] {
        let answer = format!("HTTP/{status} X\r\n{lines}\r\n{rest}");
        let mut link = link(Script::new([answer.clone().into_bytes()], End::Open));
        within(link.ask(post(1))).await.unwrap();
        body(&mut link).await;
        assert_eq!(link.is_done(), again, "{answer:?}");
    }
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let head = |bytes: usize| {
        let start = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: ";
        format!("{start}{}\r\n\r\n", "y".repeat(bytes - start.len() - 4)).into_bytes()
    };
    for (bytes, is_read) in [(4_096, true), (4_097, false), (100_000, false)] {
        for pieces in [vec![head(bytes)], head(bytes).chunks(1).map(<[u8]>::to_vec).collect()] {
            let answer = within(link(Script::new(pieces, End::Open)).ask(post(1))).await;
            assert_eq!(answer.is_ok(), is_read, "{bytes}");
            if let Err(error) = answer {
                let SendError::Garbage(why) = error.into() else { panic!("it is no garbage") };
                assert!(why.contains("max_answer_head_bytes = 4096"), "{why}");
            }
        }
    }
    // Heads that only announce an answer, however many there are.
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n";
    let room = 4_096 - head(100).len();
    for (hints, is_read) in [(room / hint.len(), true), (room / hint.len() + 1, false), (1_000, false)] {
        let answer = [hint.repeat(hints).into_bytes(), head(100)].concat();
        for pieces in [vec![answer.clone()], answer.chunks(7).map(<[u8]>::to_vec).collect()] {
            let answer = within(link(Script::new(pieces, End::Open)).ask(post(1))).await;
            assert_eq!(answer.is_ok(), is_read, "{hints}");
        }
    }
    // The heads before one answer do not count against the next one.
    let several = format!("{hint}HTTP/1.1 204 X\r\n\r\n").repeat(1_000).into_bytes();
    let mut receiver = Receiver::new(Bounds { lines: 64, bytes: 4_096 });
    receiver.push(several.into());
    for _ in 0..1_000 {
        assert!(receiver.head().unwrap().is_some());
    }
    // Lines among and after chunks.
    for lines in [format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(5_000)), format!("0\r\n{}\r\n\r\n", "x".repeat(5_000))] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{lines}");
        let mut link = link(Script::new([answer.into_bytes()], End::Open));
        within(link.ask(post(1))).await.unwrap();
        let error = loop {
            match within(link.data()).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error.to_string(),
                None => panic!("it was read"),
            }
        };
        assert!(error.contains("max_answer_head_bytes"), "{error}");
    }
}

/// A network whose connections play one script after the other.
struct Scripts {
    scripts: Mutex<Vec<Script>>,
    dialled: AtomicUsize,
}

impl crate::miner::Network for Scripts {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> Connecting<'a> {
        self.dialled.fetch_add(1, Ordering::SeqCst);
        let script = self.scripts.lock().remove(0);
        Box::pin(std::future::ready(Ok(Box::new(script) as Box<dyn Transport>)))
    }
}

/// A request over a connection that ends when it comes: the upstream may have read it, or certainly not.
#[tokio::test]
async fn a_request_over_a_connection_that_ends_is_sent_again_once_with_consent() {
    let first = || Script::new([OK.to_vec()], End::Open);
    let good = || Script::new([OK.to_vec()], End::Open);
    let length = post(3).rest().len();
    for (case, idle, next, consent, asked, ends) in [
        ("it hangs up when it is asked", first().ending_after(length + 1), good(), true, 1, Ok(2)),
        ("it hangs up when it is asked", first().ending_after(length + 1), good(), false, 1, Err(1)),
        ("it takes no byte", first().refusing_after(length), good(), false, 0, Ok(2)),
        ("it ended while it was idle", Script::new([OK.to_vec()], End::Close), good(), false, 0, Ok(2)),
        ("the new one fails, too", first().ending_after(length + 1), Script::new([], End::Close), true, 1, Err(2)),
        ("it says garbage", first().saying_after(length + 1, b"SSH-2.0-OpenSSH\r\n".to_vec()), good(), true, 0, Err(1)),
    ] {
        let network = Arc::new(Scripts { scripts: Mutex::new(vec![idle, next]), dialled: AtomicUsize::new(0) });
        let config = UpstreamConfig::new("http://up/v1");
        let miner = UpstreamMiner::new_in(config, &LimitsConfig::default(), Some(Arc::clone(&network) as _)).unwrap();
        let pool = &miner.shared.pool;
        let (mut link, _) = within(pool.send(post(3), &|| true)).await.unwrap();
        assert_eq!(body(&mut link).await, "ok");
        pool.put(link);
        let asks = AtomicUsize::new(0);
        let again = || {
            asks.fetch_add(1, Ordering::SeqCst);
            consent
        };
        let sent = within(pool.send(post(3), &again)).await;
        let dialled = network.dialled.load(Ordering::SeqCst);
        assert_eq!(sent.map(|_| dialled).map_err(|_| dialled), ends, "{case}, consent: {consent}");
        assert_eq!(asks.load(Ordering::SeqCst), asked, "{case}, consent: {consent}");
    }
}
