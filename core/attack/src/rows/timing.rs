//! The time that the refusal of a wrong token takes must not tell how much of it is right.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::json;

use crate::Outcome;
use crate::http::{Ask, connect};
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command};

/// Requests of each kind in one round.
const TRIES: usize = 5_000;

/// The slowest share of the requests, in hundredths, that a round leaves out: the machine did something else there.
const LEFT_OUT: usize = 10;

/// The size of Welch's t from which two sets of times differ.
const DISTINCT: f64 = 5.0;

/// The rounds that must all show a difference of the same sign.
const ROUNDS: usize = 3;

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let target = command.guarded("")?;
    let (key, _) = target.key("timed", &["read"], &json!({}))?;
    let mut tally = Tally::default();
    for (name, token, from) in
        [("a key", key.as_str(), key.rfind('_').map_or(0, |at| at + 1)), ("a configured token", ADMIN, 0)]
    {
        let asks = [changed(token, from), changed(token, token.len() - 1)]
            .map(|token| Ask::get("/api/v1/sessions").token(&token).bytes(false));
        let mut stream = connect(target.address)?;
        let mut seen = Vec::new();
        while seen.len() < ROUNDS {
            let t = round(&mut stream, &asks)?;
            seen.push(t);
            if t.abs() < DISTINCT {
                break;
            }
        }
        // A noisy machine shows differences of either sign; a leak shows the same one each time.
        let leaks = seen.len() == ROUNDS
            && seen.iter().all(|t| t.abs() >= DISTINCT && t.is_sign_positive() == seen[0].is_sign_positive());
        tally.must(!leaks, || format!("{name}: the first and the last byte differ in time: t = {seen:.1?}"));
        let decided = if seen.last().is_some_and(|t| t.abs() < DISTINCT) { "no difference" } else { "not decided" };
        tally.note(format!("{name}: {decided}, t = {seen:.1?} over {TRIES} tries of each kind a round"));
    }
    Ok(tally)
}

/// The token with another character at that place.
fn changed(token: &str, at: usize) -> String {
    let other = if token[at..].starts_with('a') { "b" } else { "a" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// Welch's t of the two requests, which take turns in an order that changes.
fn round(stream: &mut TcpStream, asks: &[Vec<u8>; 2]) -> Outcome<f64> {
    let mut times = [Vec::with_capacity(TRIES), Vec::with_capacity(TRIES)];
    for turn in 0..TRIES {
        for which in [turn % 2, 1 - turn % 2] {
            let started = Instant::now();
            refused(stream, &asks[which])?;
            times[which].push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    let [(mean_a, spread_a), (mean_b, spread_b)] = times.map(moments);
    Ok((mean_a - mean_b) / (spread_a + spread_b).sqrt().max(f64::MIN_POSITIVE))
}

/// The mean, and the variance of the mean, without the slowest.
fn moments(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    times.truncate(times.len() - times.len() * LEFT_OUT / 100);
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

/// Sends a request and reads its refusal, which has a length.
fn refused(stream: &mut TcpStream, ask: &[u8]) -> Outcome {
    stream.write_all(ask).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(1_024);
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).map_err(|error| error.to_string())?;
        control(count > 0, || "the router closed the connection of a wrong token".to_owned())?;
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(answer) = crate::http::answers(&bytes).first() {
            return control(answer.status == 401, || format!("a wrong token: {}", answer.told()));
        }
    }
}
