//! Reads public traces: Azure's LLM inference traces of 2023 (CC-BY 4.0, Azure/AzurePublicDataset) and Mooncake's
//! conversation trace (Apache-2.0, kvcache-ai/Mooncake). Neither is part of the project.

use std::path::Path;

use serde::Deserialize;

use crate::request::{BLOCK_TOKENS, Request, SESSIONS};

/// The file of Azure's conversations.
pub const CONVERSATION: &str = "azure_llm_2023_conv.csv";
/// The file of Azure's code completions.
pub const CODE: &str = "azure_llm_2023_code.csv";
/// The file of Mooncake's conversations.
pub const MOONCAKE: &str = "mooncake_conversation.jsonl";

const AZURE_HEAD: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}; --traces names its directory", path.display()))
}

/// Parses the lines of a file, each with its number, by `line`. The requests must be in order of time.
fn lines(
    path: &Path,
    text: &str,
    skip: usize,
    line: impl Fn(&str) -> Result<Request, String>,
) -> Result<Vec<Request>, String> {
    let mut out = Vec::new();
    for (index, one) in text.lines().enumerate().skip(skip).filter(|(_, one)| !one.trim().is_empty()) {
        out.push(line(one).map_err(|why| format!("{}, line {}: {why}", path.display(), index + 1))?);
    }
    if out.is_empty() {
        return Err(format!("{}: there is no request in it", path.display()));
    }
    out.sort_by_key(|one: &Request| one.at);
    Ok(out)
}

/// Reads the requests of one of Azure's files: arrival, tokens of the prompt, tokens of the answer.
///
/// # Errors
/// A text that names the line and the fault, when the file or a line of it cannot be read.
pub fn azure(path: &Path) -> Result<Vec<Request>, String> {
    azure_text(path, &read(path)?)
}

/// Reads the requests from the text of one of Azure's files; errors name `path`.
///
/// # Errors
/// A text that names the line and the fault, when a line is malformed.
pub fn azure_text(path: &Path, text: &str) -> Result<Vec<Request>, String> {
    if text.lines().next().map(str::trim_end) != Some(AZURE_HEAD) {
        return Err(format!("{}, line 1: the columns must be {AZURE_HEAD}", path.display()));
    }
    lines(path, text, 1, |line| {
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        let [at, prompt, output] = cells[..] else {
            return Err(format!("there are {} columns; they must be {AZURE_HEAD}", cells.len()));
        };
        Ok(Request::new(moment(at)?, 0, tokens("ContextTokens", prompt)?, tokens("GeneratedTokens", output)?))
    })
}

fn tokens(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{name} is {text:?}, which is no number of tokens"))
}

/// Converts a time such as `2023-11-16 18:17:03.9799600` to milliseconds since a fixed day about 1970.
fn moment(text: &str) -> Result<u64, String> {
    let read = || -> Option<u64> {
        let (date, time) = text.split_once(' ')?;
        let date: Vec<u64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let [year, month, day] = date[..] else { return None };
        let (hours, rest) = time.split_once(':')?;
        let (minutes, seconds) = rest.split_once(':')?;
        let (hours, minutes, seconds): (u64, u64, f64) =
            (hours.parse().ok()?, minutes.parse().ok()?, seconds.parse().ok()?);
        let sound = (1970..3000).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hours < 24
            && minutes < 60
            && (0.0..61.0).contains(&seconds);
        // All lines of a trace are of one month; only the distance between them matters.
        let days = (year - 1970) * 366 + (month - 1) * 31 + day;
        sound.then(|| ((days * 24 + hours) * 60 + minutes) * 60_000 + (seconds * 1_000.0) as u64)
    };
    read().ok_or_else(|| format!("TIMESTAMP is {text:?}, which is no time such as 2023-11-16 18:17:03.9799600"))
}

#[derive(Deserialize)]
struct Turn {
    timestamp: u64,
    input_length: u64,
    output_length: u64,
    hash_ids: Vec<u64>,
}

/// Reads the requests of Mooncake's file: arrival, lengths, and the blocks of the prompt.
///
/// # Errors
/// As [`azure`].
pub fn mooncake(path: &Path) -> Result<Vec<Request>, String> {
    mooncake_text(path, &read(path)?)
}

/// Reads the requests from the text of Mooncake's file; errors name `path`.
///
/// # Errors
/// A text that names the line and the fault, when a line is malformed.
pub fn mooncake_text(path: &Path, text: &str) -> Result<Vec<Request>, String> {
    lines(path, text, 0, |line| {
        let turn: Turn = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let blocks = turn.input_length.div_ceil(BLOCK_TOKENS);
        if turn.hash_ids.len() as u64 != blocks {
            let held = turn.hash_ids.len();
            return Err(format!("input_length {} is {blocks} blocks, hash_ids holds {held}", turn.input_length));
        }
        // All prompts begin with one block; the second block tells conversations apart.
        let session = turn.hash_ids.get(1).or(turn.hash_ids.first()).copied().unwrap_or(0) % SESSIONS;
        Ok(Request::new(turn.timestamp, session, turn.input_length, turn.output_length).with_blocks(turn.hash_ids))
    })
}
