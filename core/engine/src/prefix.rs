//! Remembers which miners have read which beginnings of prompts. A prompt is hashed at some marks, and two prompts
//! that share a beginning share the hashes of the marks within it.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::rules::MinerKey;

/// Bytes to the first mark.
const STEP: usize = 1_024;
/// Marks in one group. Within a group the distance between marks is constant; each following group uses four times
/// the distance of the one before.
const EVEN: usize = 8;
/// Marks of a prompt. The last one is at 680 KiB, so that the turns of a long conversation can be told apart.
const MARKS: usize = 32;
/// A match within a prompt of this many bytes counts half, because reading a short prompt again costs next to
/// nothing.
const SHORT: f64 = 4_096.0;

/// The number of bytes up to that mark.
fn mark_end(index: usize) -> usize {
    let (spread, within) = (1 << (2 * (index / EVEN)), index % EVEN + 1);
    STEP * (EVEN * (spread - 1) / 3 + within * spread)
}

/// The chained hashes of `text` up to each of its marks, the longest prefix last. FNV-1a is fast and needs no key; a
/// collision costs a cache miss and nothing else.
pub fn prefix_blocks(text: &str) -> Box<[u64]> {
    if text.len() < STEP {
        return Box::default();
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut from = 0;
    (0..MARKS)
        .map_while(|index| {
            let end = mark_end(index);
            for word in text.as_bytes().get(from..end)?.chunks_exact(8) {
                let word = word.iter().fold(0_u64, |acc, byte| (acc << 8) | u64::from(*byte));
                hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
                hash ^= hash >> 29;
            }
            from = end;
            Some(hash)
        })
        .collect()
}

/// The memory of one mark.
#[derive(Debug)]
struct Held {
    mark: u64,
    /// The miners that read it, the last one last.
    miners: SmallVec<[MinerKey; 4]>,
    /// Whether the mark was read again since the memory last considered forgetting it.
    again: bool,
}

/// The miners that have lately read each prefix.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// The marks by their hashes, with the seed below. Callers choose their prompts, and may not know where marks meet.
    held: HashTable<Held>,
    seed: RandomState,
    /// The marks in the order in which the memory considers forgetting them. A mark that was read again in the
    /// meantime gets a second chance.
    order: VecDeque<u64>,
}

/// Some miners, and the share of a task's prompt that each of them has read.
pub(super) type Matches = SmallVec<[(MinerKey, f64); 4]>;

/// The greatest number of marks that are remembered, of all miners together.
const MAX_PREFIXES: usize = 65_536;
/// The greatest number of miners that are remembered for one mark.
const MAX_HOLDERS: usize = 8;

impl Prefixes {
    pub(super) fn note(&mut self, marks: &[u64], miner: MinerKey) {
        for mark in marks {
            let hash = self.seed.hash_one(mark);
            let entry = self.held.entry(hash, |held| held.mark == *mark, |held| self.seed.hash_one(held.mark));
            let held = entry.or_insert_with(|| {
                self.order.push_back(*mark);
                Held { mark: *mark, miners: SmallVec::new(), again: false }
            });
            let held = held.into_mut();
            held.again |= !held.miners.is_empty();
            held.miners.retain(|one| *one != miner);
            held.miners.push(miner);
            if held.miners.len() > MAX_HOLDERS {
                held.miners.remove(0);
            }
        }
        while self.order.len() > MAX_PREFIXES {
            let Some(old) = self.order.pop_front() else { return };
            let Ok(mut held) = self.held.find_entry(self.seed.hash_one(old), |held| held.mark == old) else { continue };
            if std::mem::take(&mut held.get_mut().again) {
                self.order.push_back(old);
            } else {
                held.remove();
            }
        }
    }

    /// The miners that have read the most of the prompt, and how much of it.
    pub(super) fn matches(&self, marks: &[u64]) -> Matches {
        let mut out = Matches::new();
        let Some(last) = marks.len().checked_sub(1) else { return out };
        let whole = mark_end(last) as f64 + SHORT;
        for (index, mark) in marks.iter().enumerate().rev() {
            let held = self.held.find(self.seed.hash_one(mark), |held| held.mark == *mark);
            for miner in held.map_or(&[][..], |held| &held.miners) {
                if !out.iter().any(|(one, _)| one == miner) {
                    out.push((*miner, mark_end(index) as f64 / whole));
                }
            }
            if out.len() >= MAX_HOLDERS {
                break;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_and_its_continuation_share_the_marks_of_the_first() {
        let first = (0..9_000).fold(String::new(), |text, n| text + &format!("{n:08} "));
        let (short, long) = (prefix_blocks(&first[..30_000]), prefix_blocks(&first));
        assert_eq!(short[..], long[..short.len()]);
        assert_eq!((short.len(), long.len()), (13, 18));
        assert_eq!((mark_end(0), mark_end(7), mark_end(8), mark_end(31)), (1_024, 8_192, 12_288, 680 * 1_024));
        let other = format!("x{first}");
        assert!(prefix_blocks(&other).iter().all(|mark| !long.contains(mark)));
        assert!(prefix_blocks("short").is_empty());
    }

    #[test]
    fn the_longest_match_of_each_miner_counts_and_old_marks_are_forgotten() {
        let mut prefixes = Prefixes::default();
        prefixes.note(&[1, 2], MinerKey(1));
        prefixes.note(&[1, 2, 3, 4], MinerKey(2));
        let matches = prefixes.matches(&[1, 2, 3, 5]);
        let shares: Vec<_> = matches.iter().map(|(miner, share)| (miner.0, (share * 8_192.0) as u64)).collect();
        assert_eq!(shares, [(2, 3 * 1_024), (1, 2 * 1_024)]);
        assert!(prefixes.matches(&[9]).is_empty());
        for mark in 10..10 + 2 * MAX_PREFIXES as u64 {
            prefixes.note(&[mark], MinerKey(3));
            prefixes.note(&[1], MinerKey(2));
        }
        assert_eq!(prefixes.held.len(), MAX_PREFIXES);
        assert!(prefixes.matches(&[10]).is_empty());
        assert_eq!(prefixes.matches(&[1]).len(), 2, "what is read again and again is kept");
    }
}
