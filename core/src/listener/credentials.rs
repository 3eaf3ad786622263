//! Finds the credentials of a request. Programs often send more than one, for example a key of another service beside
//! the right one, or an empty header. Any of them may be valid.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::Token;

/// The number of keys of a request that are looked up in the store.
const MOST_KEYS: usize = 4;

/// A token that the client sent.
#[derive(Clone, Copy)]
pub(in crate::listener) struct Sent<'a> {
    pub(in crate::listener) token: &'a str,
    /// Whether the token came in a header in which the development token is accepted; `api-key` is for secret keys
    /// alone.
    pub(in crate::listener) openly: bool,
}

/// The headers that carry a key without a prefix, each with whether the development token is accepted in it.
static KEYS: [(HeaderName, bool); 2] =
    [(HeaderName::from_static("x-api-key"), true), (HeaderName::from_static("api-key"), false)];

/// All tokens of a request, from any number of headers. A proxy may have joined several lines of one header with
/// commas.
pub(in crate::listener) fn sent(headers: &HeaderMap) -> impl Iterator<Item = Sent<'_>> {
    let bearers = headers.get_all(header::AUTHORIZATION).into_iter().filter_map(text).flat_map(|line| {
        let parts = line.contains(',').then(|| line.split(',')).into_iter().flatten();
        bearer(line).into_iter().chain(parts.filter_map(bearer)).map(|token| Sent { token, openly: true })
    });
    let keys = KEYS.iter().flat_map(|(name, openly)| {
        headers.get_all(name).into_iter().filter_map(text).flat_map(move |line| {
            let parts = line.contains(',').then(|| line.split(',')).into_iter().flatten();
            std::iter::once(line).chain(parts).map(str::trim).map(move |token| Sent { token, openly: *openly })
        })
    });
    bearers.chain(keys).filter(|sent| !sent.token.is_empty())
}

/// The ids of the first few keys of a request, known or not.
pub(in crate::listener) fn key_ids(headers: &HeaderMap) -> Vec<String> {
    sent(headers)
        .filter_map(|sent| Token::parse(sent.token))
        .map(|token| token.id().to_owned())
        .take(MOST_KEYS)
        .collect()
}

/// Whether a request has no credential. An empty header does not count as one.
pub(in crate::listener) fn none(headers: &HeaderMap) -> bool {
    let empty =
        |value: &HeaderValue| text(value).is_some_and(|line| line.is_empty() || line.eq_ignore_ascii_case("bearer"));
    headers.get_all(header::AUTHORIZATION).iter().all(empty)
        && KEYS.iter().all(|(name, _)| headers.get_all(name).iter().all(empty))
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

fn bearer(line: &str) -> Option<&str> {
    let (scheme, token) = line.trim().split_once(char::is_whitespace)?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut out = HeaderMap::new();
        for (name, value) in lines {
            out.append(*name, HeaderValue::from_str(value).unwrap());
        }
        out
    }

    #[test]
    fn every_token_that_is_sent_is_found() {
        for (lines, wanted) in [
            (&[("authorization", "Bearer a")][..], &["a"][..]),
            (&[("authorization", "bEARER\t a ")], &["a"]),
            (&[("authorization", "Basic x"), ("authorization", "Bearer a"), ("x-api-key", "b")], &["a", "b"]),
            (&[("authorization", "Bearer a, Bearer b")], &["a, Bearer b", "a", "b"]),
            (&[("x-api-key", "b, c"), ("api-key", "d")], &["b, c", "b", "c", "d"]),
            (&[("x-api-key", ""), ("authorization", "Bearer "), ("authorization", "")], &[]),
            (&[("authorization", "Token a"), ("authorization", "a")], &[]),
        ] {
            let headers = headers(lines);
            let found: Vec<&str> = sent(&headers).map(|sent| sent.token).collect();
            assert_eq!(found, wanted, "{lines:?}");
        }
    }

    #[test]
    fn an_empty_credential_is_none_and_one_of_another_kind_is_one() {
        assert!(none(&headers(&[])));
        assert!(none(&headers(&[("authorization", "Bearer "), ("x-api-key", " "), ("api-key", "")])));
        assert!(!none(&headers(&[("authorization", "Basic eDp5")])));
        assert!(!none(&headers(&[("x-api-key", "k")])));
    }
}
