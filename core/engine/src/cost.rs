//! Computes the cost of a task. Sessions get their shares by the cost of their tasks.

/// The cost of a task for its session: for each answer the tokens of the prompt, plus twice the tokens of the answer.
/// Callers choose the numbers, so the result is bounded, and sums of costs do not overflow.
pub(super) fn cost_of(prompt_tokens: u64, answer_tokens: u64, answers: u32) -> u64 {
    let one = prompt_tokens.saturating_add(answer_tokens.saturating_mul(2)).max(1);
    one.saturating_mul(u64::from(answers)).min(MOST)
}

/// The greatest cost. No real task costs as much, and a million such costs, scaled, stay below 2^63.
const MOST: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_from_outside_overflows_a_cost() {
        assert_eq!(cost_of(3, 2, 2), 14);
        assert_eq!(cost_of(0, 0, 1), 1);
        for (prompt, answer) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (1, 1 << 63)] {
            assert_eq!(cost_of(prompt, answer, u32::MAX), MOST);
        }
    }
}
