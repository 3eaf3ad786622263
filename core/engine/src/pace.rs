//! Measures how fast a miner is. It divides a sum of tokens by a sum of times, in which older answers count less and
//! less. A mean of the speeds of single answers would make a miner look slow that gave short answers to long prompts.

/// The part of the sums that is kept when the next answer is added.
const KEEP: f64 = 0.97;

/// Tokens and the time that they took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    tokens: f64,
    millis: f64,
}

impl Pace {
    pub(super) fn note(&mut self, tokens: u64, millis: u64) {
        self.tokens = KEEP * self.tokens + tokens as f64;
        self.millis = KEEP * self.millis + millis as f64;
    }

    /// Tokens a second; 0 while nothing was measured.
    pub(super) fn per_second(self) -> f64 {
        if self.millis > 0.0 { self.tokens * 1_000.0 / self.millis } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_answers_count_by_what_they_took() {
        let mut pace = Pace::default();
        assert!(pace.per_second() == 0.0);
        for _ in 0..50 {
            pace.note(400, 10_000);
            // Half a second for the prompt, and hardly any tokens.
            pace.note(4, 600);
        }
        assert!((pace.per_second() - 38.0).abs() < 1.0, "{}", pace.per_second());
    }
}
