//! Remembers the caller of a connection's requests, so that a head which tells the same is not examined again. A client
//! sends the same credentials with every request of a connection.
//!
//! The decision about a caller follows from the names of all headers, from the values of a few, from the peer, from the
//! keys of the store and from the time. A remembered decision counts only while all of these are the same: a revoked key
//! or one that has expired is refused at once.

use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use super::auth::{Auth, Caller, Era};
use super::locality::Visit;
use crate::Result;

/// The headers whose values are secrets.
const SECRETS: [&str; 3] = ["authorization", "x-api-key", "api-key"];

/// The other headers whose values count. Of all others the names alone do.
const VALUES: [&str; 3] = ["host", "origin", "sec-fetch-site"];

/// The maximum number of headers of a head that is remembered. Clients send about a dozen.
const MOST_LINES: usize = 64;

/// The memory of one connection.
#[derive(Default)]
pub(in crate::listener) struct Recall(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Fresh,
    /// One request was examined. Many connections carry no second one, so the first is not remembered.
    Used,
    Known(Box<Remembered>),
}

/// A decision, and everything that it follows from.
struct Remembered {
    caller: Caller,
    /// The era in which it was made.
    era: Era,
    lines: Vec<Line>,
}

/// A header of the remembered head.
struct Line {
    name: HeaderName,
    value: Option<HeaderValue>,
    is_secret: bool,
}

impl Recall {
    /// Finds the caller of a request, as [`Auth::caller`] does. Every request must have come on one connection.
    ///
    /// # Errors
    /// Those of [`Auth::caller`].
    pub(in crate::listener) fn caller(&self, auth: &Auth, visit: &Visit<'_>, now_secs: u64) -> Result<Caller> {
        let era = auth.era();
        let mut state = self.0.lock();
        if let State::Known(known) = &*state
            && known.is_about(visit, era, now_secs)
        {
            return Ok(known.caller.clone());
        }
        let caller = auth.caller(visit, now_secs)?;
        *state = match &*state {
            State::Fresh => State::Used,
            _ if visit.uri.authority().is_some() || visit.headers.len() > MOST_LINES => State::Used,
            _ => State::Known(Box::new(Remembered::new(caller.clone(), visit, era))),
        };
        Ok(caller)
    }
}

impl Remembered {
    fn new(caller: Caller, visit: &Visit<'_>, era: Era) -> Self {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            let is_secret = SECRETS.contains(&name.as_str());
            let counts = is_secret || VALUES.contains(&name.as_str());
            // The bytes are copied, because they are a slice of the connection's read buffer.
            let value = counts.then(|| HeaderValue::from_bytes(value.as_bytes()).ok()).flatten();
            Line { name: name.clone(), value, is_secret }
        };
        Self { caller, era, lines: visit.headers.iter().map(line).collect() }
    }

    /// Whether the decision about this request would be the same.
    fn is_about(&self, visit: &Visit<'_>, era: Era, now_secs: u64) -> bool {
        self.era == era
            && !self.caller.has_expired(now_secs)
            && visit.uri.authority().is_none()
            && visit.headers.len() == self.lines.len()
            && visit.headers.iter().zip(&self.lines).all(|((name, value), line)| *name == line.name && line.has(value))
    }
}

impl Line {
    fn has(&self, value: &HeaderValue) -> bool {
        match &self.value {
            None => true,
            Some(own) if self.is_secret => is_same_secret(own.as_bytes(), value.as_bytes()),
            Some(own) => own == value,
        }
    }
}

