//! The bodies of these routes as the OpenAPI document describes them, and the one answer that is a completion.
//!
//! [`crate::model::agents`] reads the bodies. Their types describe what it reads, and nothing else uses them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::CompletionRecord;
use crate::model::agents::Evidence;

/// A prompt to be worked on. The members of a completion's request work here too.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct DelegateBody {
    /// The prompt. Required unless there is a `task_request_input`.
    prompt: Option<String>,
    /// Older name of `prompt`.
    task_request_input: Option<String>,
    /// Accepted and without effect.
    task_domain: Option<String>,
    /// Accepted and without effect.
    task_type: Option<String>,
    /// Accepted and without effect.
    evaluation_mode: Option<String>,
    /// The session, by its number or its 0x and 64 digits.
    session_id: Option<Value>,
    /// The rules by which several miners answer. Missing: the session's.
    policy: Option<PolicyOrParts>,
    /// 0: the model's chat template is applied; 1: the prompt goes to the model as it is.
    #[schema(minimum = 0, maximum = 1)]
    prompt_type: Option<u8>,
    /// The model, as `/v1/models` lists it.
    model: Option<String>,
    /// Whether the answer is wanted as it comes, as server-sent events.
    stream: Option<bool>,
    /// Seconds until the task is given up.
    timeout: Option<f64>,
    /// The most tokens to generate.
    #[schema(minimum = 1)]
    max_tokens: Option<u64>,
}

/// An objective to be worked on. Members that are not listed pass through to the miner.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ObjectiveBody {
    /// The work that is to be done.
    #[schema(min_length = 1)]
    objective: String,
    /// The material for it: a text, or any other JSON.
    input: Option<Value>,
    /// How the work is done.
    execution: Option<Execution>,
    /// The rules by which several miners answer. Missing: the session's.
    policy: Option<PolicyOrParts>,
    /// Functions that the model may call, as in OpenAI's chats. Their calls come back in `tool_calls`.
    tools: Option<Vec<Value>>,
    /// Steps for the model to follow: a text, or any other JSON.
    workflow: Option<Value>,
    /// The session, by its number or its 0x and 64 digits.
    session_id: Option<Value>,
    /// The caller's own data, given back with the answer.
    metadata: Option<Value>,
}

/// An objective to be worked on by replicas.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ConsentedBody {
    #[serde(flatten)]
    objective: ObjectiveBody,
    /// The replicas. Missing: three.
    consensus: Option<ConsensusBody>,
}

/// The replicas of a request.
#[derive(Serialize, ToSchema)]
#[schema(as = Replicas)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ConsensusBody {
    /// Their number: 1, 3 or 5. Default 3.
    #[schema(minimum = 1, maximum = 5)]
    replicas: Option<u32>,
    /// The sessions of the replicas, one for each. Missing: those of the configuration (`agents`), else as many miners
    /// of one session.
    session_pool: Option<Vec<Value>>,
    /// `majority` (default) or `unanimous`.
    #[schema(pattern = "^(majority|unanimous)$")]
    strategy: Option<String>,
    /// The consequence if the replicas do not agree: `return_all` (default), `fail_hard` (409) or `best_effort`.
    #[schema(pattern = "^(return_all|fail_hard|best_effort)$")]
    disagreement_policy: Option<String>,
}

/// How work is done. Members that are not listed, such as `temperature`, pass through to the miner.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct Execution {
    /// The model, as `/v1/models` lists it.
    model: Option<String>,
    /// The most tokens to generate.
    #[schema(minimum = 1)]
    max_tokens: Option<u64>,
    /// Seconds until the task is given up.
    timeout: Option<f64>,
    /// The session, by its number or its 0x and 64 digits.
    session_id: Option<Value>,
}

/// A policy, or a policy with rules of the caller's own.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) enum PolicyOrParts {
    /// `fast`: one miner. `safe`: three, of which two must agree. `oracle`: five, of which three must agree, and one
    /// more where they do not. `adaptive`: two, and a third one where they differ.
    #[schema(title = "policy")]
    Policy(String),
    /// Rules over those of a policy.
    #[schema(title = "rules")]
    Parts(PolicyParts),
}

