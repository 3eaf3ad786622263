// Code generated from the schema by `cargo xtask gen`; DO NOT EDIT.

package cortensor

// FailCode: The reason why an attempt failed. It decides whether another miner is tried and whether this one is
// blamed.
type FailCode string

// The values of FailCode.
const (
	FailOverloaded  FailCode = "overloaded"
	FailContext     FailCode = "context"
	FailInvalid     FailCode = "invalid"
	FailModel       FailCode = "model"
	FailRefused     FailCode = "refused"
	FailCredentials FailCode = "credentials"
	FailUnreadable  FailCode = "unreadable"
	FailInternal    FailCode = "internal"
	FailUnreachable FailCode = "unreachable"
	FailCancelled   FailCode = "cancelled"
)

// HardwareOptions: The hardware of a miner, as the miner describes it.
type HardwareOptions struct {
	// GPU: The accelerator, at most 256 bytes.
	GPU string `json:"gpu,omitempty"`

	// Vram: Its memory, in MiB; 0 where it does not say.
	Vram *int64 `json:"vram,omitempty"`

	// CPU: The processor, at most 256 bytes.
	CPU string `json:"cpu,omitempty"`
}

// ModelOptions: A model of a miner, as the miner describes it. The router checks none of it but the name.
type ModelOptions struct {
	// ID: Its name, as it is asked for; 1 to 256 bytes.
	ID string `json:"id,omitempty"`

	// Digest: A digest of its weights, at most 256 bytes.
	Digest string `json:"digest,omitempty"`

	// Quant: Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals.
	Quant string `json:"quant,omitempty"`

	// Context: The most tokens of prompt and answer together; 0 where it is not known.
	Context *int64 `json:"context,omitempty"`

	// MaxOutput: The most tokens of an answer; 0 where it is not known.
	MaxOutput *int64 `json:"max_output,omitempty"`

	// Warm: Whether it is loaded.
	Warm *bool `json:"warm,omitempty"`

	// Embeddings: Whether it embeds.
	Embeddings *bool `json:"embeddings,omitempty"`

	// Tools: Whether it calls tools.
	Tools *bool `json:"tools,omitempty"`
}

// UsageOptions: Tokens of one completion, as the miner counted them (or estimated where it does not count).
type UsageOptions struct {
	// CompletionTokens: Tokens that were generated.
	CompletionTokens *int64 `json:"completion_tokens,omitempty"`

	// PromptTokens: Tokens of the prompt.
	PromptTokens *int64 `json:"prompt_tokens,omitempty"`

	// TotalTokens: Their sum.
	TotalTokens *int64 `json:"total_tokens,omitempty"`

	// CachedTokens: Tokens of the prompt that the model's server had in its cache, where the server says so.
	CachedTokens *int64 `json:"cached_tokens,omitempty"`

	// ReasoningTokens: Generated tokens that are not part of the answer's text, where the model's server says so.
	ReasoningTokens *int64 `json:"reasoning_tokens,omitempty"`
}

// KeyLimitOptions: The limits of a key. Each limit is at least 1; a limit that is missing does not bind.
type KeyLimitOptions struct {
	// RequestsPerMinute: Requests in one minute, on any route, also those that only read.
	RequestsPerMinute *int64 `json:"requests_per_minute,omitempty"`

	// TasksPerMinute: Tasks that are submitted in one minute.
	TasksPerMinute *int64 `json:"tasks_per_minute,omitempty"`

	// TokensPerMinute: Tokens of prompts and answers in one minute.
	TokensPerMinute *int64 `json:"tokens_per_minute,omitempty"`

	// TokensPerDay: Tokens of prompts and answers on one day in UTC.
	TokensPerDay *int64 `json:"tokens_per_day,omitempty"`

	// TokensPerMonth: Tokens of prompts and answers in one month in UTC.
	TokensPerMonth *int64 `json:"tokens_per_month,omitempty"`

	// ConcurrentTasks: Tasks that have not ended.
	ConcurrentTasks *int64 `json:"concurrent_tasks,omitempty"`

	// ConcurrentStreams: Answers that are being streamed.
	ConcurrentStreams *int64 `json:"concurrent_streams,omitempty"`
}

