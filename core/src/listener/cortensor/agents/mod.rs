//! Cortensor's routes for agents: delegate, validate and factcheck, for callers with a token and for trials, and the
//! card that tells agents of them.
//!
//! [`crate::model::agents`] translates requests and answers. Here an order becomes tasks over the same intake as a
//! completion's. [`delegate::delegate`] and [`validate::validate`] do it for any edge: they take an
//! [`Asker`](asker::Asker) and a body and give the [`Work`](work::Work), whose `answer` waits for the tasks and gives the
//! answer as JSON.

pub(in crate::listener) mod asker;
mod card;
pub(in crate::listener) mod delegate;
mod outcome;
mod schema;
mod trial;
pub(in crate::listener) mod validate;
pub(in crate::listener) mod work;

use utoipa_axum::router::OpenApiRouter;

use crate::listener::state::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(delegate::routes())
        .merge(validate::routes())
        .merge(trial::routes())
        .merge(card::routes())
}
