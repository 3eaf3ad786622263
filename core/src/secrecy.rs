//! What no log may show.

use tracing::{Level, Metadata};

/// Whether a line may be logged: libraries write whole frames and heads of requests at the level `trace`, and with them
/// tokens.
pub fn logs_no_secret(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || metadata.target().starts_with("cortensor_router")
}
