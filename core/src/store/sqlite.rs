//! Tasks in a file.
/// Keeps everything in a file.
pub struct SqliteStore;
/// x
pub struct Integrity;
/// x
pub fn check_integrity() {}