// SessionQuotaOptions: The limits of a session, which hold for all keys that use it. Each limit is at least 1; a
// limit that is missing does not bind.
type SessionQuotaOptions struct {
	// RequestsPerMinute: Requests in one minute that submit a task to it, also those that are refused.
	RequestsPerMinute *int64 `json:"requests_per_minute,omitempty"`

	// TasksPerMinute: Tasks in one minute.
	TasksPerMinute *int64 `json:"tasks_per_minute,omitempty"`

	// TokensPerMinute: Tokens of prompts and answers in one minute.
	TokensPerMinute *int64 `json:"tokens_per_minute,omitempty"`

	// TokensPerDay: Tokens of prompts and answers on one day in UTC.
	TokensPerDay *int64 `json:"tokens_per_day,omitempty"`

	// TokensPerMonth: Tokens of prompts and answers in one month in UTC.
	TokensPerMonth *int64 `json:"tokens_per_month,omitempty"`

	// ConcurrentTasks: Tasks that have not ended.
	ConcurrentTasks *int64 `json:"concurrent_tasks,omitempty"`

	// ConcurrentStreams: Answers that a listener streams.
	ConcurrentStreams *int64 `json:"concurrent_streams,omitempty"`
}

// GivenToolCall: A call of a tool, whole. If a miner gives no id, the router makes one.
type GivenToolCall struct {
	// ID: Its id, by which the tool's answer names it.
	ID string `json:"id,omitempty"`

	// Type: `function`
	Type string `json:"type,omitempty"`

	// Function: The function that is called, with its arguments.
	Function *GivenFunction `json:"function,omitempty"`
}

// GivenFunction: The name and the arguments of a call.
type GivenFunction struct {
	// Name: The tool's name.
	Name string `json:"name,omitempty"`

	// Arguments: The arguments as JSON text, as in OpenAI's API, or as an object.
	Arguments any `json:"arguments,omitempty"`
}

// ToolCallPiece: A piece of a call of a tool. Without an `index` it is a whole call if it names its tool, and else
// continues the last one.
type ToolCallPiece struct {
	// Index: The number of the call within the answer, from 0.
	Index *int64 `json:"index,omitempty"`

	// ID: The call's id.
	ID string `json:"id,omitempty"`

	// Type: `function`
	Type string `json:"type,omitempty"`

	// Function: The function that is called, or a piece of it.
	Function *FunctionPiece `json:"function,omitempty"`
}

// FunctionPiece: A piece of the name and the arguments of a call.
type FunctionPiece struct {
	// Name: The tool's name.
	Name string `json:"name,omitempty"`

	// Arguments: The arguments as JSON text, as in OpenAI's API, or as an object.
	Arguments any `json:"arguments,omitempty"`
}

