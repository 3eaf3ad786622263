//! The router's client beside hyper's: both read the same answers, and must see the same.

use bytes::Bytes;
use cortensor_router_testkit::random::Random;
use cortensor_router_testkit::setting;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::answers::{answer, pieces};
use super::script::{End, Script};
use crate::miner::upstream::dial::Stream;
use crate::miner::upstream::head;
use crate::miner::upstream::link::Link;
use crate::miner::upstream::receiver::Bounds;
use crate::miner::upstream::request::Outgoing;

/// The number of answers that are compared, if `ANSWERS` does not say another one.
const ANSWERS: u64 = 10_000;

/// The lines of a head that both clients read.
const LINES: usize = 100;

/// The time after which a client waits for more. The clock of the test stands still while anything can be done.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// An answer as a client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// No head came, and there is an error.
    Nothing,
    /// It waits for the rest of a head.
    WaitsForHead,
    Answer {
        status: u16,
        lines: Vec<(String, Bytes)>,
        body: Bytes,
        end: Ended,
    },
}

/// The end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Whole. `again`: the connection may be used again.
    Whole {
        again: bool,
    },
    Broken,
    Waits,
}

async fn ours(script: Script, bytes: &[u8]) -> Seen {
    let mut link = Link::new(Stream::Given(Box::new(script)), Bounds { lines: LINES, bytes: 400 << 10 });
    let head = match tokio::time::timeout(PATIENCE, link.ask(Outgoing::get(b"GET / HTTP/1.1\r\n"))).await {
        Ok(Ok(head)) => head,
        Ok(Err(_)) => return Seen::Nothing,
        Err(_) => return Seen::WaitsForHead,
    };
    let mut body = Vec::new();
    let end = loop {
        match tokio::time::timeout(PATIENCE, link.data()).await {
            Ok(Some(Ok(data))) => body.extend_from_slice(&data),
            Ok(Some(Err(_))) => break Ended::Broken,
            Ok(None) => break Ended::Whole { again: is_idle(&mut link).await },
            Err(_) => break Ended::Waits,
        }
    };
    Seen::Answer { status: head.status.as_u16(), lines: lines(bytes), body: body.into(), end }
}

async fn is_idle(link: &mut Link) -> bool {
    // A script may pause once before it says how it ends.
    let mut is_quiet = async || std::future::poll_fn(|cx| std::task::Poll::Ready(link.is_quiet(cx))).await;
    let is_quiet = is_quiet().await && is_quiet().await;
    is_quiet && link.is_done()
}

/// The lines of the first head that announces no other one.
fn lines(mut bytes: &[u8]) -> Vec<(String, Bytes)> {
    loop {
        let read = head::with_lines(bytes, LINES, |response| {
            let lines = response.headers.iter();
            let lines = lines
                .map(|line| (line.name.to_ascii_lowercase(), Bytes::from(head::unfolded(line.value).into_owned())));
            Ok((response.code, lines.collect::<Vec<_>>()))
        });
        match read {
            Ok(Some((length, (Some(100..200), _)))) => bytes = &bytes[length..],
            Ok(Some((_, (_, lines)))) => return lines,
            other => panic!("{other:?}"),
        }
    }
}

async fn hypers(script: Script) -> Seen {
    let made = http1::Builder::new()
        .writev(false)
        .max_headers(LINES)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .handshake(TokioIo::new(script))
        .await;
    let (mut sender, connection) = made.unwrap();
    let driver = tokio::spawn(connection);
    let seen = seen_by_hyper(&mut sender).await;
    driver.abort();
    seen
}

