//! Changes inputs by chance.

use cortensor_router_testkit::random::Random;

/// The greatest length of a changed input, in bytes.
const LONGEST: usize = 8 << 10;

/// The most changes of one input.
const CHANGES: u64 = 6;

/// Bytes that mean something to the readers.
const BYTES: &[u8] = b"{}[]\",:\\\n\r \t0-.eE=&#'\0\x7f\xff\xc3\xed\xf0";

/// Texts that mean something to the readers of all targets.
const WORDS: &[&str] = &[
    "null",
    "true",
    "-1",
    "0.5",
    "1e999",
    "18446744073709551616",
    "NaN",
    "\"\"",
    "[]",
    "{}",
    "[[[[",
    "{\"a\":{\"a\":",
    "\\u0000",
    "\\ud83d",
    "\\ude00",
    "\u{feff}",
    "😀",
    "\r\n",
    "\n\n",
    "data: ",
    "event: error\n",
    "[DONE]",
];

/// Makes a new input of one of the corpus, with words of the target.
pub(crate) fn changed(random: &mut Random, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut data = pick(random, corpus).cloned().unwrap_or_default();
    for _ in 0..random.range(1, CHANGES) {
        change(random, &mut data, corpus, words);
    }
    data.truncate(LONGEST);
    data
}

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> Option<&'a T> {
    if from.is_empty() { None } else { from.get(random.below(from.len() as u64) as usize) }
}

/// A place in a text of that length, its end included.
fn place(random: &mut Random, length: usize) -> usize {
    random.below(length as u64 + 1) as usize
}

/// A part of a text of that length.
fn part(random: &mut Random, length: usize) -> std::ops::Range<usize> {
    let from = place(random, length);
    let most = if random.chance(80) { 16 } else { length };
    from..(from + place(random, most)).min(length)
}

fn change(random: &mut Random, data: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
    let at = place(random, data.len());
    match random.below(8) {
        0 => {
            if let (Some(byte), Some(new)) = (data.get_mut(at), pick(random, BYTES)) {
                *byte = *new;
            }
        }
        1 => {
            let bit = random.below(8);
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        2 => {
            let gone = part(random, data.len());
            data.drain(gone);
        }
        3 => {
            let all = if random.chance(50) { WORDS } else { words };
            if let Some(word) = pick(random, all) {
                data.splice(at..at, word.bytes());
            }
        }
        4 => {
            // A part again, next to itself or elsewhere.
            let again = data[part(random, data.len())].to_vec();
            data.splice(at..at, again);
        }
        5 => {
            if let Some(other) = pick(random, corpus) {
                let taken = other[part(random, other.len())].to_vec();
                data.splice(at..at, taken);
            }
        }
        6 => {
            let old = part(random, data.len());
            if let Some(word) = pick(random, words) {
                data.splice(old, word.bytes());
            }
        }
        _ => {
            let times = random.range(2, 40) as usize;
            let again = data[part(random, data.len())].repeat(times);
            data.splice(at..at, again);
        }
    }
    data.truncate(LONGEST * 2);
}