// Request: The options beside a prompt. Members for the miner alone go into `extra`.
type Request struct {
	// SessionID is the session of the task, 0 by default. Session.Submit sets it.
	SessionID uint64 `json:"-"`

	// Prompt is the text to read. Exactly one of Prompt, Messages and Input must be given.
	Prompt string `json:"prompt,omitempty"`

	// Messages: The conversation so far.
	Messages []map[string]any `json:"messages,omitempty"`

	// Model: The model, as `/v1/models` lists it; given back in the answer. Under `/v1`, `session-<id>` stands for that
	// session and its model, and a model that no miner offers is a 404; under `/api` such a model stands for any.
	Model string `json:"model,omitempty"`

	// MaxTokens: The most tokens to generate; what is over the router's limit is cut to it.
	MaxTokens *int64 `json:"max_tokens,omitempty"`

	// MaxCompletionTokens: Newer name of `max_tokens`, which wins where both are given; what is over the router's limit
	// is cut to it.
	MaxCompletionTokens *int64 `json:"max_completion_tokens,omitempty"`

	// Temperature: Passes through: the sampling temperature.
	Temperature *float64 `json:"temperature,omitempty"`

	// TopP: Passes through: nucleus sampling, from 0 to 1.
	TopP *float64 `json:"top_p,omitempty"`

	// TopK: Passes through: the number of candidates.
	TopK *int64 `json:"top_k,omitempty"`

	// MinP: Passes through: the least share of the likeliest token's probability.
	MinP *float64 `json:"min_p,omitempty"`

	// Stop: Passes through: the texts at which the answer stops.
	Stop any `json:"stop,omitempty"`

	// Seed: Passes through: the seed of the sampling.
	Seed *int64 `json:"seed,omitempty"`

	// PresencePenalty: Passes through: a penalty for tokens that came before.
	PresencePenalty *float64 `json:"presence_penalty,omitempty"`

	// FrequencyPenalty: Passes through: a penalty for tokens that came often.
	FrequencyPenalty *float64 `json:"frequency_penalty,omitempty"`

	// RepetitionPenalty: Passes through: a factor against tokens that came before.
	RepetitionPenalty *float64 `json:"repetition_penalty,omitempty"`

	// LogitBias: Passes through: what is added to the scores of tokens.
	LogitBias map[string]any `json:"logit_bias,omitempty"`

	// Logprobs: Passes through: whether, or how many, log probabilities are wanted.
	Logprobs any `json:"logprobs,omitempty"`

	// TopLogprobs: Passes through: how many candidates each token tells.
	TopLogprobs *int64 `json:"top_logprobs,omitempty"`

	// Tools: Passes through: the tools that the model may call.
	Tools []map[string]any `json:"tools,omitempty"`

	// ToolChoice: Passes through: which tool to call.
	ToolChoice any `json:"tool_choice,omitempty"`

	// ParallelToolCalls: Passes through: whether several tools may be called at once.
	ParallelToolCalls *bool `json:"parallel_tool_calls,omitempty"`

	// ReasoningEffort: Passes through: how long the model may think before it speaks.
	ReasoningEffort string `json:"reasoning_effort,omitempty"`

	// ResponseFormat: Passes through: the form of the answer.
	ResponseFormat map[string]any `json:"response_format,omitempty"`

	// User: Passes through: who asks.
	User string `json:"user,omitempty"`

	// Dimensions: Passes through: how many numbers a vector has.
	Dimensions *int64 `json:"dimensions,omitempty"`

	// PromptType: 0: the model's chat template is applied; 1: the prompt goes to the model as it is.
	PromptType *int64 `json:"prompt_type,omitempty"`

	// PromptTemplate: A text with `{prompt}` in it, put around the prompt.
	PromptTemplate string `json:"prompt_template,omitempty"`

	// Stream: Whether the answer is wanted as it comes, as server-sent events.
	Stream *bool `json:"stream,omitempty"`

	// Timeout: Seconds until the task is given up; what is over the router's limit is cut to it.
	Timeout *float64 `json:"timeout,omitempty"`

	// PrecommitTimeout: Seconds within which several answers must be in: then those that are in are compared; what is
	// over the router's limit is cut to it.
	PrecommitTimeout *float64 `json:"precommit_timeout,omitempty"`

	// MaxMiners: The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`.
	MaxMiners *int64 `json:"max_miners,omitempty"`

	// OnFailure: How the task goes on when the miner is lost after tokens were seen.
	OnFailure string `json:"on_failure,omitempty"`

	// Priority: The band: a higher one is served first. Missing: the session's.
	Priority *int64 `json:"priority,omitempty"`

	// ClientReference: The caller's own reference, given back in the task.
	ClientReference string `json:"client_reference,omitempty"`

	// Raw: Whether special tokens and leading blanks stay in the text.
	Raw *bool `json:"raw,omitempty"`

	// Webhook: Where the end of the task is sent: `{"url": "https://...", "secret": "whsec_..."}`, or the URL alone.
	Webhook any `json:"webhook,omitempty"`

	// Input: The text to embed, or several, in place of a prompt.
	Input any `json:"input,omitempty"`

	// IdempotencyKey: A request with an equal key and equal content joins the task that is there.
	IdempotencyKey string `json:"idempotency_key,omitempty"`

	// KeyID: The name of the caller for whom the task is counted, as the usage shows it.
	KeyID string `json:"key_id,omitempty"`

	// Detach: Whether the task goes on when nobody waits for it.
	Detach *bool `json:"detach,omitempty"`

	// Extra: Any other members: they reach the miner untouched.
	Extra map[string]any `json:"-"`

	// ValidationPolicy: The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`.
	ValidationPolicy string `json:"validation_policy,omitempty"`

	// Match: When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default
	// `normalized`.
	Match string `json:"match,omitempty"`

	// MinScore: From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1.
	MinScore *float64 `json:"min_score,omitempty"`

	// TieBreak: Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`.
	TieBreak *bool `json:"tie_break,omitempty"`

	// MatchTolerance: How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001.
	MatchTolerance *float64 `json:"match_tolerance,omitempty"`

	// MatchPointers: The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
	MatchPointers []string `json:"match_pointers,omitempty"`

	// MatchModel: The model that embeds the answers; none: any that a miner embeds with.
	MatchModel string `json:"match_model,omitempty"`
}

