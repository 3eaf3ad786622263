//! Rates and times of the last minute, from two readings of the router's metrics.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time over which rates and times are told.
const WINDOW: Duration = Duration::from_mins(1);

/// The most readings that are kept; with the shortest interval they cover less than the window.
const READINGS: usize = 120;

/// The counters of one reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reading {
    tokens: f64,
    ended: f64,
    failed: f64,
    first_token: Histogram,
    waited: Histogram,
}

/// How many values are at most as great as each bound.
#[derive(Debug, Clone, Default, PartialEq)]
struct Histogram(Vec<(f64, f64)>);

impl Reading {
    /// Reads what `/metrics` says. Series that a router does not have count as nothing.
    pub(super) fn of(text: &str) -> Self {
        let mut reading = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            match name {
                "cortensor_tokens_total" if labels.contains("part=\"answer\"") => reading.tokens += value,
                "cortensor_tasks_ended_total" => {
                    reading.ended += value;
                    if labels.contains("outcome=\"failed\"") || labels.contains("outcome=\"expired\"") {
                        reading.failed += value;
                    }
                }
                "cortensor_first_token_seconds_bucket" => reading.first_token.add(labels, value),
                "cortensor_queue_seconds_bucket" => reading.waited.add(labels, value),
                _ => {}
            }
        }
        reading
    }
}

impl Histogram {
    fn add(&mut self, labels: &str, count: f64) {
        let Some(bound) = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()) else { return };
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap_or(f64::INFINITY) };
        match self.0.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((bound, count)),
        }
    }

    /// The values that came since an earlier reading.
    fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| {
            earlier.0.iter().find(|(known, _)| known.total_cmp(&bound).is_eq()).map_or(0.0, |(_, count)| *count)
        };
        Self(self.0.iter().map(|(bound, count)| (*bound, (count - before(*bound)).max(0.0))).collect())
    }

    /// The value below which that share of all values is, between the bounds as if it were spread evenly.
    fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.0.iter().map(|(_, count)| *count).fold(0.0, f64::max);
        if total <= 0.0 {
            return None;
        }
        let wanted = total * share;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= wanted {
                let within = (wanted - below) / (count - below).max(f64::MIN_POSITIVE);
                return Some(if bound.is_infinite() { low } else { low + (bound - low) * within });
            }
            (low, below) = (*bound, *count);
        }
        None
    }
}

/// The readings of the last minute.
#[derive(Debug, Default)]
pub(super) struct Readings(VecDeque<(Instant, Reading)>);

/// The rates and times that the readings show.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    /// Tokens of answers a second.
    pub(super) tokens: Option<f64>,
    /// Tasks that end in a second.
    pub(super) ended: Option<f64>,
    /// Tasks that fail or expire in a second.
    pub(super) failed: Option<f64>,
    /// Seconds to the first token, for half of the tasks.
    pub(super) first_token: Option<f64>,
    /// Seconds to the first token, for 95 of 100 tasks.
    pub(super) first_token_p95: Option<f64>,
    /// Seconds in the queue, for 95 of 100 tasks.
    pub(super) waited_p95: Option<f64>,
}

impl Readings {
    /// Adds a reading. Counters that went back belong to a router that was started again, so what was before is dropped.
    pub(super) fn add(&mut self, at: Instant, reading: Reading) {
        if self.0.back().is_some_and(|(_, last)| reading.ended < last.ended || reading.tokens < last.tokens) {
            self.0.clear();
        }
        self.0.push_back((at, reading));
        while self.0.len() > READINGS || self.0.front().is_some_and(|(first, _)| at.duration_since(*first) > WINDOW) {
            self.0.pop_front();
        }
    }

    /// The rates between the first and the last reading. Before there are two, only the times since the router's start
    /// are known.
    pub(super) fn rates(&self) -> Rates {
        let Some((end, last)) = self.0.back() else { return Rates::default() };
        let (start, first) = self.0.front().map_or((*end, None), |(at, first)| (*at, (at != end).then_some(first)));
        let nothing = Reading::default();
        let base = first.unwrap_or(&nothing);
        let seconds = end.duration_since(start).as_secs_f64();
        let rate = |last: f64, base: f64| first.map(|_| (last - base) / seconds.max(f64::MIN_POSITIVE));
        let first_token = last.first_token.since(&base.first_token);
        Rates {
            tokens: rate(last.tokens, base.tokens),
            ended: rate(last.ended, base.ended),
            failed: rate(last.failed, base.failed),
            first_token: first_token.quantile(0.5),
            first_token_p95: first_token.quantile(0.95),
            waited_p95: last.waited.since(&base.waited).quantile(0.95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(tokens: u32, fast: u32, slow: u32) -> Reading {
        Reading::of(&format!(
            "# HELP x y\ncortensor_tokens_total{{model=\"a\",part=\"answer\"}} {tokens}\n\
             cortensor_tokens_total{{model=\"a\",part=\"prompt\"}} 9\n\
             cortensor_tasks_ended_total{{model=\"a\",outcome=\"ok\"}} {slow}\n\
             cortensor_first_token_seconds_bucket{{le=\"0.1\",model=\"a\"}} {fast}\n\
             cortensor_first_token_seconds_bucket{{le=\"0.2\",model=\"a\"}} {slow}\n\
             cortensor_first_token_seconds_bucket{{le=\"+Inf\",model=\"a\"}} {slow}\n\
             cortensor_first_token_seconds_bucket{{le=\"0.1\",model=\"b\"}} 0\nodd line\n"
        ))
    }

    #[test]
    fn rates_are_told_between_two_readings() {
        let (mut readings, start) = (Readings::default(), Instant::now());
        readings.add(start, metrics(100, 10, 10));
        assert_eq!(readings.rates().tokens, None);
        assert_eq!(readings.rates().first_token, Some(0.05));
        readings.add(start + Duration::from_secs(10), metrics(200, 10, 30));
        let rates = readings.rates();
        assert_eq!((rates.tokens, rates.ended, rates.failed), (Some(10.0), Some(2.0), Some(0.0)));
        let median = rates.first_token.unwrap();
        assert!((median - 0.15).abs() < 1e-9, "{median}");
    }

    #[test]
    fn a_router_that_starts_again_begins_anew() {
        let (mut readings, start) = (Readings::default(), Instant::now());
        readings.add(start, metrics(100, 1, 1));
        readings.add(start + Duration::from_secs(1), metrics(3, 0, 0));
        assert_eq!(readings.rates().tokens, None);
        readings.add(start + Duration::from_secs(100), metrics(4, 0, 0));
        assert_eq!(readings.0.len(), 1, "older than the window");
    }

    #[test]
    fn nothing_known_is_nothing_told() {
        assert_eq!(Readings::default().rates(), Rates::default());
        assert_eq!(Reading::of("<html>"), Reading::default());
    }
}
