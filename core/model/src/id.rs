//! Ids and times. In JSON all of them are plain non-negative integers.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Day;
use crate::hex::hex;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }
    };
}

id!(
    /// A session. Session 0 exists from the start.
    SessionId
);
id!(
    /// A task within its session; counts from `first_task_id`.
    TaskId
);
id!(
    /// A task among all sessions of the router; counts from 1.
    Gid
);
id!(
    /// The number of one attempt, with which a miner shows that it may answer. A fence never repeats, not after a
    /// restart either, so that the router recognises and drops an answer from an attempt that it gave up.
    Fence
);
id!(
    /// Milliseconds since the Unix epoch. 0 is no time: a record in which a time may be absent says `None` instead, and
    /// a store refuses an ended task with a time of 0. The engine only compares and adds; it never reads a clock.
    Timestamp
);

impl Timestamp {
    /// The time that is `millis` milliseconds after this one.
    #[must_use]
    pub fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The time of the system's clock, never 0. Somebody may set that clock back; the router's own time never goes
    /// back.
    #[allow(clippy::disallowed_types, reason = "the one way in for the clock: whoever drives the rules reads it")]
    pub fn wall_clock() -> Self {
        use std::time::{SystemTime, UNIX_EPOCH};
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| (since.as_millis() as u64).max(1)))
    }

    /// The milliseconds from `earlier` to this time; 0 if `earlier` is the later one.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The second in UTC, as `2026-01-31T12:00:00Z` (RFC 3339).
    #[doc(hidden)]
    pub fn rfc3339(self) -> String {
        let second = self.as_secs() % (24 * 3_600);
        format!("{}T{:02}:{:02}:{:02}Z", Day::of(self), second / 3_600, second / 60 % 60, second % 60)
    }

    /// Whole seconds since the Unix epoch, as the REST API has them.
    pub fn as_secs(self) -> u64 {
        self.0 / 1_000
    }
}

/// The address that stands for a name where the REST API wants an Ethereum-like one:
/// `0x` and 40 hexadecimal digits, the same for the same name.
///
/// ```
/// # mod cortensor_router { pub use cortensor_router_model as model; }
/// let address = cortensor_router::model::address_of("echo");
/// assert_eq!(address.len(), 42);
/// ```
pub fn address_of(name: &str) -> String {
    format!("0x{}", hex(&Sha256::digest(name.as_bytes())[..20]))
}
