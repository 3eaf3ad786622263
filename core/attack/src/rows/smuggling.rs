//! Requests whose ends can be read in two ways, each with a second request behind it.
//!
//! A request that is wrong or ambiguous gets exactly one answer, and then the connection ends: what follows on it is
//! never taken for a request. A request that is right in an unusual form gets its answer, and so does the one behind it.

use std::time::Duration;

use crate::Outcome;
use crate::http::exchange;
use crate::report::Tally;
use crate::target::{ADMIN, Command};

/// The time after which an exchange without a further byte is over.
const QUIET: Duration = Duration::from_millis(700);

/// The fate of the request that hides behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It must not be answered.
    Hidden,
    /// It is answered, because the first request ended where it should.
    Answered,
}

/// The body of the first request, in the chunked coding.
const CHUNKS: &str = "d\r\n{\"prompt\":\"a\"\r\n1\r\n}\r\n0\r\n\r\n";

/// The body with a length of 14.
const PLAIN: &str = "{\"prompt\":\"a\"}";

/// Head lines, a body, and the fate of the request behind it. The lines name no `Host` and no token.
fn cases() -> Vec<(&'static str, String, Then)> {
    use Then::{Answered, Hidden};
    let plain = || PLAIN.to_owned();
    let chunks = || CHUNKS.to_owned();
    vec![
        ("Content-Length: 14\r\n", plain(), Answered),
        ("Content-Length: 14\r\nContent-Length: 14\r\n", plain(), Answered),
        ("Transfer-Encoding: chunked\r\n", chunks(), Answered),
        ("Transfer-Encoding: CHUNKED\r\n", chunks(), Answered),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "d;name=value\r\n{"), Answered),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("0\r\n\r\n", "0\r\nTrailer-Field: x\r\n\r\n"), Answered),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("0\r\n\r\n", "0\r\nContent-Length: 99\r\n\r\n"), Answered),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "0000d\r\n{"), Answered),
        // CL.TE and TE.CL: the chunked coding may win, but the connection must end.
        ("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", chunks(), Hidden),
        ("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", chunks(), Hidden),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunks(), Hidden),
        ("Transfer-Encoding: chunked\r\nContent-Length: 99999\r\n", chunks(), Hidden),
        // TE.TE: codings that a lenient reader takes for chunked.
        ("Transfer-Encoding: xchunked\r\n", chunks(), Hidden),
        ("Transfer-Encoding: chunked, identity\r\n", chunks(), Hidden),
        ("Transfer-Encoding: identity\r\nContent-Length: 14\r\n", plain(), Hidden),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", chunks(), Hidden),
        ("Transfer-Encoding: \"chunked\"\r\n", chunks(), Hidden),
        ("Transfer-Encoding: chunked\u{b}\r\n", chunks(), Hidden),
        ("Transfer-Encoding:\r\n chunked\r\n", chunks(), Hidden),
        ("X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 14\r\n", plain(), Hidden),
        ("Transfer-Encoding : chunked\r\n", chunks(), Hidden),
        (" Transfer-Encoding: chunked\r\n", chunks(), Hidden),
        ("Transfer_Encoding: chunked\r\nContent-Length: 99\r\n", String::new(), Hidden),
        ("Transfer-Encoding: gzip\r\n", chunks(), Hidden),
        // A bare line feed ends a line of the head (RFC 9112, 2.2), and what follows is a line like all others.
        ("Content-Length: 14\nX: y\r\n", plain(), Answered),
        ("X: y\nContent-Length: 14\n", plain(), Answered),
        ("X: y\nTransfer-Encoding: chunked\n", chunks(), Answered),
        ("X: y\nTransfer-Encoding: chunked\r\nContent-Length: 14\r\n", plain(), Hidden),
        ("Transfer-Encoding: chunked\nContent-Length: 6\r\n", chunks(), Hidden),
        ("Content-Length: 6\nTransfer-Encoding: chunked\n", chunks(), Hidden),
        ("Content-Length: 14\nContent-Length: 15\r\n", plain(), Hidden),
        ("Content-Length: 14\n Content-Length: 0\r\n", plain(), Hidden),
        ("Content-Length: 14\rContent-Length: 0\n", plain(), Hidden),
        // Lengths that are none.
        ("Content-Length: 14\r\nContent-Length: 15\r\n", plain(), Hidden),
        ("Content-Length: 14, 15\r\n", plain(), Hidden),
        ("Content-Length: -1\r\n", plain(), Hidden),
        ("Content-Length: +14\r\n", plain(), Hidden),
        ("Content-Length: 0x0e\r\n", plain(), Hidden),
        ("Content-Length: 14x\r\n", plain(), Hidden),
        ("Content-Length: 1 4\r\n", plain(), Hidden),
        ("Content-Length: \r\n", plain(), Hidden),
        ("Content-Length: 14.0\r\n", plain(), Hidden),
        ("Content-Length: 18446744073709551615\r\n", plain(), Hidden),
        ("Content-Length: 18446744073709551630\r\n", plain(), Hidden),
        ("Content-Length: 99999999999999999999999\r\n", plain(), Hidden),
        ("Content-Length : 14\r\n", plain(), Hidden),
        ("Content-Length: 14\r\n Content-Length: 0\r\n", plain(), Hidden),
        ("Content-Length: 14\rX: y\r\n", plain(), Hidden),
        ("Content-Length\0: 14\r\n", plain(), Hidden),
        ("Content-Length: 14\0\r\n", plain(), Hidden),
        // Chunks that are none.
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "-d\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "+d\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "0xd\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "fffffffffffffffff\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "ffffffffffffffff\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "g\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "d\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("d\r\n{", "d;a\nb\r\n{"), Hidden),
        ("Transfer-Encoding: chunked\r\n", CHUNKS.replace("1\r\n}\r\n", "1\r\n}XX\r\n"), Hidden),
    ]
}

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let mut target = command.guarded("echo = true\n")?;
    let mut tally = Tally::default();
    let front = format!(
        "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {ADMIN}\r\n"
    );
    let hidden = "GET /api/v1/hidden HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for (lines, body, then) in cases() {
        let request = format!("{front}{lines}\r\n{body}{hidden}");
        let statuses = statuses(&target, request.as_bytes())?;
        // The hidden request has no token: its answer is 401.
        let good = match then {
            Then::Answered => statuses == [200, 401],
            Then::Hidden => statuses.len() <= 1 && !statuses.contains(&401),
        };
        tally.must(good, || format!("{lines:?} {body:?}: {statuses:?}, but the next is to be {then:?}"));
    }
    // Line ends and request lines.
    for request in [
        format!("GET /healthz\r\n\r\n{hidden}"),
        format!("GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n{hidden}"),
        format!("GET /healthz HTTP/1.1 \r\nHost: localhost\r\n\r\n{hidden}"),
        format!("GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}"),
        format!("GET /healthz\tHTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}"),
        format!("GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}"),
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: b\r\n obs: fold\r\n\r\n{hidden}"),
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nA\r\n\r\n{hidden}"),
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n{hidden}"),
        format!("GET /healthz HTTP/1.1\r\n\r\n{hidden}"),
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{hidden}"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}"),
        format!("\0GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}"),
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: \
         AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: close\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            .to_owned(),
    ] {
        let statuses = statuses(&target, request.as_bytes())?;
        tally.must(statuses.len() <= 1, || format!("{request:?}: {statuses:?}"));
    }
    let honest = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    let all = statuses(&target, format!("{honest}{hidden}").as_bytes())?;
    tally.must(all.len() == 21 && all[..20].iter().all(|status| *status == 200), || {
        format!("a pipeline of 21: {all:?}")
    });
    tally.must(target.is_well(), || "the router is gone".to_owned());
    Ok(tally)
}

fn statuses(target: &crate::target::Target, request: &[u8]) -> Outcome<Vec<u16>> {
    Ok(exchange(target.address, request, QUIET)?.statuses())
}
