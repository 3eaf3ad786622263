//! The HTTP listener: Cortensor's REST API under `/api`, OpenAI's under `/v1`, and the pages that operators need.
//!
//! ```no_run
//! # async fn serve() -> cortensor_router::Result<()> {
//! use cortensor_router::{Config, Router, listener::Listener};
//! let router = Router::open(Config { echo: true, ..Config::default() }).await?;
//! let listener = Listener::bind(router.clone(), router.config().listen.clone()).await?;
//! println!("http://{}", listener.local_addr());
//! listener.run(std::future::pending()).await
//! # }
//! ```

mod auth;
mod body;
mod cortensor;
mod gate;
mod handler;
mod health;
mod keys;
mod machine;
mod miners;
mod openai;
mod openapi;
mod reference;
mod reply;
mod revocation;
mod server;
mod sse;
mod stall;
mod state;
mod traffic;

pub use axum::body::Body;
pub use handler::Handler;
pub use openapi::{openapi_json, rest_reference};
pub use server::Listener;
