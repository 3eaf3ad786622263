//! Tells a caller with limits what is left of them, in the headers that OpenAI's SDKs read.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;
use crate::router::{Left, Meter};

/// The headers of requests and of tokens: the limit, what is left of it, and when all of it is there again.
pub(super) static HEADERS: [[HeaderName; 3]; 2] = [
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

    /// Adds what is left to the headers of an answer.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        for (names, left) in HEADERS.iter().zip([self.requests, self.meter.tokens()]) {
            let Some(left) = left else { continue };
            let [limit, remaining, reset] = names.clone();
            headers.insert(limit, HeaderValue::from(left.limit));
            headers.insert(remaining, HeaderValue::from(left.remaining));
            if let Ok(span) = HeaderValue::try_from(span(left.reset_ms)) {
                headers.insert(reset, span);
            }
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
