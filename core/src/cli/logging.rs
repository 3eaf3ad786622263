//! Logs: to standard error, as text or as JSON lines.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::cli::exit::{Done, Exit};
use crate::cli::stderr::{self, Form, Log};

/// The form of logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(in crate::cli) struct Logging {
    /// What is logged: error, warn, info, debug, trace, or by module (`info,cortensor_router=debug`)
    #[arg(long, value_name = "FILTER", env = "CORTENSOR_LOG", default_value = "warn")]
    log: String,
    /// The form of logs and of what `serve` prints
    #[arg(long, value_enum, env = "CORTENSOR_LOG_FORMAT", default_value = "text")]
    pub(in crate::cli) log_format: LogFormat,
}

impl Logging {
    /// Starts to log.
    pub(in crate::cli) fn start(&self) -> Done {
        if self.log_format == LogFormat::Json {
            Form::Lines.choose();
        }
        let filter = EnvFilter::builder().parse(&self.log).map_err(|e| {
            Exit::usage(format!("--log {:?}: {e}: write it like info or warn,cortensor_router=debug", self.log))
        })?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Log);
        let started = match self.log_format {
            LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
        stderr::write_apart();
        started.map_err(|e| Exit::failed(format!("cannot start to log: {e}")))
    }
}
