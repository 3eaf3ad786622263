//! What must hold of the engine after every event. The simulator asks after each one.

use super::Engine;

impl Engine {
    /// Checks the engine against itself: each part checks what it keeps, and what it shares with others.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.tasks.check(&self.fleet)?;
        let queued = self.tasks.iter().filter(|(_, task)| task.in_queue);
        let waiting = queued.filter_map(|(_, task)| Some((task.place, task.load()?)));
        self.line.check(waiting, self.sessions.waiting_weight())?;
        self.fleet.check(|fence| self.tasks.owner(fence).is_some())?;
        self.sessions.check(self.tasks.iter().map(|(_, task)| task), &self.fleet)
    }
}
