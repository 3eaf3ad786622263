//! One request of a workload.

use std::sync::Arc;

use cortensor_router::internals::engine::prefix_blocks;

/// Tokens of a prompt block, as the Mooncake trace counts them.
pub const BLOCK_TOKENS: u64 = 512;
/// Bytes of text that a token stands for, where a prompt is written out.
const TOKEN_BYTES: u64 = 4;
/// Clients of the fleet.
pub const SESSIONS: u64 = 100;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it comes, in milliseconds.
    pub at: u64,
    /// Whose it is.
    pub session: u64,
    /// Tokens.
    pub prompt: u64,
    /// Tokens of the answer, which nobody knows beforehand.
    pub output: u64,
    /// Its prompt's blocks, each named by all text up to its end.
    pub blocks: Arc<[u64]>,
    /// What the router makes of its prompt.
    pub prefix: Arc<[u64]>,
    /// When its client goes away, in milliseconds.
    pub deadline: u64,
}

impl Request {
    /// A request of one token at least, with an answer of one token at least.
    pub fn new(at: u64, session: u64, prompt: u64, output: u64) -> Self {
        let nothing: Arc<[u64]> = Arc::from([]);
        let (prompt, output) = (prompt.max(1), output.max(1));
        Self { at, session, prompt, output, blocks: nothing.clone(), prefix: nothing, deadline: u64::MAX }
    }

    /// With a prompt of those blocks. The router sees it as text.
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

    /// Seconds that it takes one of the fastest miners.
    pub fn work(&self) -> f64 {
        self.prompt as f64 / 8_000.0 + self.output as f64 / 40.0
    }
}