// SessionOptions: A session to be created. Only `name` is required; Cortensor's published camelCase names, such as
// `minNumOfNodes`, are taken too.
type SessionOptions struct {
	// ValidationPolicy: The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`.
	ValidationPolicy string `json:"validation_policy,omitempty"`

	// Match: When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default
	// `normalized`.
	Match string `json:"match,omitempty"`

	// MinScore: From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1.
	MinScore *float64 `json:"min_score,omitempty"`

	// TieBreak: Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`.
	TieBreak *bool `json:"tie_break,omitempty"`

	// MatchTolerance: How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001.
	MatchTolerance *float64 `json:"match_tolerance,omitempty"`

	// MatchPointers: The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
	MatchPointers []string `json:"match_pointers,omitempty"`

	// MatchModel: The model that embeds the answers; none: any that a miner embeds with.
	MatchModel string `json:"match_model,omitempty"`

	// Name: A name for people, 1 to 256 bytes.
	Name string `json:"name,omitempty"`

	// Metadata: Anything of the caller's, up to 64 KiB of text or JSON.
	Metadata string `json:"metadata,omitempty"`

	// Owner: The owner; the token's id where it is empty.
	Owner string `json:"owner,omitempty"`

	// Mode: Which miners serve it: 0 ephemeral, 1 dedicated, 2 both.
	Mode *int64 `json:"mode,omitempty"`

	// Redundant: How many miners answer each task (0 and 1: one).
	Redundant *int64 `json:"redundant,omitempty"`

	// MinNumOfNodes: The fewest miners that must be there for the session to be served; while there are fewer, new tasks
	// are refused (`too_few_miners`); 0: no demand.
	MinNumOfNodes *int64 `json:"min_num_of_nodes,omitempty"`

	// MaxNumOfNodes: The most miners that work for it at a time; 0: no limit.
	MaxNumOfNodes *int64 `json:"max_num_of_nodes,omitempty"`

	// NumOfValidatorNodes: How many answers are validated.
	NumOfValidatorNodes *int64 `json:"num_of_validator_nodes,omitempty"`

	// ReserveEphemeralNodes: Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant`
	// say, at least one.
	ReserveEphemeralNodes *bool `json:"reserve_ephemeral_nodes,omitempty"`

	// ReservePeriod: Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`.
	ReservePeriod *int64 `json:"reserve_period,omitempty"`

	// SLA: The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10
	// tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s. While no miner meets it,
	// any will do.
	SLA *int64 `json:"sla,omitempty"`

	// Model: The model of its tasks where they name none.
	Model string `json:"model,omitempty"`

	// ModelIdentifier: Cortensor's number for a model; kept and given back.
	ModelIdentifier string `json:"model_identifier,omitempty"`

	// MaxTaskExecutionCount: The most tasks it ever takes; 0: no limit.
	MaxTaskExecutionCount *int64 `json:"max_task_execution_count,omitempty"`

	// Priority: The band of its tasks, 0 to 9; a higher band is served first.
	Priority *int64 `json:"priority,omitempty"`

	// Weight: Its share within a band, 1 to 1000; 0 means the default of 1.
	Weight *int64 `json:"weight,omitempty"`

	// Affinity: Whether its tasks prefer the miner that served the last one; on by default.
	Affinity *bool `json:"affinity,omitempty"`

	// Retention: The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`.
	Retention string `json:"retention,omitempty"`

	// Limits: The most that its tasks may use together, whoever submits them.
	Limits *SessionQuotaOptions `json:"limits,omitempty"`

	// Models: The models that its tasks may use; empty: all.
	Models []string `json:"models,omitempty"`

	// ExpiresAt: Unix seconds from which on it takes no new tasks; 0: it does not expire.
	ExpiresAt *int64 `json:"expires_at,omitempty"`
}

