//! Limits repeated warnings: one in each period, with a count of the warnings that were left out.

use std::time::{Duration, Instant};

/// The time in which at most one warning is written.
pub(crate) const PERIOD: Duration = Duration::from_secs(10);

/// Lets one warning of a kind through in each [`PERIOD`].
#[derive(Debug, Default)]
pub(crate) struct Damper {
    last: Option<Instant>,
    left_out: u64,
}

impl Damper {
    /// Whether to warn now: `Some` with the number of warnings that were left out since the last one.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PERIOD) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_told_once_in_a_while_and_counted() {
        let (mut damper, start) = (Damper::default(), Instant::now());
        let told: Vec<u64> =
            (0..1_500).filter_map(|turn| damper.pass(start + Duration::from_millis(20) * turn)).collect();
        assert_eq!(told, [0, 499, 499]);
        assert_eq!(damper.pass(start + Duration::from_hours(1)), Some(499));
    }
}
