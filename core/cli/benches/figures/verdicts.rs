//! Measures the cost of comparing three answers of 8 KB, for every matching method that needs no miner.

use std::hint::black_box;
use std::time::Instant;

use cortensor_router::internals::judge;
use cortensor_router::model::{Matching, Standing, Validation};

use crate::report::{Gate, Row};
use crate::{Context, Outcome};

const BYTES: usize = 8 << 10;

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let prose: String = (0_u64..)
        .map(word)
        .scan(0, |size, word| {
            *size += word.len();
            (*size < BYTES).then_some(word)
        })
        .collect();
    let json =
        format!("{{\"answer\":{:?},\"numbers\":{:?}}}", &prose[..BYTES / 2], (0..BYTES / 10).collect::<Vec<_>>());
    for matching in [Matching::Exact, Matching::Normalized, Matching::Json, Matching::Lexical] {
        let text = if matching == Matching::Json { &json } else { &prose };
        // One answer is not ASCII, so that its characters must be composed anew.
        let other = if matching == Matching::Exact { text.clone() } else { text.replace("caf\u{e9}", "cafe\u{301}") };
        let min_score = if matching == Matching::Lexical { 0.5 } else { 1.0 };
        let how = Validation::default().matching(matching).min_score(min_score);
        let rounds = context.pick(50, 500);
        let from = Instant::now();
        for _ in 0..rounds {
            let texts = [black_box(text.as_str()), &other, text];
            if black_box(judge(&how, &texts, 3, Some(0), None)).standing != Standing::Agreed
                && matching != Matching::Json
            {
                return Err(format!("{} does not see that the answers are the same", matching.as_str()));
            }
        }
        let each = from.elapsed().as_secs_f64() * 1e3 / f64::from(rounds as u32);
        let what = format!("three answers of 8 KB are compared ({})", matching.as_str());
        rows.push(Row::new("verdicts", &what, each, "ms").gate(Gate::AtMost(1.0)));
    }
    Ok(())
}

/// Makes words of which no three in a row repeat.
fn word(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    if number.is_multiple_of(50) { "caf\u{e9} ".to_owned() } else { format!("{mixed:x} ") }
}
