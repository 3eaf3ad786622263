//! Curves of costs by sizes, and their drawings as SVG: logarithmic on both axes, readable on light and dark pages.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The costs at some sizes.
pub(crate) struct Curve {
    /// The name of its file.
    pub(crate) name: &'static str,
    pub(crate) cost: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) size: &'static str,
    points: Vec<(usize, f64)>,
}

/// The drawing's width and height.
const PAPER: (f64, f64) = (420.0, 240.0);
/// The edges of the plot: left, right, top, bottom.
const PLOT: (f64, f64, f64, f64) = (56.0, 404.0, 34.0, 190.0);

impl Curve {
    pub(crate) fn new(
        name: &'static str,
        cost: &'static str,
        unit: &'static str,
        size: &'static str,
        points: Vec<(usize, f64)>,
    ) -> Self {
        Self { name, cost, unit, size, points }
    }

    /// The first point and the last.
    pub(crate) fn ends(&self) -> ((usize, f64), (usize, f64)) {
        let none = (0, 0.0);
        (self.points.first().copied().unwrap_or(none), self.points.last().copied().unwrap_or(none))
    }

    /// The slope of the line through the logarithms of sizes and costs that has the least squares. A size of 0 counts
    /// as 1.
    pub(crate) fn exponent(&self) -> f64 {
        let logs: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|(size, cost)| ((*size).max(1) as f64, cost.max(1e-9)))
            .map(|(x, y)| (x.ln(), y.ln()))
            .collect();
        let count = logs.len().max(1) as f64;
        let (x, y) = logs.iter().fold((0.0, 0.0), |sum, log| (sum.0 + log.0 / count, sum.1 + log.1 / count));
        let spread: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
        let common: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
        if spread == 0.0 { 0.0 } else { common / spread }
    }

    /// The curve as it stands in `results.json`.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name, "cost": self.cost, "unit": self.unit, "size": self.size,
            "exponent": self.exponent(), "points": self.points,
        })
    }

    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let sizes = self.points.iter().map(|(size, _)| (*size).max(1) as f64);
        let costs = self.points.iter().map(|(_, cost)| cost.max(1e-9));
        let across = Scale::over(sizes.clone(), PLOT.0, PLOT.1);
        let up = Scale::over(costs.clone(), PLOT.3, PLOT.2);
        let (width, height) = PAPER;
        // A colour of its own for dark pages; the page's own colours do not reach an image.
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\" role=\"img\">\n<title>{cost} by \
             {size}</title>\n<style>text{{fill:#333}}.g{{stroke:#8888;stroke-width:.5}}.c{{stroke:#06c;fill:none;\
             stroke-width:2}}.p{{fill:#06c}}@media(prefers-color-scheme:dark){{text{{fill:#ccc}}.c{{stroke:#6af}}\
             .p{{fill:#6af}}}}</style>\n<text x=\"{left}\" y=\"18\">{cost}, {unit}; exponent {exponent:.2}</text>\n",
            cost = self.cost,
            size = self.size,
            unit = self.unit,
            left = PLOT.0,
            exponent = self.exponent(),
        );
        // Writing to a string cannot fail.
        for power in across.powers() {
            let x = across.at(power);
            let _ = writeln!(out, "<path class=\"g\" d=\"M{x:.1} {} V{}\"/>", PLOT.2, PLOT.3);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                PLOT.3 + 15.0,
                short(power)
            );
        }
        for power in up.powers() {
            let y = up.at(power);
            let _ = writeln!(out, "<path class=\"g\" d=\"M{} {y:.1} H{}\"/>", PLOT.0, PLOT.1);
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                PLOT.0 - 6.0,
                y + 4.0,
                short(power)
            );
        }
        let middle = f64::midpoint(PLOT.0, PLOT.1);
        let _ =
            writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", PLOT.3 + 34.0, self.size);
        let places: Vec<(f64, f64)> = sizes.zip(costs).map(|(size, cost)| (across.at(size), up.at(cost))).collect();
        let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(out, "<path class=\"c\" d=\"M{}\"/>", line.join(" L"));
        for (x, y) in places {
            let _ = writeln!(out, "<circle class=\"p\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
        }
        out + "</svg>\n"
    }
}

/// A logarithmic scale from one power of ten to another.
struct Scale {
    least: i32,
    most: i32,
    from: f64,
    to: f64,
}

impl Scale {
    /// The scale that has room for all values. The first of its powers lies at `from`.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut least, mut most) = (i32::MAX, i32::MIN);
        for value in values {
            least = least.min(value.log10().floor() as i32);
            most = most.max(value.log10().ceil() as i32);
        }
        if least > most {
            (least, most) = (0, 1);
        }
        Self { least, most: most.max(least + 1), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        self.from + share * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.least..=self.most).map(|power| 10_f64.powi(power))
    }
}

/// A power of ten, briefly.
fn short(power: f64) -> String {
    match power {
        _ if power >= 1e6 => format!("{} M", power / 1e6),
        _ if power >= 1e3 => format!("{} k", power / 1e3),
        _ => power.to_string(),
    }
}
