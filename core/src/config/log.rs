//! The parts of requests and answers that the log shows.

use serde::{Deserialize, Serialize};

documented! {
/// The lines that the log has for requests. The level of the log itself is the flag `--log` of the command and
/// `runtime.log_level` of an embedded router.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Whether the line of a request shows its prompt and its answer. Default `false`: the log never has the text of
    /// a prompt or of an answer.
    pub prompts: bool,
    /// Bytes of a prompt, and of an answer, that such a line shows at most. Default 1024.
    pub prompt_bytes: usize,
}
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { prompts: false, prompt_bytes: 1_024 }
    }
}
