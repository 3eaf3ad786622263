//! One request of a workload.

use std::sync::Arc;

use cortensor_router::internals::engine::prefix_blocks;

/// The number of tokens in a prompt block, as in the Mooncake trace.
pub const BLOCK_TOKENS: u64 = 512;
/// The number of bytes that stand for one token in a written prompt.
const TOKEN_BYTES: u64 = 4;
/// The number of clients of the fleet.
pub const SESSIONS: u64 = 100;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The time of arrival, in milliseconds.
    pub at: u64,
    /// The session that the request belongs to.
    pub session: u64,
    /// The number of tokens of the prompt.
    pub prompt: u64,
    /// The number of tokens of the answer, which no policy knows beforehand.
    pub output: u64,
    /// The blocks of the prompt, each identified by all text up to its end.
    pub blocks: Arc<[u64]>,
    /// The router's marks of the prompt.
    pub prefix: Box<[u64]>,
    /// The time at which the client goes away, in milliseconds.
    pub deadline: u64,
}

impl Request {
    /// Makes a request. Prompt and answer have at least one token each.
    pub fn new(at: u64, session: u64, prompt: u64, output: u64) -> Self {
        let nothing: Arc<[u64]> = Arc::from([]);
        let (prompt, output) = (prompt.max(1), output.max(1));
        Self { at, session, prompt, output, blocks: nothing, prefix: Box::default(), deadline: u64::MAX }
    }

    /// Sets the blocks of the prompt. The router sees them as text.
    #[must_use]
    pub fn with_blocks(mut self, blocks: Vec<u64>) -> Self {
        let bytes = (self.prompt * TOKEN_BYTES) as usize;
        let mut text = String::with_capacity(bytes + 16);
        for block in &blocks {
            let word = format!("{block:015x} ");
            for _ in 0..BLOCK_TOKENS * TOKEN_BYTES / 16 {
                text.push_str(&word);
            }
        }
        text.truncate(bytes);
        self.prefix = prefix_blocks(&text);
        self.blocks = blocks.into();
        self
    }

    /// The seconds that one of the fastest miners needs for the request.
    pub fn work(&self) -> f64 {
        self.prompt as f64 / 8_000.0 + self.output as f64 / 40.0
    }
}