// SessionChanges: A change of a session. Members that are missing stay as they are.
type SessionChanges struct {
	// Name: Its name, 1 to 256 bytes.
	Name *string `json:"name,omitempty"`

	// Metadata: Anything of the caller's, up to 64 KiB.
	Metadata *string `json:"metadata,omitempty"`

	// Model: The model of its tasks where they name none; empty: none.
	Model *string `json:"model,omitempty"`

	// Redundant: How many miners answer each task (0 and 1: one).
	Redundant *int64 `json:"redundant,omitempty"`

	// MaxTaskExecutionCount: The most tasks it ever takes; 0: no limit.
	MaxTaskExecutionCount *int64 `json:"max_task_execution_count,omitempty"`

	// Priority: The band of its tasks, 0 to 9; a higher band is served first.
	Priority *int64 `json:"priority,omitempty"`

	// Weight: Its share within a band, 1 to 1000.
	Weight *int64 `json:"weight,omitempty"`

	// Affinity: Whether its tasks prefer the miner that served the last one.
	Affinity *bool `json:"affinity,omitempty"`

	// Retention: The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`.
	Retention *string `json:"retention,omitempty"`

	// MinNumOfNodes: The fewest miners that must be there for the session to be served; 0: no demand.
	MinNumOfNodes *int64 `json:"min_num_of_nodes,omitempty"`

	// MaxNumOfNodes: The most miners that work for it at a time; 0: no limit.
	MaxNumOfNodes *int64 `json:"max_num_of_nodes,omitempty"`

	// SLA: The service class.
	SLA *int64 `json:"sla,omitempty"`

	// ValidationPolicy: The rule that decides if several miners answer: `first`, `quorum`, `medoid` or `all`.
	ValidationPolicy *string `json:"validation_policy,omitempty"`

	// Match: When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.
	Match *string `json:"match,omitempty"`

	// MinScore: From this score on two answers match, 0 to 1.
	MinScore *float64 `json:"min_score,omitempty"`

	// TieBreak: Whether one more miner is asked where the answers do not agree.
	TieBreak *bool `json:"tie_break,omitempty"`

	// Limits: The most that its tasks may use together, by the names of `SessionQuota`. A missing member keeps its limit,
	// and `null` lifts it.
	Limits map[string]any `json:"limits,omitempty"`

	// Models: The models that its tasks may use; empty: all.
	Models *[]string `json:"models,omitempty"`

	// ExpiresAt: Unix seconds from which on it takes no new tasks; 0: it does not expire.
	ExpiresAt *int64 `json:"expires_at,omitempty"`
}

// MinerOptions: A miner, as it describes itself when it joins.
type MinerOptions struct {
	// Name: Its name, unique among the miners that are there; 1 to 128 bytes.
	Name string `json:"name,omitempty"`

	// Models: The models it serves; empty means any model that is asked for.
	Models []string `json:"models,omitempty"`

	// Capacity: How many tasks it works on at a time, 1 to 65536.
	Capacity *int64 `json:"capacity,omitempty"`

	// Weight: Its share among equals, 1 to 100.
	Weight *int64 `json:"weight,omitempty"`

	// Owner: The person or company that runs the miner. Answers that are compared come from different owners if there are
	// any.
	Owner string `json:"owner,omitempty"`

	// Dedicated: Whether it is dedicated to sessions rather than ephemeral.
	Dedicated *bool `json:"dedicated,omitempty"`

	// Embeddings: Whether it embeds, beside or instead of generating.
	Embeddings *bool `json:"embeddings,omitempty"`

	// MaxContextTokens: The most tokens of prompt and answer together; 0 where it does not say.
	MaxContextTokens *int64 `json:"max_context_tokens,omitempty"`

	// Features: The optional abilities of the miner: with `continue` it goes on from a partial answer of another miner.
	// An upstream with `messages` or `responses` takes the bodies of these APIs as they are.
	Features []string `json:"features,omitempty"`

	// Agent: Its software and version, in its own words.
	Agent string `json:"agent,omitempty"`

	// Hardware: Its hardware, in its own words.
	Hardware *HardwareOptions `json:"hardware,omitempty"`

	// ModelDetails: The details of its models beyond their names, as the miner states them.
	ModelDetails []ModelOptions `json:"model_details,omitempty"`
}

