//! The tasks of an order: they are submitted together, run at the same time, and end together. Dropping the work cancels
//! all of them.

use std::sync::Arc;

use futures_util::future::join_all;

use super::asker::Asker;
use super::outcome::{Form, Outcome};
use crate::listener::cortensor::query;
use crate::listener::state::AppState;
use crate::listener::{access, request_id};
use crate::model::agents::{Order, Replicas};
use crate::model::{Completion, SessionId};
use crate::router::Wish;
use crate::{Result, Submission};

/// The tasks of an order, and the form of their common answer.
pub(in crate::listener) struct Work {
    /// At least one of them was taken in.
    tasks: Vec<Result<Submission>>,
    form: Form,
}

/// A task that has ended.
pub(super) struct Ended {
    pub(super) submission: Option<Submission>,
    pub(super) done: Result<Arc<Completion>>,
}

impl Work {
    /// Submits the tasks of an order. `validates`: the order is that of a validation.
    ///
    /// # Errors
    /// The refusal, if none of the tasks was taken in, or a request that is wrong.
    pub(super) async fn begin(
        state: &AppState,
        asker: &Asker<'_>,
        order: Order,
        validates: bool,
        form: impl FnOnce(&Order) -> Form,
    ) -> Result<Self> {
        let form = form(&order);
        let own = order.session.as_deref().map(query::session_in_body).transpose()?.flatten();
        let own = || own.as_ref().map_or(Wish::Any, |name| Wish::Named(name.as_str().into()));
        let pool = order.replicas.as_ref().map_or_else(Vec::new, |replicas| {
            let named = replicas.pool.iter().map(|name| Wish::Named(name.as_str().into())).collect::<Vec<_>>();
            match (named.is_empty(), &order.session) {
                (true, None) => configured(state, asker, validates, replicas.count),
                _ => named,
            }
        });
        let order = ruled(&order, !pool.is_empty(), validates);
        let wishes = if pool.is_empty() { vec![own()] } else { pool };
        for wish in &wishes {
            state.router.learn_session(wish).await?;
        }
        // All requests are checked before the first is submitted, so that one that is wrong starts no work.
        let checked = wishes
            .into_iter()
            .enumerate()
            .map(|(replica, wish)| state.router.check(asker.intake(wish, order.clone(), replica)))
            .collect::<Result<Vec<_>>>()?;
        let tasks = join_all(checked.into_iter().map(|one| state.router.enter(one))).await;
        let Some(first) = tasks.iter().find_map(|task| task.as_ref().ok()) else {
            return Err(tasks.into_iter().find_map(Result::err).unwrap_or_else(|| crate::Error::internal("no task")));
        };
        access::about(first);
        Ok(Self { tasks, form })
    }

    /// The task that names the answer.
    pub(in crate::listener) fn task(&self) -> Option<request_id::Task> {
        self.tasks.iter().find_map(|task| task.as_ref().ok()).map(request_id::Task::from)
    }

    /// Waits for the end of all tasks, and gives the answer as JSON.
    ///
    /// # Errors
    /// The error of the first task if all failed; `Conflict` if the replicas do not agree and the caller wants that to
    /// fail.
    pub(in crate::listener) async fn answer(self) -> Result<Vec<u8>> {
        let Self { tasks, form } = self;
        let ended = tasks.into_iter().map(|task| async {
            match task {
                Ok(submission) => Ended { done: submission.shared_result().await, submission: Some(submission) },
                Err(error) => Ended { submission: None, done: Err(error) },
            }
        });
        Outcome::of(join_all(ended).await)?.answer(form).await
    }
}

/// The configured sessions of that many replicas, if the caller may use all of them.
fn configured(state: &AppState, asker: &Asker<'_>, validates: bool, replicas: u32) -> Vec<Wish<'static>> {
    let settings = state.router.settings();
    let pool = settings.agents.pool(validates, replicas);
    let pool = pool.iter().take(replicas as usize).map(|id| SessionId(*id));
    if pool.clone().any(|session| asker.caller().sees(session).is_err()) {
        return Vec::new();
    }
    pool.map(Wish::Exactly).collect()
}

/// The request of each task. In one session that many miners answer; in several sessions one miner answers in each.
fn ruled(order: &Order, is_spread: bool, validates: bool) -> crate::model::TaskRequest {
    let mut rules = order.rules.clone();
    if let Some(Replicas { count, strategy, .. }) = &order.replicas {
        rules.miners = Some(if is_spread { 1 } else { *count });
        if !validates {
            rules.validation = strategy.validation();
        }
    }
    rules.over(order.chat.clone())
}
