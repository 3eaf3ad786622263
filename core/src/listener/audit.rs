//! The route of the audit log, for administrators.

use axum::Extension;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::cortensor::query;
use super::cortensor::schema::AuditSelection;
use super::extract::InQuery;
use super::openapi::ReadFailures;
use super::reply::{Failed, Json};
use super::state::AppState;
use crate::model::page_rows;
use crate::store::{AuditEntry, AuditQuery};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
struct AuditLog {
    /// The number of entries on all pages.
    count: u64,
    /// The entries of this page, oldest first.
    audit: Vec<AuditEntry>,
    /// The numbers of entries of this page whose rows in the store are damaged; missing if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    corrupt: Vec<u64>,
}

/// The audit log
///
/// Shows who made, changed and revoked keys, enrolled and revoked miners, and closed sessions, and when. Each entry is
/// written in one transaction with the change itself. Without `after` this is the newest page. The log is bounded by
/// `retention.audit_days` and `retention.max_audit_rows`.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "Audit",
    params(AuditSelection),
    responses((status = 200, description = "A page of it.", body = AuditLog), ReadFailures)
)]
async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InQuery(asked): InQuery<AuditSelection>,
) -> Result<Json<AuditLog>, Failed> {
    caller.administers()?;
    let wanted = AuditQuery {
        act: if asked.act.is_empty() { None } else { Some(asked.act.parse()?) },
        after: query::number("after", &asked.after)?,
        limit: page_rows(query::number("limit", &asked.limit)?, state.config.max_page_rows)?,
    };
    let page = state.router.audit(wanted).await?;
    Ok(Json(AuditLog { count: page.total, audit: page.entries, corrupt: page.corrupt }))
}
