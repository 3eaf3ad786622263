//! The route by which programs and the console watch the router live.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::cortensor::query;
use super::cortensor::schema::EventSelection;
use super::extract::InQuery;
use super::feed;
use super::openapi::{ReadFailures, ServerSentEvent};
use super::reply::{self, Failed};
use super::state::AppState;
use crate::Error;
use crate::model::chat::write_raw_event;
use crate::model::{NodeStatus, Scope, Timestamp};
use crate::router::Totals;

/// The time between two events.
const PERIOD: Duration = Duration::from_secs(1);

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(watch))
}

/// The router at one moment.
#[derive(Serialize, ToSchema)]
#[schema(as = StatusEvent)]
struct StatusEvent {
    /// Milliseconds since the Unix epoch.
    time_ms: u64,
    /// The state, as `GET /api/v1/status` shows it.
    status: NodeStatus,
    /// Counts since the router was opened. Two events and the time between them give rates.
    totals: Totals,
}

/// The router's state, each second
///
/// The data of each event is a `StatusEvent`; the event's name is `status`. The first one comes at once.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "Router",
    params(EventSelection),
    responses((status = 200, description = "The events.", body = ServerSentEvent, content_type = "text/event-stream"), ReadFailures)
)]
async fn watch(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InQuery(asked): InQuery<EventSelection>,
) -> Result<Response, Failed> {
    caller.may(Scope::Read)?;
    let left = query::number("count", &asked.count)?.unwrap_or(u64::MAX);
    if left == 0 {
        return Err(Error::invalid("count", "count must be at least 1; without it the stream goes on").into());
    }
    let mut ticks = interval(PERIOD);
    // A reader that was away is not flooded with what it has missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watched = state.clone();
    let events = stream::unfold((ticks, left), move |(mut ticks, left)| {
        let state = watched.clone();
        async move {
            if left == 0 {
                return None;
            }
            ticks.tick().await;
            Some((event(&state), (ticks, left - 1)))
        }
    });
    Ok(feed::respond(&state, &caller, events)?)
}

fn event(state: &AppState) -> Bytes {
    let status = state.status();
    let event = StatusEvent { time_ms: Timestamp::wall_clock().0, status, totals: state.router.totals() };
    let mut out = Vec::new();
    // The record has no map with keys that are not text.
    write_raw_event("status", reply::written(&event).unwrap_or_default(), &mut out);
    out.into()
}
