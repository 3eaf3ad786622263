//! The permissions of tokens.

use crate::word::words;

words! {
    /// A permission of a token.
    Scope in "scope" {
        /// To submit tasks, and to make sessions.
        Submit = "submit",
        /// To read sessions and tasks.
        Read = "read",
        /// To do everything, also to make keys.
        Admin = "admin",
        /// To work as a miner.
        Miner = "miner",
        /// To enrol the key of one miner, once.
        Enrol = "enrol",
    }
}
