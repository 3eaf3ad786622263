//! The requests that the miners get: seeded ones that resemble public traces, or the traces themselves.

use std::path::Path;

use crate::random::Random;
pub use crate::request::{BLOCK_TOKENS, Request, SESSIONS};
use crate::traces;

/// The source of requests.
pub enum Source<'a> {
    /// Requests that are made from the seed.
    Synthetic,
    /// Requests that are read from the files in that directory.
    Traces(&'a Path),
}

impl Source<'_> {
    /// Chats in order of time, and with `code` bursts of code completions among them.
    ///
    /// # Errors
    /// A message when a trace cannot be read.
    pub fn lengths(&self, code: bool, random: &mut Random) -> Result<Vec<Request>, String> {
        let mut all = match self {
            Self::Synthetic => chats(random),
            Self::Traces(dir) => traces::azure(&dir.join(traces::CONVERSATION))?,
        };
        if code {
            all.extend(match self {
                Self::Synthetic => completions(random),
                Self::Traces(dir) => traces::azure(&dir.join(traces::CODE))?,
            });
        }
        for one in &mut all {
            one.session = random.range(0, SESSIONS - 1);
        }
        all.sort_by_key(|one| one.at);
        Ok(all)
    }

    /// Conversations, in which each turn begins with all earlier text.
    ///
    /// # Errors
    /// A message when a trace cannot be read.
    pub fn conversations(&self, random: &mut Random) -> Result<Vec<Request>, String> {
        match self {
            Self::Synthetic => Ok(conversations(random)),
            Self::Traces(dir) => traces::mooncake(&dir.join(traces::MOONCAKE)),
        }
    }
}

/// Stretches the arrivals to that average number of requests a second.
pub fn stretch(requests: &mut [Request], per_second: f64) {
    let (Some(first), Some(last)) = (requests.first(), requests.last()) else { return };
    let (from, span) = (first.at, (last.at - first.at).max(1) as f64);
    let wanted = requests.len() as f64 / per_second * 1_000.0;
    for one in requests {
        one.at = ((one.at - from) as f64 / span * wanted) as u64;
    }
}

/// Gives a number from 0 up to, but not including, 1.
pub fn unit(random: &mut Random) -> f64 {
    (random.number() >> 11) as f64 / (1_u64 << 53) as f64
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * (1.0 - unit(random)).ln()
}

/// Gives a log-normal number within bounds; `mean` and `deviation` are those of the logarithm.
fn log_normal(random: &mut Random, (mean, deviation): (f64, f64), (least, most): (u64, u64)) -> u64 {
    let (radius, angle) = ((-2.0 * (1.0 - unit(random)).ln()).sqrt(), std::f64::consts::TAU * unit(random));
    ((mean + deviation * radius * angle.cos()).exp().round() as u64).clamp(least, most)
}

/// The seconds that a synthetic workload spans before it is stretched.
const SPAN: u64 = 3_500;
/// The seconds for which a rate stays constant.
const SPELL: u64 = 10;

/// Makes arrivals in milliseconds, at a rate that changes after each spell.
fn arrivals(random: &mut Random, mut rate: impl FnMut(&mut Random) -> f64) -> Vec<u64> {
    let mut out = Vec::new();
    for spell in (0..SPAN).step_by(SPELL as usize) {
        let per_second = rate(random);
        if per_second <= 0.0 {
            continue;
        }
        let mut at = exponential(random, 1_000.0 / per_second);
        while at < (SPELL * 1_000) as f64 {
            out.push(spell * 1_000 + at as u64);
            at += exponential(random, 1_000.0 / per_second);
        }
    }
    out
}

/// Chats like Azure's conversations of 2023: 19 366 in 3 502 s, 39 to 98 in each ten seconds.
fn chats(random: &mut Random) -> Vec<Request> {
    arrivals(random, |random| 5.53 * (0.5 + unit(random)))
        .into_iter()
        .map(|at| {
            let prompt = log_normal(random, (6.63, 0.985), (2, 14_050));
            // There are two kinds of answers: half of them are shorter than 130 tokens, a quarter longer than 390.
            let kind = if unit(random) < 0.6 { (4.6, 0.35) } else { (5.99, 0.17) };
            Request::new(at, 0, prompt, log_normal(random, kind, (7, 1_000)))
        })
        .collect()
}

/// Code completions like Azure's of 2023: 8 819 in 3 436 s, in bursts. Most spells of ten seconds have none, and the
/// busiest has 327.
fn completions(random: &mut Random) -> Vec<Request> {
    arrivals(random, |random| if unit(random) < 0.35 { exponential(random, 7.35) } else { 0.0 })
        .into_iter()
        .map(|at| {
            let prompt = log_normal(random, (7.0, 1.36), (3, 7_437));
            Request::new(at, 0, prompt, log_normal(random, (2.79, 0.847), (6, 1_899)))
        })
        .collect()
}

/// Conversations like Mooncake's: 12 031 requests in 3 537 s, of 7 373 conversations, with one common first block. 37 %
/// of the prompt tokens repeat earlier text.
fn conversations(random: &mut Random) -> Vec<Request> {
    let mut out = Vec::new();
    let mut next_block = 1;
    for start in arrivals(random, |_| 2.1) {
        let conversation = random.number();
        let mut at = start;
        let mut prompt = log_normal(random, (8.35, 1.25), (891, 126_195));
        let mut blocks = vec![0];
        loop {
            // No other prompt shares the last block, because the next turn fills it up.
            while (blocks.len() as u64) * BLOCK_TOKENS < prompt {
                blocks.push(next_block);
                next_block += 1;
            }
            let output = log_normal(random, (5.34, 1.1), (1, 2_000));
            out.push(Request::new(at, conversation % SESSIONS, prompt, output).with_blocks(blocks.clone()));
            if unit(random) < 0.62 || out.len() > 100_000 {
                break;
            }
            blocks.truncate((prompt / BLOCK_TOKENS).max(1) as usize);
            at += exponential(random, 90_000.0) as u64 + 5_000;
            prompt = (prompt + output + log_normal(random, (6.0, 1.3), (10, 60_000))).min(126_195);
            if at > SPAN * 1_000 {
                break;
            }
        }
    }
    out.sort_by_key(|one| one.at);
    out
}
