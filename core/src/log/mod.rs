//! Lines of the log as records, and the newest of them in memory.

mod record;
mod ring;

pub use record::LogRecord;
pub use ring::LogRing;
pub(crate) use ring::{LogLevel, LogLine};
