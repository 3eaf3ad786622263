//! Fills the tables of `docs/benchmarks.md` from the results of the benchmarks.
//!
//! A table stands between two comments that name the figures whose rows it has: `<!-- measured: unary streams -->` and
//! `<!-- end -->`. `<!-- measured: package python -->` and the like show the figures of a package.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::step::Steps;
use crate::{Outcome, environment};

const PAGE: &str = "docs/benchmarks.md";
/// The directory of the curves' drawings. A whole run of the benchmarks writes them.
pub(super) const DRAWINGS: &str = "docs/benchmarks";
const OPEN: &str = "<!-- measured: ";
const CLOSE: &str = "<!-- end -->";

/// Writes the page anew with the results in `target/bench`.
///
/// # Errors
/// When there are no results, or the page has a comment without an end.
pub(crate) fn fill(steps: &mut Steps) -> Outcome {
    steps.check("fill the page of the benchmarks", || {
        let page = environment::root().join(PAGE);
        let text = environment::read(&page)?;
        let (filled, count) = filled(&text, &environment::target().join("bench"))?;
        fs::write(&page, filled).map_err(|error| format!("{PAGE}: {error}"))?;
        Ok(format!("{count} tables of {PAGE} were filled"))
    })
}

fn filled(text: &str, results: &Path) -> Outcome<(String, usize)> {
    let (mut out, mut rest, mut count) = (String::new(), text, 0);
    while let Some(at) = rest.find(OPEN) {
        let (before, opened) = rest.split_at(at);
        let (comment, body) = opened.split_once('\n').ok_or("a comment has no end")?;
        let names = comment.trim_start_matches(OPEN).trim_end().trim_end_matches("-->").trim();
        let (old, after) = body.split_once(CLOSE).ok_or_else(|| format!("{PAGE}: the table of {names} has no end"))?;
        let table = table(names, results)?;
        let _ = write!(out, "{before}{comment}\n{}{CLOSE}", table.as_deref().unwrap_or(old));
        count += usize::from(table.is_some());
        rest = after;
    }
    Ok((out + rest, count))
}

/// The table with that name; `None`: it was not measured.
fn table(names: &str, results: &Path) -> Outcome<Option<String>> {
    let of_package = names.strip_prefix("package ");
    let its = of_package.unwrap_or(if names == "fleet" { "fleet" } else { "results" });
    let file = results.join(format!("{its}.json"));
    let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
    let all: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let rows = match names {
        "machine" => machine(&all),
        "drawings" => drawings(&all, &environment::root().join(DRAWINGS)),
        "missed" => rows(&all, |row| row["met"] == false),
        _ if of_package.is_some() => package(&all),
        _ => rows(&all, |row| names.split(' ').any(|name| row["figure"] == name)),
    };
    Ok((!rows.is_empty()).then_some(rows))
}

/// The drawings of the curves that were measured, two in a row.
fn drawings(all: &Value, directory: &Path) -> String {
    let curves = all["curves"].as_array().into_iter().flatten();
    let cells: Vec<String> = curves
        .filter_map(|curve| Some((curve["name"].as_str()?, curve["size"].as_str()?)))
        .filter(|(name, _)| directory.join(format!("{name}.svg")).exists())
        .map(|(name, size)| format!("![{size}](benchmarks/{name}.svg)"))
        .collect();
    if cells.is_empty() {
        return String::new();
    }
    let rows: Vec<String> = cells.chunks(2).map(|row| format!("| {} |\n", row.join(" | "))).collect();
    format!("\n| | |\n|---|---|\n{}\n", rows.concat())
}

/// The machine and the load on it.
fn machine(all: &Value) -> String {
    let shares = all["runs"].as_array().into_iter().flatten().filter_map(|run| run["foreign_load"].as_f64());
    let most = shares.fold(0.0, f64::max) * 100.0;
    let gated: Vec<bool> = figures(all).filter_map(|row| row["met"].as_bool()).collect();
    format!(
        "\n- the machine: {}\n- the rounds: {}\n- load average before the run: {}\n- the most that other programs used of \
         it during any figure: {most:.0} %\n- gates that were met: {} of {}\n\n",
        all["processor"].as_str().unwrap_or_default(),
        if all["quick"] == true { "short (`--quick`)" } else { "whole" },
        all["load_average"].as_str().unwrap_or_default(),
        gated.iter().filter(|met| **met).count(),
        gated.len(),
    )
}

fn figures(all: &Value) -> impl Iterator<Item = &Value> {
    all["figures"].as_array().into_iter().flatten()
}

