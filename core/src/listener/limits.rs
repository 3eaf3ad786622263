//! Tells a caller with limits what is left of them, in the headers that OpenAI's SDKs read, and callers of Anthropic's
//! API in those of that API, too.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::messages::rfc3339;
use super::reply::Family;
use crate::Error;
use crate::model::Timestamp;
use crate::router::{Left, Meter};

/// The headers of requests and of tokens: the limit, what is left of it, and when all of it is there again.
type Names = [[HeaderName; 3]; 2];

/// The headers that OpenAI's SDKs read.
static HEADERS: Names = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];

/// The headers that Anthropic's clients read.
static ANTHROPIC: Names = [
    [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
    [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
];

/// All of these headers.
pub(super) fn headers() -> impl Iterator<Item = HeaderName> {
    HEADERS.iter().chain(&ANTHROPIC).flatten().cloned()
}

/// A request that was taken from its caller's limits.
pub(super) struct Limits {
    meter: Arc<Meter>,
    requests: Option<Left>,
}

impl Limits {
    /// Takes a request.
    ///
    /// # Errors
    /// The refusal, with what is to be told beside it.
    pub(super) fn of(meter: &Arc<Meter>) -> Result<Self, (Self, Error)> {
        let (requests, taken) = meter.request();
        let limits = Self { meter: meter.clone(), requests };
        match taken {
            Ok(()) => Ok(limits),
            Err(error) => Err((limits, error)),
        }
    }

    /// Adds what is left to the headers of an answer of that family.
    pub(super) fn tell(self, family: Family, headers: &mut HeaderMap) {
        let left = [self.requests, self.meter.tokens()];
        tell(&HEADERS, left, headers, |left| span(left.reset_ms));
        if family == Family::Anthropic {
            let now = Timestamp::wall_clock();
            // The API has whole seconds. A client that comes at the last one must not come too early.
            tell(&ANTHROPIC, left, headers, |left| rfc3339(now.plus(left.reset_ms).0.div_ceil(1_000)));
        }
    }
}

fn tell(names: &Names, left: [Option<Left>; 2], headers: &mut HeaderMap, reset: impl Fn(Left) -> String) {
    for (names, left) in names.iter().zip(left) {
        let Some(left) = left else { continue };
        let [limit, remaining, at] = names.clone();
        headers.insert(limit, HeaderValue::from(left.limit));
        headers.insert(remaining, HeaderValue::from(left.remaining));
        if let Ok(reset) = HeaderValue::try_from(reset(left)) {
            headers.insert(at, reset);
        }
    }
}

/// A span as OpenAI writes it: `12ms`, `1.5s`, `6m0s`, `1h0m0s`.
fn span(millis: u64) -> String {
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    match seconds {
        0 => format!("{millis}ms"),
        1..60 if rest > 0 => format!("{seconds}.{rest:03}").trim_end_matches('0').to_owned() + "s",
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{}h{}m{}s", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_written_as_openai_writes_them() {
        let spans = [0, 12, 1_000, 1_500, 59_001, 60_000, 361_000, 3_600_000, 90_061_000].map(span);
        assert_eq!(spans, ["0ms", "12ms", "1s", "1.5s", "59.001s", "1m0s", "6m1s", "1h0m0s", "25h1m1s"]);
    }
}
