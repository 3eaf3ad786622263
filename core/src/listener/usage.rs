//! The route that tells what was used.

use axum::Extension;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::cortensor::query;
use super::cortensor::schema::UsageSelection;
use super::extract::InQuery;
use super::openapi::ReadFailures;
use super::reply::{Failed, Json};
use super::state::AppState;
use crate::model::{Day, Scope, SessionId, absent, page_rows};
use crate::store::{UsageBy, UsageCounts, UsageQuery};
use crate::{Error, Result};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The usage of one part.
#[derive(Serialize, ToSchema)]
struct UsagePart {
    /// The part: a day, a key's id, a model, a session's number or a miner's address. Empty: the tasks have none.
    /// `other`: tasks whose day had no row left (`retention.max_usage_rows`).
    name: String,
    #[serde(flatten)]
    counts: UsageCounts,
    /// The sum of the tokens of prompts and answers.
    total_tokens: u64,
}

/// Usage, by parts.
#[derive(Serialize, ToSchema)]
struct UsageReport {
    /// The parts by which usage is told apart: `day`, `key`, `model`, `session` or `miner`.
    by: &'static str,
    /// The first day.
    #[schema(value_type = String)]
    from: Day,
    /// The last day.
    #[schema(value_type = String)]
    to: Day,
    /// The number of parts on all pages.
    count: u64,
    /// The parts of this page, in order.
    usage: Vec<UsagePart>,
}

/// Shows the usage
///
/// Each task counts once, on the day in UTC on which it ended, also after it was deleted itself. A token with the scope
/// `admin` that is not limited to sessions sees everything; another one sees the tasks of its own key and of its
/// sessions.
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
    let today = state.router.today();
    let to = day("to", &asked.to)?.unwrap_or(today);
    let from = day("from", &asked.from)?.unwrap_or_else(|| to.min(today).first_of_month());
    if from > to {
        return Err(Error::invalid("from", format!("from is {from}, and that is after to, which is {to}")).into());
    }
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
    let by = asks.by.as_str();
    let (parts, count) = state.router.usage(asks).await?;
    let usage = parts
        .into_iter()
        .map(|part| UsagePart { name: part.name, total_tokens: part.counts.tokens(), counts: part.counts })
        .collect();
    Ok(Json(UsageReport { by, from, to, count, usage }))
}

fn day(name: &str, text: &str) -> Result<Option<Day>> {
    let wrong = |error: Error| Error::invalid(name, error.message());
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}