async fn seen_by_hyper(sender: &mut http1::SendRequest<Empty<Bytes>>) -> Seen {
    let request = http::Request::new(Empty::new());
    let response = match tokio::time::timeout(PATIENCE, sender.send_request(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => return Seen::Nothing,
        Err(_) => return Seen::WaitsForHead,
    };
    let (head, mut rest) = response.into_parts();
    let mut body = Vec::new();
    let end = loop {
        match tokio::time::timeout(PATIENCE, rest.frame()).await {
            Ok(Some(Ok(frame))) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Ok(Some(Err(_))) => break Ended::Broken,
            Ok(None) => {
                let again = tokio::time::timeout(PATIENCE, sender.ready()).await;
                break Ended::Whole { again: matches!(again, Ok(Ok(()))) };
            }
            Err(_) => break Ended::Waits,
        }
    };
    let lines =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    Seen::Answer { status: head.status.as_u16(), lines: lines.collect(), body: body.into(), end }
}

/// Lines of equal names stay in their order, but their names come in no order.
fn sorted(mut seen: Seen) -> Seen {
    if let Seen::Answer { lines, .. } = &mut seen {
        lines.sort_by(|one, other| one.0.cmp(&other.0));
    }
    seen
}

/// Whether a difference between ours and hyper's is of a kind.
type Rule = fn(&Seen, &Seen) -> bool;

/// The differences that are wanted, each with its rule.
const WANTED: &[(&str, Rule)] = &[
    ("a switch to another protocol is no answer, and nobody asked for one", |ours, hypers| {
        *ours == Seen::Nothing && matches!(hypers, Seen::Answer { status: 101, .. })
    }),
    ("trailers are skipped, so that none of them can break an answer that is whole", |ours, hypers| {
        match (ours, hypers) {
            (
                Seen::Answer { end: Ended::Whole { .. } | Ended::Waits, body, .. },
                Seen::Answer { end: Ended::Broken, body: other, .. },
            ) => body == other,
            _ => false,
        }
    }),
    ("the first bytes of another protocol are enough to know it", |ours, hypers| {
        *ours == Seen::Nothing && *hypers == Seen::WaitsForHead
    }),
    ("a connection is used again after fewer answers", |ours, hypers| {
        let (mut ours, mut hypers) = (ours.clone(), hypers.clone());
        let (Seen::Answer { end: one, .. }, Seen::Answer { end: other, .. }) = (&mut ours, &mut hypers) else {
            return false;
        };
        if (*one, *other) != (Ended::Whole { again: false }, Ended::Whole { again: true }) {
            return false;
        }
        *one = *other;
        ours == hypers
    }),
];

#[tokio::test(start_paused = true)]
async fn both_clients_see_the_same_in_ten_thousand_answers() {
    let mut counts = vec![0; WANTED.len()];
    let (mut whole, mut nothing, mut unwanted) = (0, 0, Vec::new());
    for number in 0..setting("ANSWERS").unwrap_or(ANSWERS) {
        let mut chance = Random::new(number);
        let bytes = answer(&mut chance);
        let end = [End::Close, End::Close, End::Open, End::Break][chance.below(4) as usize];
        let (pieces, pauses) = (pieces(&mut chance, &bytes), chance.chance(30));
        let script = || {
            let script = Script::new(pieces.clone(), end);
            if pauses { script.pausing() } else { script }
        };
        let (ours, hypers) = (sorted(ours(script(), &bytes).await), sorted(hypers(script()).await));
        match &ours {
            Seen::Answer { end: Ended::Whole { .. }, .. } => whole += 1,
            Seen::Nothing => nothing += 1,
            _ => {}
        }
        if ours == hypers {
            continue;
        }
        match WANTED.iter().position(|(_, is_it)| is_it(&ours, &hypers)) {
            Some(which) => counts[which] += 1,
            None => unwanted.push(format!(
                "answer {number}, {end:?}, pauses: {pauses}, pieces: {}, {:?}\nours    {ours:?}\nhyper's {hypers:?}",
                pieces.len(),
                bytes.escape_ascii().to_string()
            )),
        }
    }
    let some = unwanted.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n\n");
    assert!(unwanted.is_empty(), "{} differences, such as:\n{some}", unwanted.len());
    println!("{whole} whole answers, {nothing} without a head; wanted differences: {counts:?}");
    assert!(whole > 2_000 && nothing > 200, "the answers are too much of one kind: {whole}, {nothing}");
    assert!(counts.iter().all(|count| *count > 0), "a difference that never comes needs no rule: {counts:?}");
}
