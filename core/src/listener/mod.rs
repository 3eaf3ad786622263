//! The HTTP listener: Cortensor's REST API under `/api`, OpenAI's under `/v1`, and the pages that operators need.
//!
//! ```no_run
//! # async fn serve() -> cortensor_router::Result<()> {
//! use cortensor_router::{Config, Router, listener::Listener};
//! let router = Router::open(Config::default().echo(true)).await?;
//! let listener = Listener::bind(router.clone(), router.config().listen.clone()).await?;
//! println!("http://{}", listener.local_addr());
//! listener.run(std::future::pending()).await
//! # }
//! ```

mod access;
mod alarm;
mod answer;
mod audit;
mod auth;
mod bodies;
mod body;
mod closing;
mod connection;
mod console;
mod cortensor;
mod credentials;
mod cut;
mod door;
mod enrolments;
mod events;
mod extract;
mod fast_path;
mod feed;
mod form;
mod gate;
mod handler;
mod heads;
mod health;
mod intake;
mod keys;
mod limits;
mod locality;
mod logs;
mod machine;
mod marks;
#[cfg(feature = "mcp")]
mod mcp;
mod messages;
mod miners;
mod native;
mod openai;
mod openapi;
mod passed;
mod paths;
mod peer;
mod presence;
mod recall;
mod refusal;
mod reload;
mod reply;
mod request_id;
mod responses;
mod server;
mod sse;
mod stall;
mod state;
mod stop;
mod streams;
mod tls;
mod traffic;
mod trials;
mod upstreams;
mod usage;
mod watch;
mod webhooks;
mod whoami;
mod wire;
mod workers;
mod written;

pub use axum::body::Body;
#[cfg(feature = "embed")]
pub(crate) use bodies::options as request_options;
pub use handler::Handler;
#[doc(hidden)]
pub use native::{Judged, judge};
#[cfg(feature = "embed")]
pub(crate) use openai::EmbeddingCounts;
#[doc(hidden)]
#[cfg(feature = "embed")]
pub(crate) use openapi::endpoints;
pub use openapi::openapi_file;
pub use openapi::openapi_json;
pub use server::Listener;
#[doc(hidden)]
pub use streams::Streams;
pub use tls::Certificates;

use utoipa_axum::router::OpenApiRouter;

use state::AppState;

/// Every route with its description. A route cannot exist without one.
fn routes() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::with_openapi(openapi::head())
        .merge(cortensor::routes())
        .merge(openai::routes())
        .merge(passed::routes())
        .merge(messages::routes())
        .merge(responses::routes())
        .merge(keys::routes())
        .merge(usage::routes())
        .merge(audit::routes())
        .merge(reload::routes())
        .merge(upstreams::routes())
        .merge(webhooks::routes())
        .merge(enrolments::routes())
        .merge(health::routes())
        .merge(miners::routes())
        .merge(whoami::routes())
        .merge(events::routes())
        .merge(logs::routes())
        .merge(console::routes())
        .merge(openapi::routes());
    #[cfg(feature = "mcp")]
    let routes = routes.merge(mcp::routes());
    routes
}
