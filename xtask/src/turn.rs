//! Checks that take turns: each compiles or runs for long, and a change seldom breaks one of them alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_hours(24);

/// The checks of a run, out of several that take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// All of them.
    All,
    /// Those of a day, counted from 1970 on.
    Day(u64),
}

impl Turn {
    /// The turn of this day in UTC. A variable of the environment, `CORTENSOR_EVERY_TURN`, asks for all.
    pub(crate) fn today() -> Self {
        if std::env::var_os("CORTENSOR_EVERY_TURN").is_some() {
            return Self::All;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::Day(since.as_secs() / DAY.as_secs())
    }

    /// The one of these checks whose day it is, or all.
    pub(crate) fn of<T>(self, checks: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>) -> Vec<T> {
        let checks = checks.into_iter();
        let count = checks.len();
        checks.enumerate().filter(|(index, _)| self.has(*index, count)).map(|(_, check)| check).collect()
    }

    /// Whether the check with this index, of as many as take turns, runs.
    pub(crate) fn has(self, index: usize, of: usize) -> bool {
        match self {
            Self::All => true,
            Self::Day(day) => day % of.max(1) as u64 == (index % of.max(1)) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_its_day_and_all_have_one() {
        let checks = ["a", "b", "c", "d"];
        let days: Vec<_> = (20_000..20_004).flat_map(|day| Turn::Day(day).of(checks)).collect();
        assert_eq!(days, ["a", "b", "c", "d"]);
        assert_eq!(Turn::All.of(checks), checks);
        let nothing: [&str; 0] = [];
        assert!(Turn::Day(1).of(nothing).is_empty());
        assert!(Turn::Day(7).has(4, 3) && !Turn::Day(7).has(5, 3));
    }
}
