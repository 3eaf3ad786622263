//! The spans of a router that a command runs.

use cortensor_router::config::OtelConfig;
use cortensor_router::{Router, RouterBuilder};

use crate::exit::Done;

/// Runs a router, and exports its spans meanwhile if the configuration asks for it.
#[cfg(feature = "otel")]
pub(crate) async fn exported(config: &OtelConfig, run: impl AsyncFnOnce(RouterBuilder) -> Done) -> Done {
    let exporter = crate::otel::Exporter::start(config).map_err(|error| crate::serve::start(&error))?;
    let Some(exporter) = exporter else { return run(Router::builder()).await };
    let done = run(Router::builder().spans(exporter.sink())).await;
    exporter.close().await;
    done
}

/// Runs a router. One without a receiver of spans refuses a configuration that asks for their export.
#[cfg(not(feature = "otel"))]
pub(crate) async fn exported(_: &OtelConfig, run: impl AsyncFnOnce(RouterBuilder) -> Done) -> Done {
    run(Router::builder()).await
}
