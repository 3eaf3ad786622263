//! Controls how many tasks an upstream gets at a time: additive increase, multiplicative decrease.
//!
//! An upstream that answers 429 or 503 has said that it is full, which is no failure. It gets half as many tasks, and
//! one more each time a whole window of them succeeded.

/// The window. It is pure: the miner tells it what happened, and it says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditWindow {
    most: u32,
    now: u32,
    good: u32,
    cuts: u64,
}

impl CreditWindow {
    /// A window that starts wide open.
    pub fn new(most: u32) -> Self {
        let most = most.max(1);
        Self { most, now: most, good: 0, cuts: 0 }
    }

    /// How many tasks the upstream may have now.
    pub fn credits(&self) -> u32 {
        self.now
    }

    /// Whether it is narrower than it could be.
    pub fn is_throttled(&self) -> bool {
        self.now < self.most
    }

    /// The number of cuts. A task remembers the number at the time when it was sent.
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Notes that a task that was sent after `cuts` cuts found the upstream full. Tasks that were under way at the
    /// last cut say nothing new: a burst of 32 refusals halves the window once, not 32 times. Gives the new width if
    /// it changed.
    pub fn overloaded(&mut self, cuts: u64) -> Option<u32> {
        if cuts < self.cuts {
            return None;
        }
        self.cuts += 1;
        self.good = 0;
        let before = self.now;
        self.now = (self.now / 2).max(1);
        (self.now != before).then_some(self.now)
    }

    /// Notes a success. Gives the new width if it changed.
    pub fn succeeded(&mut self) -> Option<u32> {
        if !self.is_throttled() {
            return None;
        }
        self.good += 1;
        if self.good < self.now {
            return None;
        }
        self.good = 0;
        self.now += 1;
        Some(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_once_for_a_burst_and_grows_by_one_a_window() {
        let mut window = CreditWindow::new(8);
        assert_eq!(window.succeeded(), None);
        let sent = window.cuts();
        assert_eq!(window.overloaded(sent), Some(4));
        assert_eq!(window.overloaded(sent), None);
        assert_eq!(window.overloaded(window.cuts()), Some(2));
        assert_eq!(window.succeeded(), None);
        assert_eq!(window.succeeded(), Some(3));
        let grown: Vec<u32> = (0..100).filter_map(|_| window.succeeded()).collect();
        assert_eq!(grown, [4, 5, 6, 7, 8]);
        assert!(!window.is_throttled());
    }

    #[test]
    fn it_never_closes() {
        let mut window = CreditWindow::new(3);
        assert_eq!(window.overloaded(window.cuts()), Some(1));
        assert_eq!(window.overloaded(window.cuts()), None);
        assert_eq!(window.credits(), 1);
        assert_eq!(window.succeeded(), Some(2));
    }

    proptest::proptest! {
        #[test]
        fn it_stays_within_its_bounds(most in 0u32..100, steps in proptest::collection::vec((proptest::bool::ANY, 0u64..4), 0..300)) {
            let mut window = CreditWindow::new(most);
            for (good, age) in steps {
                let before = window.credits();
                let told = if good { window.succeeded() } else { window.overloaded(window.cuts().saturating_sub(age)) };
                proptest::prop_assert_eq!(told.is_some(), before != window.credits());
                proptest::prop_assert!((1..=most.max(1)).contains(&window.credits()));
            }
        }
    }
}
