//! The text formats of metrics: OpenMetrics, and Prometheus' older plain text.

use std::collections::HashMap;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Plain,
}

impl Exposition {
    /// The format that an `Accept` header asks for: `OpenMetrics` if the header names it, else plain text.
    pub(crate) fn wanted(accept: Option<&str>) -> Self {
        let names =
            |part: &str| part.split(';').next().is_some_and(|kind| kind.trim() == "application/openmetrics-text");
        if accept.is_some_and(|accept| accept.split(',').any(names)) { Self::OpenMetrics } else { Self::Plain }
    }

    /// The content type of the format.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The text in this format; `text` is `OpenMetrics`.
    pub(crate) fn of(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Plain => plain(&text),
        }
    }
}

/// Rewrites `OpenMetrics` as plain text. The comments of a counter name its samples there (`..._total`), infos are
/// gauges, and there is no mark of the end.
fn plain(text: &str) -> String {
    let sample_of = |line: &str| -> Option<(String, String)> {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => return None,
        };
        Some((name.to_owned(), format!("{name}{suffix}")))
    };
    let names: HashMap<String, String> = text.lines().filter_map(sample_of).collect();
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let comment = ["# HELP ", "# TYPE "].into_iter().find_map(|mark| Some((mark, line.strip_prefix(mark)?)));
        match comment.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?))) {
            Some((mark, (name, rest))) => {
                let rest = if mark == "# TYPE " && rest == "info" { "gauge" } else { rest };
                let name = names.get(name).map_or(name, String::as_str);
                out.extend([mark, name, " ", rest]);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_names_the_samples_of_counters() {
        let text = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total 3\n# HELP c Now.\n# TYPE c gauge\n# UNIT c bytes\nc 1\n\
                    # HELP build Built.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
        let wanted = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total 3\n# HELP c Now.\n# TYPE c gauge\nc 1\n\
                      # HELP build_info Built.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n";
        assert_eq!(Exposition::Plain.of(text.to_owned()), wanted);
        assert_eq!(Exposition::OpenMetrics.of(text.to_owned()), text);
    }

    #[test]
    fn whoever_names_openmetrics_gets_it() {
        for (accept, wanted) in [
            (None, Exposition::Plain),
            (Some("*/*"), Exposition::Plain),
            (Some("text/plain"), Exposition::Plain),
            (Some("application/openmetrics-text; version=1.0.0; q=0.8, text/plain;q=0.5"), Exposition::OpenMetrics),
        ] {
            assert_eq!(Exposition::wanted(accept), wanted, "{accept:?}");
        }
    }
}