/// Compares two secrets of equal length, or texts with secrets in them, in a time that does not depend on where they differ: a proxy may send the
/// requests of several clients over one connection.
pub(super) fn is_same_secret(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other));
    one.len() == other.len() && bool::from(difference.ct_eq(&0))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::num::NonZeroU64;

    use http::{HeaderMap, Uri};
    use proptest::prelude::*;

    use super::*;
    use crate::model::Scope;
    use crate::token::KeySpec;
    use crate::{Config, Router};

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn head(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn id(recall: &Recall, auth: &Auth, headers: &HeaderMap, now_secs: u64) -> Result<String, String> {
        let uri = Uri::from_static("/v1/models");
        let visit = Visit { peer: PEER, uri: &uri, headers };
        recall.caller(auth, &visit, now_secs).map(|caller| caller.id().to_owned()).map_err(|e| e.code().to_owned())
    }

    fn is_known(recall: &Recall) -> bool {
        matches!(&*recall.0.lock(), State::Known(_))
    }

    #[tokio::test]
    async fn a_key_that_ends_is_refused_at_once() {
        let router = Router::open(Config::default()).await.unwrap();
        let auth = Auth::new(&router, &router.config().listen.clone()).unwrap();
        let (now, ttl) = (crate::model::Timestamp::wall_clock().as_secs(), NonZeroU64::new(60));
        let spec = |ttl_secs| KeySpec { scopes: vec![Scope::Read], ttl_secs, ..KeySpec::new("reader") };
        for ttl_secs in [None, ttl] {
            let made = router.create_key(&spec(ttl_secs)).await.unwrap();
            let headers = head(&[("host", "localhost"), ("x-api-key", &made.token.reveal()), ("accept", "a")]);
            let recall = Recall::default();
            for _ in 0..3 {
                assert_eq!(id(&recall, &auth, &headers, now).as_deref(), Ok(made.key.id.as_str()));
            }
            assert!(is_known(&recall));
            let later = id(&recall, &auth, &headers, now + 3_600);
            assert_eq!(later.is_err(), ttl_secs.is_some(), "{later:?}");
            assert_eq!(id(&recall, &auth, &headers, now).as_deref(), Ok(made.key.id.as_str()));
            assert!(router.delete_key(&made.key.id).await.unwrap());
            assert_eq!(id(&recall, &auth, &headers, now).unwrap_err(), "unauthorized");
        }
        router.close().await;
    }

    #[tokio::test]
    async fn the_development_token_ends_with_the_first_admin() {
        let router = Router::open(Config::default()).await.unwrap();
        let auth = Auth::new(&router, &router.config().listen.clone()).unwrap();
        let (recall, headers) = (Recall::default(), head(&[("authorization", "Bearer default-dev-token")]));
        for _ in 0..3 {
            assert_eq!(id(&recall, &auth, &headers, 1).as_deref(), Ok("dev"));
        }
        let admin = KeySpec { scopes: vec![Scope::Admin], ..KeySpec::new("admin") };
        router.create_key(&admin).await.unwrap();
        assert_eq!(id(&recall, &auth, &headers, 1).unwrap_err(), "dev_token_refused");
        router.close().await;
    }

    #[test]
    fn a_secret_is_compared_as_a_whole() {
        assert!(is_same_secret(b"", b"") && is_same_secret(b"abc", b"abc"));
        for other in [&b""[..], b"ab", b"abd", b"bbc", b"abcd"] {
            assert!(!is_same_secret(b"abc", other), "{other:?}");
        }
    }

    proptest! {
        /// Whatever heads come on one connection, the answer is the one that an examination of the head alone gives.
        #[test]
        fn a_memory_changes_no_answer(
            heads in prop::collection::vec(prop::collection::vec((0..11_usize, 0..4_usize), 0..5), 1..8),
            repeats in 1..4_usize,
        ) {
            const NAMES: [&str; 11] = [
                "authorization", "x-api-key", "api-key", "host", "origin", "sec-fetch-site", "sec-fetch-dest",
                "user-agent", "x-forwarded-for", "accept", "content-length",
            ];
            const VALUES: [&str; 4] = ["Bearer default-dev-token", "default-dev-token", "localhost", "evil.example"];
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let router = Router::open(Config::default()).await.unwrap();
                let auth = Auth::new(&router, &router.config().listen.clone()).unwrap();
                let recall = Recall::default();
                for lines in &heads {
                    let mut headers = HeaderMap::new();
                    for (name, value) in lines {
                        headers.append(NAMES[*name], HeaderValue::from_static(VALUES[*value]));
                    }
                    let wanted = id(&Recall::default(), &auth, &headers, 1);
                    for _ in 0..repeats {
                        prop_assert_eq!(&id(&recall, &auth, &headers, 1), &wanted, "{:?}", headers);
                    }
                }
                router.close().await;
                Ok(())
            })?;
        }
    }
}
