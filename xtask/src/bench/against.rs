//! Compares with another revision: both are built, and their figures are measured in turns on one machine.
//!
//! One run says little on a machine that does other work. Each figure is therefore measured in several rounds, by turns
//! at both revisions. A figure counts as worse only if every round of this revision is worse than every round of the
//! other. A quick comparison has one round, and reports only large changes.
//!
//! A figure that one of the two revisions does not have, or could not measure, is reported and is no error.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Plan;
use crate::step::Steps;
use crate::{Outcome, environment};

/// The least change of a median that is reported after several rounds ...
const NOTABLE: f64 = 0.03;
/// ... and after a single round, where less may be chance.
const NOTABLE_ONCE: f64 = 0.15;

/// Measures the figures of `plan` at `revision` and here, in turns, and prints both.
///
/// # Errors
/// When the revision is unknown, one of the two does not build, or this one gives no results at all.
pub(super) fn run(steps: &mut Steps, plan: &Plan, revision: &str, rounds: u32) -> Outcome {
    let other = checked_out(steps, revision)?;
    let here = environment::root();
    // Both are built before either is measured.
    for (title, root) in [("build the other revision", &other), ("build this revision", &here)] {
        let mut build = cargo(root, &["bench", "--no-run", "--package", package(root), "--bench", "figures"]);
        steps.run(title, &mut build)?;
    }
    let out = environment::target().join("bench");
    let mut measured = BTreeMap::new();
    for round in 0..rounds {
        for (side, root) in [(Side::Before, &other), (Side::Now, &here)] {
            let results = out.join("against-round.json");
            let mut run =
                plan.command(&cargo(root, &["bench", "--package", package(root), "--bench", "figures", "--"]));
            run.current_dir(root).arg("--json").arg(&results);
            // Nothing of an earlier run counts as this one's.
            let _ = fs::remove_file(&results);
            let outcome = steps.run(&format!("round {} of {rounds}, {}", round + 1, side.word()), &mut run);
            // Where only some figures failed, the others are there. The other revision may know none of them.
            match gather(&results, side, &mut measured) {
                Ok(()) => {}
                Err(missing) if side == Side::Now => return Err(outcome.err().unwrap_or(missing)),
                Err(missing) => println!("{revision} gives no figure to compare with: {missing}"),
            }
        }
    }
    println!("\n{revision} before, this checkout now; medians of {rounds} rounds, in turns\n");
    let worse = measured.iter().filter(|(name, row)| row.print(name)).count();
    println!("\n{} figures compared, {worse} worse", measured.len());
    Ok(())
}

/// The revision to which a measurement belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Now,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Now => "now",
        }
    }
}

/// Unpacks the revision's source below `target/`, which needs no network and does not change the checkout.
fn checked_out(steps: &mut Steps, revision: &str) -> Outcome<PathBuf> {
    let commit = git(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")])
        .map_err(|_| format!("--against {revision}: there is no such revision"))?;
    let dir = environment::target().join("bench").join(&commit[..12.min(commit.len())]);
    if !dir.join("Cargo.toml").exists() {
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut unpack = Command::new("sh");
        unpack.args(["-c", "git archive --format=tar \"$1\" | tar -x -C \"$2\"", "sh", &commit]).arg(&dir);
        steps.run("unpack the other revision", unpack.current_dir(environment::root()))?;
    }
    Ok(dir)
}

fn git(arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("git").args(arguments).current_dir(environment::root()).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The package that has the benchmark.
fn package(root: &Path) -> &'static str {
    if root.join("core/cli/benches/figures").exists() { "cortensor-router-cli" } else { "cortensor-router" }
}

/// A cargo command in that source, with a build directory of its own.
fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut cargo = environment::cargo(arguments);
    cargo.current_dir(root);
    if root != environment::root() {
        cargo.env("CARGO_TARGET_DIR", environment::target().join("bench/target"));
    }
    cargo
}

/// The rounds of one figure.
#[derive(Default)]
struct Rounds {
    before: Vec<f64>,
    now: Vec<f64>,
    unit: String,
    /// Whether a smaller number is better; `None` if neither the gate nor the unit tells.
    falls: Option<bool>,
}

/// Records the figures of one round. If a figure has a reference in its run, the ratio is recorded.
fn gather(results: &Path, side: Side, measured: &mut BTreeMap<String, Rounds>) -> Outcome {
    let text = fs::read_to_string(results).map_err(|error| format!("{}: {error}", results.display()))?;
    let all: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", results.display()))?;
    for row in all["figures"].as_array().into_iter().flatten() {
        let word = |key: &str| row[key].as_str().unwrap_or_default();
        let (number, unit) = match row["ratio"].as_f64() {
            Some(ratio) => (Some(ratio), "x"),
            None => (row["value"].as_f64(), word("unit")),
        };
        let Some(number) = number else { continue };
        let rounds = measured.entry(format!("{}: {}", word("figure"), word("what"))).or_default();
        unit.clone_into(&mut rounds.unit);
        rounds.falls = rounds.falls.or_else(|| falls(word("gate"), word("unit")));
        match side {
            Side::Before => rounds.before.push(number),
            Side::Now => rounds.now.push(number),
        }
    }
    Ok(())
}

