//! A task as a row, and back.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Row;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{
    Answer, Fence, FinishReason, Gid, MinerResult, Outcome, SessionId, Task, TaskId, TaskState, Timestamp, Usage,
    Verdict,
};
use crate::{Error, Result};

/// The columns that [`task`] reads, in its order.
pub(super) const COLUMNS: &str = "gid, session_id, id, band, outcome, attempts, fence, created_at, started_at, \
     first_token_at, precommitted_at, committed_at, ended_at, deadline, assigned_miners, verdict, failure, request, \
     text, results, raw";

/// An integer of the model in a column: the same 64 bits.
pub(super) fn int(value: u64) -> i64 {
    value.cast_signed()
}

/// An integer of a column in the model.
pub(super) fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// One miner's answer in the column `results`. Raw answers lie one after the other in the column `raw`.
#[derive(Serialize, Deserialize)]
struct ResultRow<'a> {
    miner: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty", default)]
    hash: Cow<'a, str>,
    /// `None`: the task's text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<Cow<'a, str>>,
    finish_reason: Cow<'a, str>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    model: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    raw: Option<usize>,
}

/// The columns of a task's end that need encoding.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) assigned_miners: Option<String>,
    pub(super) verdict: Option<String>,
    pub(super) results: Option<String>,
    pub(super) raw: Option<Vec<u8>>,
}

/// Encodes what is not a plain value.
pub(super) fn ending(task: &Task) -> Result<Ending> {
    let mut raw: Option<Vec<u8>> = None;
    let results: Vec<ResultRow<'_>> = task
        .results
        .iter()
        .map(|MinerResult { miner, answer, hash }| {
            if let Some(bytes) = &answer.raw {
                raw.get_or_insert_default().extend_from_slice(bytes);
            }
            ResultRow {
                miner: Cow::Borrowed(miner),
                hash: Cow::Borrowed(hash),
                text: (answer.text != task.text).then_some(Cow::Borrowed(answer.text.as_str())),
                finish_reason: Cow::Borrowed(answer.finish_reason.as_str()),
                usage: answer.usage,
                model: answer.model.as_deref().map(Cow::Borrowed),
                raw: answer.raw.as_ref().map(Bytes::len),
            }
        })
        .collect();
    let verdict = task.verdict.as_ref().map(|verdict| {
        // JSON has no NaN: it would come back as null and make the row unreadable.
        let score = if verdict.score.is_finite() { verdict.score } else { 0.0 };
        json(&Verdict { score, ..verdict.clone() })
    });
    Ok(Ending {
        assigned_miners: (!task.assigned_miners.is_empty()).then(|| json(&task.assigned_miners)).transpose()?,
        verdict: verdict.transpose()?,
        results: (!results.is_empty()).then(|| json(&results)).transpose()?,
        raw,
    })
}

/// A value as JSON text.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(format!("the store cannot keep this: {e}")))
}

/// Why a row cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("column {0}: {1}")]
    Column(&'static str, String),
}

pub(super) fn parse<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, RowError> {
    serde_json::from_str(text).map_err(|e| RowError::Column(column, e.to_string()))
}

/// Reads a row of [`COLUMNS`] into a task and its band.
pub(super) fn task(row: &Row<'_>) -> Result<(Task, u8), RowError> {
    let time = |column| uint(row, column).map(Timestamp);
    let text_of = |column| -> rusqlite::Result<Option<&str>> { Ok(row.get_ref(column)?.as_str_or_null()?) };
    let outcome = match text_of(4)? {
        None => None,
        Some(word) => Some(
            Outcome::from_word(word).ok_or_else(|| RowError::Column("outcome", format!("{word:?} is no outcome")))?,
        ),
    };
    let ended_at = row.get::<_, Option<i64>>(12)?;
    let text = text_of(18)?.unwrap_or_default();
    let results = match text_of(19)? {
        None => Vec::new(),
        Some(results) => {
            miner_results(results, text, row.get_ref(20)?.as_blob_or_null().map_err(rusqlite::Error::from)?)?
        }
    };
    let task = Task {
        gid: Gid(uint(row, 0)?),
        session_id: SessionId(uint(row, 1)?),
        id: TaskId(uint(row, 2)?),
        request: Arc::new(parse("request", text_of(17)?.unwrap_or_default())?),
        state: if ended_at.is_some() { TaskState::Ended } else { TaskState::Queued },
        outcome,
        created_at: time(7)?,
        started_at: time(8)?,
        first_token_at: time(9)?,
        precommitted_at: time(10)?,
        committed_at: time(11)?,
        ended_at: Timestamp(ended_at.unwrap_or_default().cast_unsigned()),
        deadline: time(13)?,
        assigned_miners: text_of(14)?.map(|miners| parse("assigned_miners", miners)).transpose()?.unwrap_or_default(),
        results,
        text: text.to_owned(),
        attempts: row.get(5)?,
        verdict: text_of(15)?.map(|verdict| parse("verdict", verdict)).transpose()?,
        failure: text_of(16)?.map(str::to_owned),
        fence: Fence(uint(row, 6)?),
        queue_position: None,
    };
    Ok((task, row.get(3)?))
}

fn miner_results(json: &str, text: &str, raw: Option<&[u8]>) -> Result<Vec<MinerResult>, RowError> {
    let rows: Vec<ResultRow<'_>> = parse("results", json)?;
    let mut rest = raw.unwrap_or_default();
    rows.into_iter()
        .map(|row| {
            let raw = match row.raw {
                None => None,
                Some(length) => {
                    let (own, others) = rest
                        .split_at_checked(length)
                        .ok_or_else(|| RowError::Column("raw", "it is shorter than `results` says".to_owned()))?;
                    rest = others;
                    Some(Bytes::copy_from_slice(own))
                }
            };
            Ok(MinerResult {
                miner: row.miner.into_owned(),
                hash: row.hash.into_owned(),
                answer: Answer {
                    text: row.text.map_or_else(|| text.to_owned(), Cow::into_owned),
                    finish_reason: FinishReason::from(row.finish_reason.as_ref()),
                    usage: row.usage,
                    model: row.model.map(Cow::into_owned),
                    raw,
                    sha256: None,
                },
            })
        })
        .collect()
}
