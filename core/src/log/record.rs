//! One line of the log, made of an event of `tracing`.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::model::{Timestamp, visible};

/// One line of the log.
#[derive(Debug, Clone)]
pub struct LogRecord {
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// The module that wrote the line, for example `cortensor_router::router`.
    pub target: &'static str,
    /// The text, followed by the fields as `name=value`.
    pub message: String,
}

impl LogRecord {
    /// The line of an event, behind which stands the number of lines that were lost before it.
    #[must_use]
    pub fn of(event: &Event<'_>, dropped: u64) -> Self {
        let mut text = Text::default();
        event.record(&mut text);
        if dropped > 0 {
            let _ = write!(text.fields, " dropped_before={dropped}");
        }
        Self {
            time_ms: Timestamp::wall_clock().0,
            level: word(*event.metadata().level()),
            target: event.metadata().target(),
            message: visible(&(text.message + &text.fields)).into_owned(),
        }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Libraries that log through the crate `log` repeat their source in fields of that name.
        if field.name().starts_with("log.") {
            return;
        }
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
