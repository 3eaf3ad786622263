//! Controls the number of concurrent tasks at an upstream, by additive increase and multiplicative decrease.
//!
//! An answer 429 or 503 means that the upstream is full, which is not a failure. The window then halves, and grows by
//! one each time as many tasks as it allows have succeeded.

/// The number of concurrent tasks that an upstream may have, from 1 to its configured maximum. A pure state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditWindow {
    most: u32,
    now: u32,
    good: u32,
    cuts: u64,
}

impl CreditWindow {
    /// A window that starts at its maximum; 0 counts as 1.
    pub fn new(most: u32) -> Self {
        let most = most.max(1);
        Self { most, now: most, good: 0, cuts: 0 }
    }

    /// The number of concurrent tasks that the upstream may have at present.
    pub fn credits(&self) -> u32 {
        self.now
    }

    /// Whether the window is below its maximum.
    pub fn is_throttled(&self) -> bool {
        self.now < self.most
    }

    /// The number of cuts so far. Each task remembers the number at the time at which it was sent.
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Notes that the upstream was full for a task that was sent after `cuts` cuts. A task that was sent before the
    /// last cut is ignored, so that a burst of 32 refusals halves the window once and not 32 times. Returns the new
    /// number of credits if it changed.
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

    /// Notes a success. Returns the new number of credits if it changed.
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
