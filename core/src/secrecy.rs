//! The filter that keeps secrets out of logs.

use tracing::{Level, Metadata};

/// Whether a line may be logged. Libraries write whole frames and request heads at the level `trace`, and these contain
/// tokens.
pub fn logs_no_secret(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || metadata.target().starts_with("cortensor_router")
}
