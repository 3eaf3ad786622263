//! The route that tells what was used.

use axum::Extension;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::cortensor::query;
use super::cortensor::schema::UsageSelection;
use super::extract::InQuery;
use super::openapi::ReadFailures;
use super::reply::{Failed, Json};
use super::state::AppState;
use crate::UsageReport;
use crate::model::{Scope, SessionId, absent, page_rows};
use crate::store::{UsageBy, UsageQuery};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Shows the usage
///
/// Each task counts once, on the day in UTC on which it ended, also after it was deleted itself. A token with the scope
/// `admin` that is not limited to sessions sees everything; another one sees the tasks of its own key and of its
/// sessions. The cost is computed from the prices of the configuration as they are now.
#[utoipa::path(
    get,
    path = "/api/v1/usage",
    tag = "Usage",
    params(UsageSelection),
    responses((status = 200, description = "The usage.", body = UsageReport), ReadFailures)
)]
async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InQuery(asked): InQuery<UsageSelection>,
) -> Result<Json<UsageReport>, Failed> {
    caller.may(Scope::Read)?;
    let (from, to) = state.router.days(&asked.from, &asked.to)?;
    let sees_all = caller.administers().is_ok();
    let asks = UsageQuery {
        by: if asked.by.is_empty() { UsageBy::default() } else { asked.by.parse()? },
        from,
        to,
        key_id: absent::text::of(asked.key),
        session: query::number("session", &asked.session)?.map(SessionId),
        model: absent::text::of(asked.model),
        miner: absent::text::of(asked.miner),
        visible: (!sees_all).then(|| (caller.id().to_owned(), caller.sessions().to_vec())),
        offset: query::number("offset", &asked.offset)?.unwrap_or(0),
        limit: page_rows(query::number("limit", &asked.limit)?, state.config.max_page_rows)?,
    };
    Ok(Json(state.router.usage(asks).await?))
}
