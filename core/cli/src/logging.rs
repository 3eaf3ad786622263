//! Logs on standard error, as text or as JSON lines.

use std::fmt;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, registry, reload};

use crate::colors;
use crate::exit::{Done, Exit};
use crate::stderr::{self, Form, Log};
use cortensor_router::config::LogConfig;
use cortensor_router::internals::{Follow, LogRing, logs_no_secret, visible};
use cortensor_router::{Config, Error, Result};

/// The format of logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The flags that choose the log lines and their format.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct Logging {
    /// The lines to log: error, warn, info, debug, trace, or by module (`info,cortensor_router=debug`). Libraries never
    /// log at trace, because that would show tokens. Where none is given: `log.filter` of the configuration, else warn
    #[arg(long, value_name = "FILTER", env = "CORTENSOR_LOG")]
    log: Option<String>,
    /// The format of logs and of the text that `serve` prints
    #[arg(long, value_enum, env = "CORTENSOR_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// Writes fields with their control characters escaped. Much of the text in a log comes from a miner, an upstream or a
/// client, and it must neither add lines to the log nor steer a terminal.
struct OnOneLine;

impl<'w> FormatFields<'w> for OnOneLine {
    fn format_fields<R: RecordFields>(&self, out: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { out, begun: false, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

struct Line<'w> {
    out: Writer<'w>,
    begun: bool,
    written: fmt::Result,
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Libraries that log through the crate `log` repeat their source here; it stands at the front of the line
        // already.
        if self.written.is_err() || field.name().starts_with("log.") {
            return;
        }
        let text = format!("{value:?}");
        let (space, text) = (if self.begun { " " } else { "" }, visible(&text));
        self.begun = true;
        self.written = if field.name() == "message" {
            write!(self.out, "{space}{text}")
        } else {
            write!(self.out, "{space}{field}={text}")
        };
    }
}

/// Keeps lines in memory, for `GET /api/v1/logs`.
struct Recent(Arc<LogRing>);

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if LogRing::wants(event.metadata()) {
            self.0.take(event);
        }
    }
}

/// The filter of the log, which the configuration may change while the router runs.
pub(crate) struct LogFilter {
    set: Setter,
    /// Whether a flag or the environment sets it, so that the configuration does not.
    is_given: bool,
}

/// Puts another filter in force.
type Setter = Arc<dyn Fn(&str) + Send + Sync>;

/// The filter if nobody sets one.
const USUAL: &str = "warn";

fn parsed(filter: &str) -> std::result::Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(filter)
}

impl LogFilter {
    /// The filter of a configuration; `None`: the configuration has no say.
    fn of(&self, config: &LogConfig) -> Result<Option<String>> {
        if self.is_given {
            return Ok(None);
        }
        let filter = config.filter.as_deref().unwrap_or(USUAL);
        parsed(filter).map_err(|e| {
            let words = format!("log.filter {filter:?}: {e}: write it like info or warn,cortensor_router=debug");
            Error::invalid("log.filter", words)
        })?;
        Ok(Some(filter.to_owned()))
    }

    /// Logs as the configuration says, unless a flag says it.
    pub(crate) fn apply(&self, config: &LogConfig) -> Done {
        if let Some(filter) = self.of(config).map_err(|error| Exit::usage(error.message()))? {
            (self.set)(&filter);
        }
        Ok(())
    }
}

impl Follow for LogFilter {
    fn prepare(&self, old: &Config, new: &Config) -> Result<Box<dyn FnOnce() + Send>> {
        let filter = if old.log.filter == new.log.filter { None } else { self.of(&new.log)? };
        let set = self.set.clone();
        Ok(Box::new(move || filter.into_iter().for_each(|filter| set(&filter))))
    }
}

impl Logging {
    /// Starts logging. Gives the filter, for a configuration that is read later.
    pub(crate) fn start(&self) -> Done<LogFilter> {
        self.begin(None)
    }

    /// Starts logging, and keeps lines in that ring too.
    pub(crate) fn start_with(&self, ring: Arc<LogRing>) -> Done<LogFilter> {
        self.begin(Some(ring))
    }

    fn begin(&self, ring: Option<Arc<LogRing>>) -> Done<LogFilter> {
        if self.log_format == LogFormat::Json {
            Form::Lines.choose();
        }
        let given = self.log.as_deref().filter(|filter| !filter.trim().is_empty());
        let log = given.unwrap_or(USUAL);
        let asked = || {
            parsed(log).map_err(|e| {
                Exit::usage(format!("--log {log:?}: {e}: write it like info or warn,cortensor_router=debug"))
            })
        };
        // The layer of the ring gets every line that is written, too, and sorts them out itself. A look at whether a
        // line is wanted (`tracing::enabled!`) would else leave a mark at the layer that does not want it, and this
        // layer would then miss the next line of the thread.
        let (too, of_ring) = reload::Layer::new(asked()?);
        let kept = filter_fn(LogRing::wants).or(too.and(filter_fn(logs_no_secret)));
        let ring = ring.map(|ring| Recent(ring).with_filter(kept));
        let (filter, of_written) = reload::Layer::new(asked()?);
        let filter = filter.and(filter_fn(logs_no_secret));
        let written = tracing_subscriber::fmt::layer().with_writer(|| Log);
        let started = match self.log_format {
            LogFormat::Text => {
                let written = written.with_ansi(colors::on_stderr()).fmt_fields(OnOneLine).with_filter(filter);
                registry().with(ring).with(written).try_init()
            }
            LogFormat::Json => {
                registry().with(ring).with(written.json().flatten_event(true).with_filter(filter)).try_init()
            }
        };
        stderr::write_apart();
        started.map_err(|e| Exit::failed(format!("cannot start to log: {e}")))?;
        let set = move |filter: &str| {
            // It was parsed a moment ago.
            if let (Ok(one), Ok(other)) = (parsed(filter), parsed(filter)) {
                let _ = of_ring.reload(one);
                let _ = of_written.reload(other);
            }
        };
        Ok(LogFilter { set: Arc::new(set), is_given: given.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(what: impl FnOnce()) -> String {
        let page = Page::default();
        let sink = page.clone();
        let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || sink.clone());
        let log = builder.with_ansi(false).fmt_fields(OnOneLine).finish().with(filter_fn(logs_no_secret));
        tracing::subscriber::with_default(log, what);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_a_stranger_says_stays_on_its_line() {
        let said = "\u{1b}[31mred\r\nERROR forged";
        for line in [
            logged(|| tracing::warn!(message = %said, "a miner reports")),
            logged(|| tracing::warn!(code = %said, other = ?said, plain = said, "a miner reports an error")),
            logged(|| tracing::warn!("{said}")),
        ] {
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(!line.trim_end().contains(char::is_control) && line.contains("forged"), "{line:?}");
        }
    }

    #[test]
    fn no_library_logs_what_goes_over_the_wire() {
        let line = logged(|| {
            tracing::trace!(target: "tungstenite::protocol", "hello with ctr_token");
            tracing::trace!(target: "hyper::proto::h1", "authorization: Bearer ctr_token");
            tracing::debug!(target: "tungstenite::protocol", "closed");
            tracing::trace!(target: "cortensor_router::engine", "step");
        });
        assert!(!line.contains("ctr_token") && line.contains("closed") && line.contains("step"), "{line}");
    }
}
