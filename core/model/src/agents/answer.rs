//! The answers of these routes.

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::attestation::Attestation;
use super::claim::Mode;
use super::consensus::{Disagreement, Strategy};
use super::opinion::{Finding, Opinion};
use super::tier::Tier;
use crate::hex::hex;
use crate::{Answer, Completion, Error, Standing, ToolCall, Usage};

/// The answer of one miner, or the reason why a replica has none.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Evidence<'a> {
    /// The replica, from 1 on, where several were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<u32>,
    /// The session of its task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u64>,
    /// Its task in that session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<u64>,
    /// The address of the miner.
    pub miner_id: &'a str,
    /// The model that answered, in the miner's words.
    pub model: Option<&'a str>,
    /// Milliseconds from the moment at which the miner got the task to its whole answer; `null` for an answer that
    /// comes from the store.
    pub latency_ms: Option<u64>,
    /// The answer.
    pub content: &'a str,
    /// The hexadecimal SHA-256 of the answer.
    pub sha256: String,
    /// Whether it agrees with the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
    /// The verdict that it gives on a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Finding>,
    /// Whether it gives that verdict by the rule; an answer that gives none counts as `RETRY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_parsed: Option<bool>,
    /// How right the claim is by this answer, from 0 to 1, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The tools that it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<serde_json::Value>, required = false))]
    pub tool_calls: Vec<ToolCall>,
    /// The reason why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// The reason why a replica has no answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Fault {
    /// The finest code of the error, or its kind.
    pub code: String,
    /// The problem and how to mend it.
    pub message: String,
}

impl<'a> Evidence<'a> {
    /// The answers of a task, the winner's first. `latency_ms` knows how long each miner took.
    pub fn of(done: &'a Completion, latency_ms: impl Fn(&str) -> Option<u64>) -> Vec<Self> {
        let each: Vec<(&'a str, &'a Answer)> = if done.alternatives.is_empty() {
            vec![(done.miner_address.as_str(), &done.answer)]
        } else {
            done.alternatives.iter().map(|(miner, answer)| (miner.as_str(), answer)).collect()
        };
        let agrees = |miner: &str| {
            let verdict = done.verdict.as_ref()?;
            verdict.per_miner.iter().find(|one| one.miner == miner).map(|one| one.agrees)
        };
        let evidence = |(miner, answer): (&'a str, &'a Answer)| Self {
            replica: None,
            session_id: Some(done.session_id.0),
            task_id: Some(done.task_id.0),
            miner_id: miner,
            model: answer.model.as_deref(),
            latency_ms: latency_ms(miner),
            content: &answer.text,
            sha256: hex(&Sha256::digest(answer.text.as_bytes())),
            agrees: agrees(miner),
            verdict: None,
            is_parsed: None,
            score: None,
            tool_calls: answer.said().tool_calls,
            error: None,
        };
        each.into_iter().map(evidence).collect()
    }

    /// A replica without an answer.
    pub fn failed(error: &Error) -> Self {
        let details = error.details();
        Self {
            replica: None,
            session_id: details.session_id.map(|id| id.0),
            task_id: details.task_id.map(|id| id.0),
            miner_id: "",
            model: None,
            latency_ms: None,
            content: "",
            sha256: String::new(),
            agrees: None,
            verdict: None,
            is_parsed: None,
            score: None,
            tool_calls: Vec::new(),
            error: Some(Fault { code: error.code().to_owned(), message: error.message().to_owned() }),
        }
    }

    /// The opinion that the answer gives, which it shows from now on.
    pub fn opine(&mut self) -> Opinion {
        let opinion = Opinion::of(self.content);
        self.verdict = Some(opinion.finding);
        self.is_parsed = Some(opinion.is_given);
        self.score = opinion.score;
        opinion
    }
}

/// How the replicas stand to each other.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Consensus {
    /// The replicas that were asked for.
    pub replicas: u32,
    /// Those that answered.
    pub answered: u32,
    /// The answers of the largest group that agrees.
    pub agreeing: u32,
    /// Different miners among those that answered: sessions may share miners.
    pub distinct_miners: u32,
    /// `agreed`, `disputed`, or `insufficient` where too few answered to say.
    pub status: Standing,
    /// `majority` or `unanimous`.
    pub strategy: Strategy,
    /// `return_all`, `fail_hard` or `best_effort`.
    pub disagreement_policy: Disagreement,
}

/// The answer to a delegation of the second or the third version.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DelegateAnswer<'a> {
    /// `completed`; `disputed` where the answers do not agree; `insufficient` where too few came to say.
    pub status: &'static str,
    /// The answer that was taken; `null` where the replicas do not agree and `disagreement_policy` is `return_all`.
    pub result: Option<&'a str>,
    /// Alias of `result`.
    pub output: Option<&'a str>,
    /// The tools that the answer calls, in OpenAI's form. The router calls none of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<serde_json::Value>, required = false))]
    pub tool_calls: Vec<ToolCall>,
    /// The policy; `null` where none was named and the session's rules hold.
    pub policy: Option<Tier>,
    /// The session of the answer that was taken.
    pub session_id: u64,
    /// Its task in that session.
    pub task_id: u64,
    /// The model that was asked for, else the one that answered.
    pub model: &'a str,
    /// Token counts of the answer that was taken.
    pub usage: Usage,
    /// Every answer, that of the result first in its task.
    pub evidence: Vec<Evidence<'a>>,
    /// How the replicas stand to each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consensus: Option<Consensus>,
    /// The caller's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<serde_json::Value>))]
    pub metadata: Option<&'a RawValue>,
}

/// The answer to a validation or to a check of facts.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ValidateAnswer<'a> {
    /// `VALID`, `INVALID`, `RETRY` or `NEEDS_SPEC`. `RETRY` also where too few miners agree.
    pub verdict: Finding,
    /// Whether the verdict is `VALID`.
    pub is_valid: bool,
    /// How right the claim is by all opinions for and against it, from 0 to 1.
    pub score: f64,
    /// The share of the miners asked that gave this verdict, from 0 to 1.
    pub confidence: f64,
    /// The reasons of those that gave this verdict, or the reason why there is none.
    pub reasons: Vec<String>,
    /// The miners that answered.
    pub k_miners: u32,
    /// The miners that were asked for.
    pub wanted_miners: u32,
    /// The policy; `null` where none was named.
    pub policy: Option<Tier>,
    /// The mode of a check of facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether `result_data` is the answer that the router has of that miner, where a task was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_recorded: Option<bool>,
    /// A hash over the claim, the answers and the verdict.
    pub attestation: Attestation,
    /// Every answer with the verdict that it gives.
    pub evidence: Vec<Evidence<'a>>,
    /// How the replicas stand to each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consensus: Option<Consensus>,
    /// The caller's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<serde_json::Value>))]
    pub metadata: Option<&'a RawValue>,
}