/// Rules over those of a policy.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct PolicyParts {
    /// `fast`, `safe`, `oracle` or `adaptive`.
    tier: Option<String>,
    /// The number of miners, at most `limits.max_answers`.
    #[schema(minimum = 1)]
    redundancy: Option<u32>,
    /// `first`, `quorum`, `medoid` or `all`. A validation takes no notice of this and of the next two members.
    validation_policy: Option<String>,
    /// `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.
    r#match: Option<String>,
    /// From this score on two answers match.
    #[schema(minimum = 0, maximum = 1)]
    min_score: Option<f64>,
    /// Whether one more miner is asked where the answers do not agree.
    tie_break: Option<bool>,
}

/// A result to be judged: it is in the request, or it is the answer to a task that the router has. Members that are not
/// listed pass through to the miners.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ResultBody {
    /// The question or the task.
    task_request_input: Option<String>,
    /// The answer to it.
    task_result_output: Option<String>,
    /// A word about the task, which the miners are told.
    task_domain: Option<String>,
    /// A word about the task, which the miners are told.
    task_type: Option<String>,
    /// A word about the validation, which the miners are told.
    evaluation_mode: Option<String>,
    /// The session, by its number or its 0x and 64 digits.
    session_id: Option<Value>,
    /// The task in that session whose answer is judged.
    task_id: Option<u64>,
    /// The address of the miner that gave the answer. Missing: the one whose answer was taken.
    miner_address: Option<String>,
    /// The answer as the caller has it. Missing: as the router has it.
    result_data: Option<String>,
    /// The number of miners. Missing: `agents.validators`.
    policy: Option<PolicyOrParts>,
}

/// A claim to be judged. Members that are not listed pass through to the miners.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ClaimBody {
    /// The claim: a text, or any other JSON.
    claim: Value,
    /// Facts beside it: a text, or any other JSON.
    context: Option<Value>,
    /// The number of miners. Missing: `agents.validators`.
    policy: Option<PolicyOrParts>,
    /// The name of the one that claims it. Accepted and without effect.
    actor: Option<Value>,
    /// How the miners work.
    execution: Option<Execution>,
    /// The session, by its number or its 0x and 64 digits.
    session_id: Option<Value>,
    /// The caller's own data, given back with the answer.
    metadata: Option<Value>,
}

/// A claim to be judged by replicas.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ClaimReplicasBody {
    #[serde(flatten)]
    claim: ClaimBody,
    /// The replicas. Missing: three.
    consensus: Option<ConsensusBody>,
}

/// A fact to be checked. Members that are not listed pass through to the miners.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct FactBody {
    /// The claim: a text, or any other JSON.
    claim: Value,
    /// `standard` (default), or `realtime`: the miners are told the date and asked to look things up.
    #[schema(pattern = "^(standard|realtime)$")]
    mode: Option<String>,
    /// The number of miners, at least 3. Missing: the policy's, else 3.
    #[schema(minimum = 3)]
    redundancy: Option<u32>,
    /// Facts beside it: a text, or any other JSON.
    context: Option<Value>,
    /// The number of miners, if there is no `redundancy`.
    policy: Option<PolicyOrParts>,
    /// The session, by its number or its 0x and 64 digits.
    session_id: Option<Value>,
}

/// A completion with its miners.
#[derive(Serialize, ToSchema)]
pub(super) struct DelegateCompletion<'a> {
    #[serde(flatten)]
    pub(super) completion: CompletionRecord<'a>,
    /// Every answer, the one that was taken first.
    pub(super) responses: Vec<Said<'a>>,
}

/// The answer of one miner.
#[derive(Serialize, ToSchema)]
#[schema(as = MinerResponse)]
pub(super) struct Said<'a> {
    /// The address of the miner.
    miner_id: &'a str,
    /// The answer.
    content: &'a str,
    /// Milliseconds from the moment at which the miner got the task to its whole answer; `null` for an answer that
    /// comes from the store.
    latency_ms: Option<u64>,
    /// The model that answered, in the miner's words.
    model: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// The answer as the first version shows it.
    pub(super) fn of(evidence: &Evidence<'a>) -> Self {
        let Evidence { miner_id, content, latency_ms, model, .. } = *evidence;
        Self { miner_id, content, latency_ms, model }
    }
}
