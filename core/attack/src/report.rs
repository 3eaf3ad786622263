//! The counts of each row, and the table at the end.

use std::time::Instant;

use crate::Outcome;

/// The maximum number of successes that a row prints.
const SHOWN: usize = 20;

/// The counts of one row.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tries: usize,
    successes: Vec<String>,
    notes: Vec<String>,
}

impl Tally {
    /// Counts one try. `success` describes what the attacker reached; `None`: the attack failed.
    pub(crate) fn attack(&mut self, success: Option<String>) {
        self.tries += 1;
        self.successes.extend(success);
    }

    /// Counts one try, which succeeded unless `failed` holds.
    pub(crate) fn must(&mut self, failed: bool, what: impl FnOnce() -> String) {
        self.attack((!failed).then(what));
    }

    /// Adds a remark below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// Requires that an honest step went well.
///
/// # Errors
/// The text `what` if `holds` is false.
pub(crate) fn control(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(format!("control: {}", what())) }
}

/// All rows that have run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    seconds: f64,
    outcome: Outcome<Tally>,
}

impl Report {
    /// Runs one row.
    pub(crate) fn run(&mut self, name: &'static str, row: impl FnOnce() -> Outcome<Tally>) {
        println!("attack: {name} ...");
        let started = Instant::now();
        let outcome = row();
        self.rows.push(Row { name, seconds: started.elapsed().as_secs_f64(), outcome });
    }

    /// Whether no attack succeeded and every row ran to its end.
    pub(crate) fn passed(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.outcome.as_ref().is_ok_and(|tally| tally.successes.is_empty() && tally.tries > 0))
    }

    /// Prints the successes and remarks of each row, and then the table.
    pub(crate) fn print(&self) {
        for row in &self.rows {
            match &row.outcome {
                Err(why) => println!("{}: not finished: {why}", row.name),
                Ok(tally) => {
                    for success in tally.successes.iter().take(SHOWN) {
                        println!("{}: SUCCESS of the attacker: {success}", row.name);
                    }
                    if tally.successes.len() > SHOWN {
                        println!("{}: ... and {} more", row.name, tally.successes.len() - SHOWN);
                    }
                    for note in &tally.notes {
                        println!("{}: {note}", row.name);
                    }
                }
            }
        }
        println!("\n{:<12} {:>7} {:>10} {:>8}", "row", "tries", "successes", "seconds");
        for row in &self.rows {
            let (tries, successes) = match &row.outcome {
                Ok(tally) => (tally.tries.to_string(), tally.successes.len().to_string()),
                Err(_) => ("-".to_owned(), "broken".to_owned()),
            };
            println!("{:<12} {tries:>7} {successes:>10} {:>8.1}", row.name, row.seconds);
        }
    }
}