// MinerClientSettings: The settings of a miner that works for a distant router.
type MinerClientSettings struct {
	// Routers: The addresses of the routers: `ws://` or `wss://`, a host, and a port. The path `/miner/v1` is added if
	// there is none. The miner connects to one router at a time, and tries the next one if the connection fails.
	Routers []string `json:"routers,omitempty"`

	// Name: The miner's name, 1 to 128 bytes, unique at its router.
	Name string `json:"name,omitempty"`

	// Capacity: The maximum number of concurrent tasks, 1 to 65536. Default 1.
	Capacity *int64 `json:"capacity,omitempty"`

	// Models: The models that the miner serves; empty: any model.
	Models []string `json:"models,omitempty"`

	// ModelDetails: Details of the models, by their id.
	ModelDetails []ModelOptions `json:"model_details,omitempty"`

	// Continues: Whether the miner can continue a partial answer of another miner.
	Continues *bool `json:"continues,omitempty"`

	// Dedicated: Whether the miner is dedicated instead of ephemeral.
	Dedicated *bool `json:"dedicated,omitempty"`

	// Owner: The person or company that runs the miner.
	Owner string `json:"owner,omitempty"`

	// Hardware: The miner's hardware.
	Hardware *HardwareOptions `json:"hardware,omitempty"`

	// Token: A token of the scope `miner`. With `key_file`: the one-time token that enrols the key, which is needed only
	// once.
	Token string `json:"token,omitempty"`

	// KeyFile: The file of the miner's own key. The miner makes the file if it does not exist.
	KeyFile string `json:"key_file,omitempty"`

	// CaFile: A file of certificates (PEM) to trust instead of the public ones.
	CaFile string `json:"ca_file,omitempty"`

	// CertFile: A file with the miner's certificate chain (PEM), for routers that ask for one.
	CertFile string `json:"cert_file,omitempty"`

	// CertKeyFile: A file with the private key of that certificate (PEM).
	CertKeyFile string `json:"cert_key_file,omitempty"`

	// ConnectTimeoutMs: The time in milliseconds within which the router must have welcomed the miner. Default 10000.
	ConnectTimeoutMs *int64 `json:"connect_timeout_ms,omitempty"`

	// ReconnectBaseMs: The first window of the wait before a reconnect, in milliseconds. Each further window is twice as
	// long. Default 1000.
	ReconnectBaseMs *int64 `json:"reconnect_base_ms,omitempty"`

	// ReconnectMaxMs: The longest window of that wait, in milliseconds. Default 64000.
	ReconnectMaxMs *int64 `json:"reconnect_max_ms,omitempty"`

	// MaxFrameBytes: The maximum size of a frame of the router, in bytes. A larger frame ends the connection. Default 64
	// MiB.
	MaxFrameBytes *int64 `json:"max_frame_bytes,omitempty"`

	// WriteBufferBytes: The maximum bytes that may wait to be sent to the router. Default 64 MiB.
	WriteBufferBytes *int64 `json:"write_buffer_bytes,omitempty"`

	// Runtime: The threads of the miner, as in the section `runtime` of a router's configuration.
	Runtime map[string]any `json:"runtime,omitempty"`
}

