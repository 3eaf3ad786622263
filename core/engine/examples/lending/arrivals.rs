//! The tasks that come. They are the same for every number of engines, because nothing else draws from their source.

use cortensor_router_model::SessionId;

use crate::plan::{Plan, SERVICE, SESSIONS, SLOTS, START};
use crate::random::Random;

/// A task that comes.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The router to which it comes.
    pub(crate) router: usize,
    pub(crate) session: SessionId,
    pub(crate) prefix: Box<[u64]>,
}

/// The tasks to come.
pub(crate) struct Arrivals {
    random: Random,
    /// The time at which the next task comes.
    next: f64,
    /// The average time between two tasks.
    gap: f64,
    /// The routers' weights.
    weights: Vec<f64>,
}

impl Arrivals {
    /// A third of the tasks comes to a tenth of the routers.
    pub(crate) fn new(plan: &Plan) -> Self {
        let busy = plan.busy();
        let weight = |at: usize| {
            if at < busy { 1.0 / 3.0 / busy as f64 } else { 2.0 / 3.0 / (plan.routers - busy).max(1) as f64 }
        };
        let rate = plan.miners as f64 * f64::from(SLOTS) / SERVICE * plan.load;
        Self {
            random: Random::new(plan.seed),
            next: START as f64,
            gap: 1.0 / rate,
            weights: (0..plan.routers).map(weight).collect(),
        }
    }

    /// The next task, if it comes before that time.
    pub(crate) fn before(&mut self, until: f64) -> Option<Arrival> {
        if self.next >= until {
            return None;
        }
        let (mut left, mut router) = (self.random.draw(), 0);
        while router + 1 < self.weights.len() && left >= self.weights[router] {
            left -= self.weights[router];
            router += 1;
        }
        let session = SessionId(router as u64 * SESSIONS + (self.random.draw() * SESSIONS as f64) as u64);
        let prefix = (0..4).map(|_| (self.random.draw() * 1e18) as u64).collect();
        self.next += self.random.exponential(self.gap);
        Some(Arrival { router, session, prefix })
    }

    /// The time at which the next task comes.
    pub(crate) fn next(&self) -> f64 {
        self.next
    }
}
