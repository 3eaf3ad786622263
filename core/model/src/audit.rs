//! The changes that the audit log records.

use crate::word::words;

words! {
    /// A kind of change that the audit log records.
    ActKind in "act" {
        /// A key, or a token that enrols a miner, was made.
        KeyCreated = "key_created",
        /// The limits of a key were changed.
        KeyLimited = "key_limited",
        /// A key, or a token that enrols a miner, was revoked.
        KeyRevoked = "key_revoked",
        /// A miner's own key was enrolled.
        MinerEnrolled = "miner_enrolled",
        /// A miner's own key was revoked.
        MinerRevoked = "miner_revoked",
        /// The record of a miner was deleted.
        MinerForgotten = "miner_forgotten",
        /// A session was closed by a caller with the scope `admin`.
        SessionClosed = "session_closed",
        /// The configuration was read again.
        ConfigReloaded = "config_reloaded",
        /// A managed upstream was added.
        UpstreamAdded = "upstream_added",
        /// A managed upstream was changed, drained or resumed.
        UpstreamChanged = "upstream_changed",
        /// A managed upstream was removed.
        UpstreamRemoved = "upstream_removed",
    }
}
