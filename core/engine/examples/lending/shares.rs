//! The shares of sessions, and how far they are from those that one queue for all gives.

use std::collections::HashMap;

use cortensor_router_model::SessionId;

use crate::plan::{Plan, SESSIONS};
use crate::world::World;

/// How far shares are from those of one queue, as parts of these.
#[derive(Debug)]
pub(crate) struct Unfairness {
    /// The largest difference of a session.
    pub(crate) session: f64,
    /// The difference of the sessions at busy routers together.
    pub(crate) busy: f64,
    /// The number of tasks that one session began on average, which bounds how finely the figures tell shares apart.
    pub(crate) tasks: f64,
    /// The tasks that one session at a busy router began for each one of a session elsewhere.
    pub(crate) ratio: f64,
}

/// The tasks of each session that began, as shares of all.
fn shares(began: &HashMap<SessionId, u64>, plan: &Plan) -> Vec<f64> {
    let of = |session| began.get(&SessionId(session)).copied().unwrap_or_default() as f64;
    let all: f64 = (0..plan.sessions()).map(of).sum();
    (0..plan.sessions()).map(|session| of(session) / all.max(1.0)).collect()
}

impl Unfairness {
    /// Compares a world in which all sessions had work with one that has the same tasks and one queue.
    pub(crate) fn between(world: &World, central: &World) -> Self {
        let plan = &world.plan;
        let (shared, one) = (shares(&world.began, plan), shares(&central.began, plan));
        let error = |here: f64, there: f64| (here / there - 1.0).abs();
        let busy = (plan.busy() as u64 * SESSIONS) as usize;
        let sum = |shares: &[f64]| shares[..busy].iter().sum::<f64>();
        let others = (plan.sessions() as usize - busy).max(1) as f64;
        Self {
            session: shared.iter().zip(&one).map(|(here, there)| error(*here, *there)).fold(0.0, f64::max),
            busy: error(sum(&shared), sum(&one)),
            tasks: world.began.values().sum::<u64>() as f64 / plan.sessions() as f64,
            ratio: sum(&shared) / busy as f64 / ((1.0 - sum(&shared)) / others),
        }
    }
}
