//! The head of the screen of `top`: the router, its counts, and the rates of the last minute.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::desk::Desk;
use super::draw::{bold, of_state};
use crate::output::{self, text};
use crate::overview::number;
use crate::table::one_line;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, desk: &Desk, colored: bool) {
    let status = &desk.board.status;
    let state = match &desk.away {
        Some((since, _)) => {
            let seconds = since.elapsed().as_secs();
            Span::styled(format!("no answer for {}", output::span(seconds)), of_state("down", colored).patch(bold()))
        }
        None if desk.paused => Span::styled("paused", bold()),
        None => {
            let word = one_line(&text(status, "status"));
            let style = of_state(&word, colored);
            Span::styled(word, style)
        }
    };
    let counts = vec![
        Span::raw("queued "),
        Span::styled(text(status, "queued_tasks"), bold()),
        Span::raw("  running "),
        Span::styled(text(status, "running_tasks"), bold()),
        Span::raw(format!(
            "  miners {}/{}  sessions {}",
            text(status, "active_miners"),
            text(status, "miner_count"),
            text(status, "active_sessions")
        )),
    ];
    if area.height < 3 {
        let line: Vec<_> = [state, Span::raw("  ")].into_iter().chain(counts).collect();
        frame.render_widget(Line::from(line), area);
        return;
    }
    let title = Line::from(vec![
        Span::styled("cortensor-router ", bold()),
        Span::raw(one_line(&format!(
            "{} {}  up {}  {:.0} MiB",
            text(status, "version"),
            desk.url,
            output::span(number(status, "uptime")),
            status.get("memory_usage").and_then(serde_json::Value::as_f64).unwrap_or_default()
        ))),
        Span::raw("  "),
        state,
    ]);
    let rates = &desk.board.rates;
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let line = format!(
        "tokens/s {}  tasks/s {}  failed/s {}  first token {} (p95 {})  waited p95 {}",
        rate(rates.tokens),
        rate(rates.ended),
        rate(rates.failed),
        time(rates.first_token),
        time(rates.first_token_p95),
        time(rates.waited_p95)
    );
    frame.render_widget(Paragraph::new(vec![title, Line::from(counts), Line::from(line)]), area);
}

/// A time in the unit that suits it.
pub(super) fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1_000.0),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_unit() {
        assert_eq!([time(None), time(Some(0.0123)), time(Some(2.34))], ["-", "12 ms", "2.3 s"]);
    }
}
