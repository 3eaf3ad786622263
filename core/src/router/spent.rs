//! The tokens that a key has used up.

use crate::model::Day;

/// The tokens that a key has used up on a day and in its month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// The last day on which something was counted.
    pub(crate) on: Day,
    pub(crate) day: u64,
    pub(crate) month: u64,
}

impl Spent {
    /// Begins a new day, if it is one.
    pub(crate) fn turn(&mut self, today: Day) {
        if today <= self.on {
            return;
        }
        self.day = 0;
        if today.first_of_month() != self.on.first_of_month() {
            self.month = 0;
        }
        self.on = today;
    }

    /// Counts tokens.
    pub(crate) fn add(&mut self, tokens: u64, today: Day) {
        self.turn(today);
        self.day = self.day.saturating_add(tokens);
        self.month = self.month.saturating_add(tokens);
    }
}
