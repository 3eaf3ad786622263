//! The end of a key, for the work that runs under it: the key is revoked, or it expires.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::model::Timestamp;
use crate::store::ApiKey;

/// The two ends of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyEnd {
    /// An administrator revoked or replaced the key.
    Revoked,
    /// The time of the key is up.
    Expired,
}

/// Waits for the end of one key. A jump of the system's clock does not move the expiry of work that has begun.
pub(crate) struct KeyLife {
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    /// `None` for a key that never expires, so that most requests need no timer.
    expiry: Option<Pin<Box<Sleep>>>,
}

impl KeyLife {
    /// The life of a key from `now` on; `revoked` is cancelled when the key is revoked.
    pub(crate) fn new(key: &ApiKey, revoked: CancellationToken, now: Timestamp) -> Self {
        let left = key.expires_at.map(|end| end.get().saturating_mul(1_000).saturating_sub(now.0));
        Self {
            revoked: Box::pin(revoked.cancelled_owned()),
            expiry: left.map(|left| Box::pin(tokio::time::sleep(Duration::from_millis(left)))),
        }
    }
}

impl Future for KeyLife {
    type Output = KeyEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<KeyEnd> {
        if self.revoked.as_mut().poll(cx).is_ready() {
            return Poll::Ready(KeyEnd::Revoked);
        }
        match &mut self.expiry {
            Some(expiry) => expiry.as_mut().poll(cx).map(|()| KeyEnd::Expired),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use tokio::time::{Instant, timeout};

    use super::*;

    fn key(expires_at: Option<u64>) -> ApiKey {
        ApiKey { expires_at: expires_at.and_then(NonZeroU64::new), ..ApiKey::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_ends_when_it_expires_or_is_revoked_whichever_is_first() {
        let (revoked, now, started) = (CancellationToken::new(), Timestamp(10_250), Instant::now());
        let life = KeyLife::new(&key(Some(12)), revoked.clone(), now);
        assert_eq!(life.await, KeyEnd::Expired);
        let lasted = started.elapsed();
        assert!(lasted >= Duration::from_millis(1_750) && lasted < Duration::from_millis(1_760), "{lasted:?}");

        let mut life = KeyLife::new(&key(Some(12)), revoked.clone(), now);
        assert!(timeout(Duration::from_secs(1), &mut life).await.is_err());
        revoked.cancel();
        assert_eq!(life.await, KeyEnd::Revoked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_without_an_expiry_lives_until_it_is_revoked() {
        let revoked = CancellationToken::new();
        let mut life = KeyLife::new(&key(None), revoked.clone(), Timestamp(10_250));
        assert!(timeout(Duration::from_hours(24 * 365), &mut life).await.is_err());
        revoked.cancel();
        assert_eq!(life.await, KeyEnd::Revoked);
        // An expiry beyond all clocks is no overflow.
        let mut life = KeyLife::new(&key(Some(u64::MAX)), CancellationToken::new(), Timestamp(10_250));
        assert!(timeout(Duration::from_hours(24 * 365), &mut life).await.is_err());
    }
}
