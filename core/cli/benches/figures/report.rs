//! The measured figures, their references, and whether they meet their gates.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The condition that a figure must meet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gate {
    /// The figure must be at least this value.
    AtLeast(f64),
    /// The figure must be at most this value.
    AtMost(f64),
    /// Its ratio to the reference of the same run must be at least this value.
    RatioAtLeast(f64),
    /// Its ratio to the reference of the same run must be at most this value.
    RatioAtMost(f64),
}

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    figure: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    reference: Option<(String, f64)>,
    ratio: Option<f64>,
    gate: Option<Gate>,
    note: String,
}

impl Row {
    /// Makes a figure without a reference.
    pub(crate) fn new(figure: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { figure, what: what.into(), value, unit, reference: None, ratio: None, gate: None, note: String::new() }
    }

    /// Sets the value.
    pub(crate) fn with_value(mut self, value: f64) -> Self {
        self.value = value;
        self
    }

    /// Adds a reference. The ratio is that of the two values.
    pub(crate) fn beside(self, name: impl Into<String>, value: f64) -> Self {
        let ratio = if value == 0.0 { 0.0 } else { self.value / value };
        self.beside_at(name, value, ratio)
    }

    /// Adds a reference, with a ratio that was taken round by round.
    pub(crate) fn beside_at(mut self, name: impl Into<String>, value: f64, ratio: f64) -> Self {
        self.reference = Some((name.into(), value));
        self.ratio = Some(ratio);
        self
    }

    /// Sets the gate.
    pub(crate) fn gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Sets the note.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the figure meets its gate; `None` if it has none.
    pub(crate) fn met(&self) -> Option<bool> {
        let ratio = self.ratio.unwrap_or(f64::NAN);
        Some(match self.gate? {
            Gate::AtLeast(least) => self.value >= least,
            Gate::AtMost(most) => self.value <= most,
            Gate::RatioAtLeast(least) => ratio >= least,
            Gate::RatioAtMost(most) => ratio <= most,
        })
    }

    fn gate_text(&self) -> String {
        match self.gate {
            None => String::new(),
            Some(Gate::AtLeast(least)) => format!(">= {} {}", short(least), self.unit),
            Some(Gate::AtMost(most)) => format!("<= {} {}", short(most), self.unit),
            Some(Gate::RatioAtLeast(least)) => format!(">= {least} x"),
            Some(Gate::RatioAtMost(most)) => format!("<= {most} x"),
        }
    }

    fn cells(&self) -> [String; 7] {
        let reference = self.reference.as_ref().map(|(name, value)| format!("{name} {}", short(*value)));
        [
            self.figure.to_owned(),
            self.what.clone(),
            format!("{} {}", short(self.value), self.unit),
            reference.unwrap_or_default(),
            self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.gate_text(),
            match self.met() {
                None => self.note.clone(),
                Some(met) => {
                    let word = if met { "met" } else { "MISSED" };
                    if self.note.is_empty() { word.to_owned() } else { format!("{word}; {}", self.note) }
                }
            },
        ]
    }

    /// The row as it stands in `results.json`.
    pub(crate) fn json(&self) -> Value {
        json!({
            "figure": self.figure,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "reference": self.reference.as_ref().map(|(name, _)| name),
            "reference_value": self.reference.as_ref().map(|(_, value)| value),
            "ratio": self.ratio,
            "gate": self.gate.map(|_| self.gate_text()),
            "met": self.met(),
            "note": self.note,
        })
    }
}

/// Writes a value with three significant digits, and with thousands apart.
fn short(value: f64) -> String {
    if value.abs() < 100.0 {
        let digits = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.digits$}");
    }
    let whole = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

/// The rows as a Markdown table whose columns line up.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["figure", "what", "measured", "reference", "ratio", "gate", ""].map(str::to_owned);
    let lines: Vec<[String; 7]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (width, cell) in widths.iter().zip(line) {
            let _ = write!(out, "| {cell:width$} ");
        }
        out.push_str("|\n");
        if index == 0 {
            for width in widths {
                let _ = write!(out, "|{}", "-".repeat(width + 2));
            }
            out.push_str("|\n");
        }
    }
    out
}

/// The median; 0 for no values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}

/// The value below which that share of the values lies; 0 for no values.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_unstable_by(f64::total_cmp);
    let index = ((values.len() - 1) as f64 * share).round() as usize;
    values[index]
}