/// The wanted rows as a table.
fn rows(all: &Value, wanted: impl Fn(&Value) -> bool) -> String {
    let mut out = String::new();
    for row in figures(all).filter(|row| wanted(row)) {
        let word = |key: &str| row[key].as_str().unwrap_or_default();
        let number = |key: &str| row[key].as_f64().map(short);
        let reference = number("reference_value").map(|value| format!("{} {value}", word("reference")));
        let verdict = match row["met"].as_bool() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let cells = [
            format!("{}: {}", word("figure"), word("what")),
            format!("{} {}", number("value").unwrap_or_default(), word("unit")),
            reference.unwrap_or_default(),
            number("ratio").map(|ratio| format!("{ratio} x")).unwrap_or_default(),
            format!("{} {verdict}", word("gate")).trim().to_owned(),
            word("note").to_owned(),
        ];
        if out.is_empty() {
            out.push_str("\n| | measured | reference | ratio | gate | |\n|---|---|---|---|---|---|\n");
        }
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The figures of a package: a row for each place where they were measured.
fn package(all: &Value) -> String {
    const COLUMNS: [&str; 4] = ["turn_us", "call_c1_us", "call_c32_us", "token_us"];
    let mut out = String::new();
    for (name, figures) in all.as_object().into_iter().flatten() {
        if !COLUMNS[1..].iter().any(|column| figures[*column].is_number()) {
            continue;
        }
        if out.is_empty() {
            out.push_str(
                "\n| | an empty turn of the loop | one completion at a time | 32 at a time, each | a token |\n",
            );
            out.push_str("|---|---|---|---|---|\n");
        }
        let cells =
            COLUMNS.map(|column| figures[column].as_f64().map_or_else(String::new, |us| format!("{} us", short(us))));
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Writes a value with about three digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => {
            let digits = format!("{:.0}", value.abs());
            let mut out = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    out.push(' ');
                }
                out.push(digit);
            }
            if value < 0.0 { format!("-{out}") } else { out }
        }
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "a\n<!-- measured: unary -->\nold\n<!-- end -->\nb\n<!-- measured: package node -->\nkept\n<!-- end -->\n";

    #[test]
    fn what_was_measured_is_filled_in_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let results = r#"{"figures":[
            {"figure":"unary","what":"c=1","value":1234.5,"unit":"us","reference":"nginx","reference_value":99.0,
             "ratio":0.5,"gate":"<= 1.3 x","met":true,"note":"n"},
            {"figure":"frames","what":"x","value":1.0,"unit":"us","met":false}]}"#;
        fs::write(dir.path().join("results.json"), results).unwrap();
        let (text, count) = filled(PAGE, dir.path()).unwrap();
        assert_eq!(count, 1);
        assert!(text.starts_with("a\n<!-- measured: unary -->\n\n| |"), "{text}");
        assert!(
            text.contains("| unary: c=1 | 1 234 us | nginx 99.0 | 0.50 x | <= 1.3 x met | n |\n\n<!-- end -->\nb\n")
        );
        assert!(text.ends_with("<!-- measured: package node -->\nkept\n<!-- end -->\n"));
        assert_eq!(filled(&text, dir.path()).unwrap().0, text, "a second time changes nothing");
        let missed = filled("<!-- measured: missed -->\n<!-- end -->", dir.path()).unwrap().0;
        assert!(missed.contains("| frames: x |") && !missed.contains("unary"), "{missed}");
    }

    #[test]
    fn only_curves_with_a_drawing_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let all = serde_json::json!({"curves": [{"name": "a", "size": "x"}, {"name": "b", "size": "y"}]});
        assert_eq!(drawings(&all, dir.path()), "");
        fs::write(dir.path().join("a.svg"), "").unwrap();
        assert_eq!(drawings(&all, dir.path()), "\n| | |\n|---|---|\n| ![x](benchmarks/a.svg) |\n\n");
    }

    #[test]
    fn a_table_without_an_end_is_an_error() {
        let told = filled("<!-- measured: unary -->\n", Path::new("/nowhere")).unwrap_err();
        assert!(told.contains("the table of unary has no end"));
    }

    #[test]
    fn a_package_has_a_row_for_each_place() {
        let all = serde_json::json!({"rust": {"call_c1_us": 9.123, "token_us": 0.4}, "load": 1.0, "gil": {"x": 1}});
        let text = package(&all);
        assert!(text.contains("| rust |  | 9.12 us |  | 0.40 us |\n"), "{text}");
        assert!(!text.contains("gil") && !text.contains("load"));
    }
}
