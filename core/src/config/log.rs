//! The parts of requests and answers that the log shows.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

documented! {
/// The lines of the log, those that it has for requests, and those that the router keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The lines that the command logs: `info`, `debug`, or by module (`warn,cortensor_router=debug`). Nobody set it:
    /// `warn`. The flag `--log` and `CORTENSOR_LOG` win over it. An embedded router has `runtime.log_level`.
    #[serde(with = "crate::model::absent::text")]
    pub filter: Option<String>,
    /// Whether the line of a request shows its prompt and its answer. Default `false`: the log never has the text of
    /// a prompt or of an answer.
    pub prompts: bool,
    /// Bytes of a prompt, and of an answer, that such a line shows at most. Default 1024.
    pub prompt_bytes: usize,
    /// Lines of the log that the router keeps in memory for `GET /api/v1/logs` and the console, each of them up to
    /// 2 KiB; 0: none. They are the lines from `info` on, whatever level is written elsewhere, but for those about
    /// single requests. Default 1000, at most 100000.
    pub recent_lines: usize,
}
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: None, prompts: false, prompt_bytes: 1_024, recent_lines: 1_000 }
    }
}

impl LogConfig {
    pub(super) fn validate(&self) -> Result<()> {
        if self.recent_lines > 100_000 {
            return Err(Error::invalid("log.recent_lines", "log.recent_lines must be 0 to 100000"));
        }
        Ok(())
    }
}
