//! Checks that must hold for the engine after every event. The simulator runs them after each event.

use super::Engine;

impl Engine {
    /// Checks that the state of each part is consistent, also with the state of other parts.
    ///
    /// # Errors
    /// A text that says what is inconsistent.
    pub fn check(&self) -> Result<(), String> {
        self.tasks.check(&self.fleet)?;
        self.trust.check(|identity| self.fleet.by_identity(identity).is_some())?;
        let queued = self.tasks.iter().filter(|(_, task)| task.is_queued());
        let waiting = queued.filter_map(|(_, task)| Some((task.place(), task.load()?)));
        self.line.check(waiting, self.sessions.waiting_weight())?;
        self.fleet.check(|fence| self.tasks.owner(fence).is_some())?;
        self.sessions.check(self.tasks.iter().map(|(_, task)| task), &self.fleet)
    }
}
