//! Cortensor's routes for agents: delegate, validate and factcheck, for callers with a token and for trials, and the
//! card that tells agents of them.
//!
//! [`crate::model::agents`] translates requests and answers. Here an order becomes tasks over the same intake as a
//! completion's. [`delegate`], [`validate`] and [`factcheck`] do it for any edge: they take a body and give the
//! [`Work`], whose [`Work::answer`] waits for the tasks and gives the answer as JSON.

mod asker;
mod card;
mod delegate;
mod outcome;
mod schema;
mod trial;
mod validate;
mod work;

use utoipa_axum::router::OpenApiRouter;

use crate::listener::state::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(delegate::routes())
        .merge(validate::routes())
        .merge(trial::routes())
        .merge(card::routes())
}
