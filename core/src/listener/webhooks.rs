//! The route of the messages that wait for their webhooks, for administrators.

use axum::Extension;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::cortensor::query;
use super::cortensor::schema::WebhookSelection;
use super::extract::InQuery;
use super::openapi::ReadFailures;
use super::reply::{Failed, Json};
use super::state::AppState;
use crate::model::page_rows;
use crate::router::WaitingMessage;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The messages that wait for their webhooks.
#[derive(Serialize, ToSchema)]
struct WebhookPage {
    /// The number of all that wait.
    count: usize,
    /// Those whose next try comes first.
    webhooks: Vec<WaitingMessage>,
}

/// Lists the messages that wait for their webhooks
///
/// A message is sent when its task has ended, and again until its receiver has taken it or the router gives up. The list
/// shows those that are not done, the one that is due next first. It shows neither secrets nor the queries of URLs. In a
/// fleet each router lists the messages that it sends itself. The task tells the fate of a message that is done.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    tag = "Webhooks",
    params(WebhookSelection),
    responses((status = 200, description = "The messages that wait.", body = WebhookPage), ReadFailures)
)]
async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InQuery(asked): InQuery<WebhookSelection>,
) -> Result<Json<WebhookPage>, Failed> {
    caller.administers()?;
    let most = page_rows(query::number("limit", &asked.limit)?, state.config.max_page_rows)?;
    let (count, webhooks) = state.router.waiting_messages(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(Json(WebhookPage { count, webhooks }))
}
