//! Several miners together: answers that are compared, losses in mid-stream, races, kinds and reservations.

#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

mod blame;
mod liars;
mod lists;
mod losses;
mod models;
mod nodes;
mod time;
mod verdicts;

use cortensor_router::config::DispatchConfig;
use cortensor_router::model::{MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Config, Router, Submission, SubmitOptions};
use cortensor_router_testkit::miners::say;
use cortensor_router_testkit::streams::{pieces, rest};
use cortensor_router_testkit::{Hand, until, within};

const DEFAULT: SessionId = SessionId(0);

async fn router(dispatch: DispatchConfig) -> Router {
    Router::open(Config::default().dispatch(dispatch)).await.unwrap()
}

async fn submit(router: &Router, request: TaskRequest) -> Submission {
    router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap()
}

fn streamed(prompt: &str) -> TaskRequest {
    TaskRequest::completion(prompt).stream(true)
}
