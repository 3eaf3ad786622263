//! Hashes of a prompt's leading blocks: two prompts that share a beginning share their first hashes.

use std::sync::Arc;

/// Bytes of one block.
const BLOCK: usize = 1_024;
/// Blocks of a prompt that are looked at.
const MAX_BLOCKS: usize = 32;

/// The chained hashes of the whole blocks of `text`, the longest prefix last. FNV-1a, which is fast and
/// needs no key: a collision costs a cache miss, nothing else.
pub fn prefix_blocks(text: &str) -> Arc<[u64]> {
    if text.len() < BLOCK {
        return Arc::from([]);
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    text.as_bytes()
        .chunks_exact(BLOCK)
        .take(MAX_BLOCKS)
        .map(|block| {
            for word in block.chunks_exact(8) {
                let word = word.iter().fold(0_u64, |acc, byte| (acc << 8) | u64::from(*byte));
                hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
                hash ^= hash >> 29;
            }
            hash
        })
        .collect()
}