/// Whether less is better: the gate tells, or else the unit, for times and sizes.
fn falls(gate: &str, unit: &str) -> Option<bool> {
    match gate.split(' ').next() {
        Some("<=") => return Some(true),
        Some(">=") => return Some(false),
        _ => {}
    }
    match unit {
        "ns" | "us" | "ms" | "s" | "MB" | "MiB" | "KB" | "KiB" | "bytes" => Some(true),
        unit if unit.ends_with("/s") => Some(false),
        _ => None,
    }
}

impl Rounds {
    /// Prints one line for the figure. Gives whether it is worse.
    fn print(&self, name: &str) -> bool {
        let (Some(before), Some(now)) = (median(&self.before), median(&self.now)) else {
            let (values, word) = if self.now.is_empty() { (&self.before, "gone") } else { (&self.now, "new") };
            println!("{name}: {:.3} {} ({word})", median(values).unwrap_or_default(), self.unit);
            return false;
        };
        let moved = if before == 0.0 { 1.0 } else { now / before };
        let verdict = self.verdict(moved);
        println!("{name}: {before:.3} -> {now:.3} {} ({moved:.2}) {verdict}", self.unit);
        verdict == "WORSE"
    }

    fn verdict(&self, moved: f64) -> &'static str {
        let is_single = self.before.len() < 2 || self.now.len() < 2;
        if (moved - 1.0).abs() < if is_single { NOTABLE_ONCE } else { NOTABLE } {
            return "";
        }
        let apart = |low: &[f64], high: &[f64]| {
            let greatest = low.iter().copied().fold(f64::MIN, f64::max);
            high.iter().all(|value| *value > greatest)
        };
        let (grew, fell) = (apart(&self.before, &self.now), apart(&self.now, &self.before));
        match (self.falls, grew, fell) {
            (Some(true), true, _) | (Some(false), _, true) => "WORSE",
            (Some(true), _, true) | (Some(false), true, _) => "better",
            (None, true, _) | (None, _, true) => "moved",
            _ => "",
        }
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(before: &[f64], now: &[f64], falls: bool) -> &'static str {
        let rounds = Rounds { before: before.to_vec(), now: now.to_vec(), falls: Some(falls), ..Rounds::default() };
        rounds.verdict(median(now).unwrap() / median(before).unwrap())
    }

    #[test]
    fn a_figure_is_worse_only_where_no_round_overlaps() {
        assert_eq!(rounds(&[10.0, 11.0, 12.0], &[13.0, 14.0, 15.0], true), "WORSE");
        assert_eq!(rounds(&[10.0, 11.0, 12.0], &[13.0, 14.0, 15.0], false), "better");
        assert_eq!(rounds(&[10.0, 11.0, 14.0], &[13.0, 14.0, 15.0], true), "");
        assert_eq!(rounds(&[100.0, 101.0], &[102.0, 102.5], true), "");
        assert_eq!(rounds(&[5.0, 6.0], &[1.0, 2.0], false), "WORSE");
        assert_eq!((rounds(&[10.0], &[11.0], true), rounds(&[10.0], &[12.0], true)), ("", "WORSE"));
    }

    #[test]
    fn a_figure_of_one_side_is_neither_worse_nor_an_error() {
        let dir = std::env::temp_dir().join(format!("against-{}", std::process::id()));
        let mut measured = BTreeMap::new();
        let sides = [
            (Side::Before, r#"{"figures":[{"figure":"a","what":"x","value":1.0,"unit":"ms"}],"failures":["b: no"]}"#),
            (
                Side::Now,
                r#"{"figures":[{"figure":"a","what":"x","value":2.0,"unit":"ms"},
                    {"figure":"b","what":"y","value":3.0,"unit":"ms"}],"failures":[]}"#,
            ),
        ];
        for (side, results) in sides {
            fs::write(&dir, results).unwrap();
            gather(&dir, side, &mut measured).unwrap();
        }
        fs::remove_file(&dir).unwrap();
        assert!(gather(&dir, Side::Now, &mut measured).is_err());
        assert!(measured["a: x"].print("a: x"), "it is worse");
        assert!(measured["b: y"].before.is_empty() && !measured["b: y"].print("b: y"));
    }

    #[test]
    fn gates_and_units_say_what_is_better() {
        assert_eq!((falls("<= 1.4 x", "us"), falls(">= 2 x", "us")), (Some(true), Some(false)));
        assert_eq!((falls("", "requests/s"), falls("", "MiB"), falls("", "share")), (Some(false), Some(true), None));
    }
}