// Answer: The answer that a miner gives at the end of a job. Every member may be absent.
type Answer struct {
	// Text: The text. Pieces that were emitted are the text instead.
	Text *string `json:"text,omitempty"`

	// Reasoning: The model's reasoning before its answer.
	Reasoning *string `json:"reasoning,omitempty"`

	// ToolCalls: The tools that the model calls.
	ToolCalls *[]GivenToolCall `json:"tool_calls,omitempty"`

	// FinishReason: The reason for the end of the text; missing: `tool_calls` if the model calls tools, else `stop`.
	FinishReason *string `json:"finish_reason,omitempty"`

	// Usage: The token counts. Missing counts are estimated.
	Usage *UsageOptions `json:"usage,omitempty"`

	// Model: The model that answered.
	Model *string `json:"model,omitempty"`

	// Embedding: The vector of the input, or one vector for each of several inputs.
	Embedding any `json:"embedding,omitempty"`
}

// PieceParts: A piece of an answer with its text, reasoning and tool calls.
type PieceParts struct {
	// Text: A piece of the text.
	Text string `json:"text,omitempty"`

	// Reasoning: A piece of the model's reasoning.
	Reasoning string `json:"reasoning,omitempty"`

	// ToolCalls: Pieces of the tools that the model calls.
	ToolCalls []ToolCallPiece `json:"tool_calls,omitempty"`
}

// KeyOptions: A key to be made: the body of `POST /api/v1/keys` and the flags of `key create`.
type KeyOptions struct {
	// Name: A name for people, 1 to 128 bytes.
	Name string `json:"name,omitempty"`

	// Scopes: The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. Empty: `submit` and `read`.
	Scopes []string `json:"scopes,omitempty"`

	// Sessions: The only sessions that the key may use; empty: all sessions.
	Sessions []int64 `json:"sessions,omitempty"`

	// TtlSecs: The seconds until the key expires; 0: never, except after one day for the scope `enrol`.
	TtlSecs *int64 `json:"ttl_secs,omitempty"`

	// Models: The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models.
	Models []string `json:"models,omitempty"`

	// Owner: For a key of miners: the person or company that runs the miner.
	Owner string `json:"owner,omitempty"`

	// Limits: The key's limits.
	Limits *KeyLimitOptions `json:"limits,omitempty"`
}

// PageQuery: The part of a list that a caller wants.
type PageQuery struct {
	// State: The state of the rows that are wanted.
	State string `json:"state,omitempty"`

	// Limit: The most rows to list.
	Limit *int64 `json:"limit,omitempty"`

	// Offset: The number of rows to leave out at the beginning.
	Offset *int64 `json:"offset,omitempty"`
}

// TaskQuery: The part of a session's tasks that is wanted: the newest page, oldest first inside it, unless `offset`
// or `order` says otherwise.
type TaskQuery struct {
	// State: `ended`, or `active` for those that have not.
	State string `json:"state,omitempty"`

	// Key: Only tasks of this key.
	Key string `json:"key,omitempty"`

	// Limit: The most tasks to list.
	Limit *int64 `json:"limit,omitempty"`

	// Offset: The number of tasks to leave out at the beginning; with `order: desc` of the newest.
	Offset *int64 `json:"offset,omitempty"`

	// Order: `asc` counts from the oldest; `desc` from the newest back, newest first.
	Order string `json:"order,omitempty"`
}

// UsageQuery: The usage that is wanted.
type UsageQuery struct {
	// By: The parts by which usage is told apart: `day` (the default), `key`, `model`, `session` or `miner`.
	By string `json:"by,omitempty"`

	// From: The first day in UTC, as `2026-01-31`. Missing: the first of this month.
	From string `json:"from,omitempty"`

	// To: The last day in UTC. Missing: today.
	To string `json:"to,omitempty"`

	// Key: Only tasks of this key.
	Key string `json:"key,omitempty"`

	// Session: Only tasks of the session with this number.
	Session *int64 `json:"session,omitempty"`

	// Model: Only tasks for this model.
	Model string `json:"model,omitempty"`

	// Miner: Only tasks of the miner with this address.
	Miner string `json:"miner,omitempty"`

	// Limit: The most parts to list.
	Limit *int64 `json:"limit,omitempty"`

	// Offset: The number of parts to leave out.
	Offset *int64 `json:"offset,omitempty"`
}
