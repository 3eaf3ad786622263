//! The vectors that an embedding request returns to a host.

use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::listener::EmbeddingCounts;
use crate::model::{Completion, SharedText, TaskRequest, Usage, Vectors, inputs};
use crate::{Error, ErrorKind, Result};

/// The vectors of texts, in the order of the texts.
#[derive(Debug, Clone)]
pub struct Embeddings {
    vectors: Vectors,
    model: String,
    usage: Usage,
    session_id: u64,
    task_id: u64,
    gid: u64,
    miner_address: SharedText,
}

impl Embeddings {
    pub(super) fn of(request: &TaskRequest, completion: &Completion) -> Result<Self> {
        let wanted = request.input.as_deref().map_or(1, inputs);
        let wrong = |message: String| {
            Error::new(ErrorKind::MinerFailed, message).with_ids(completion.session_id, Some(completion.task_id))
        };
        let vectors =
            completion.answer.vectors().ok_or_else(|| wrong("the miner's answer holds no vectors".to_owned()))?;
        if vectors.len() != wanted {
            return Err(wrong(format!("the miner answered {} vectors to {wanted} inputs", vectors.len())));
        }
        Ok(Self {
            vectors,
            model: completion.model.clone(),
            usage: completion.answer.usage,
            session_id: completion.session_id.0,
            task_id: completion.task_id.0,
            gid: completion.gid.0,
            miner_address: completion.miner_address.clone(),
        })
    }

    /// The vectors, one for each text of the input.
    pub fn vectors(&self) -> &[Vec<f64>] {
        &self.vectors
    }

    /// The model that made the vectors.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The record of `POST /v1/embeddings`, with `session_id`, `task_id`, `gid` and `miner_address` in addition.
    ///
    /// # Errors
    /// `Internal` if the record cannot be written as JSON.
    pub fn record(&self) -> Result<String> {
        let item = |(index, vector)| Embedding { embedding: vector, index, object: "embedding" };
        json::text(&EmbeddingsRecord {
            data: self.vectors.iter().map(Vec::as_slice).enumerate().map(item).collect(),
            gid: self.gid,
            miner_address: &self.miner_address,
            model: &self.model,
            object: "list",
            session_id: self.session_id,
            task_id: self.task_id,
            usage: EmbeddingCounts::from(self.usage),
        })
    }
}

/// Vectors of texts, in the order of the texts.
#[derive(Serialize, ToSchema)]
#[schema(as = Embeddings)]
pub(super) struct EmbeddingsRecord<'a> {
    /// The vectors, one for each text.
    data: Vec<Embedding<'a>>,
    /// The task among all sessions.
    gid: u64,
    /// The miner that made them.
    miner_address: &'a str,
    /// The model that made them.
    model: &'a str,
    /// `list`
    #[schema(pattern = "^(list)$")]
    object: &'static str,
    /// The session.
    session_id: u64,
    /// The task in its session.
    task_id: u64,
    /// Tokens of the texts.
    #[schema(value_type = Usage)]
    usage: EmbeddingCounts,
}

/// A vector.
#[allow(clippy::struct_field_names, reason = "these are the names on the wire")]
#[derive(Serialize, ToSchema)]
pub(super) struct Embedding<'a> {
    /// Its numbers.
    embedding: &'a [f64],
    /// The input it belongs to, from 0.
    index: usize,
    /// `embedding`
    #[schema(pattern = "^(embedding)$")]
    object: &'static str,
}
