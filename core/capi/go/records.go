// Code generated from the schema by `cargo xtask gen`; DO NOT EDIT.

package cortensor

import "encoding/json"

// Usage: Tokens of one completion, as the miner counted them (or estimated where it does not count).
type Usage struct {
	// CompletionTokens: Tokens that were generated.
	CompletionTokens int64 `json:"completion_tokens"`

	// PromptTokens: Tokens of the prompt.
	PromptTokens int64 `json:"prompt_tokens"`

	// TotalTokens: Their sum.
	TotalTokens int64 `json:"total_tokens"`

	// CachedTokens: Tokens of the prompt that the model's server had in its cache, where the server says so.
	CachedTokens int64 `json:"cached_tokens"`

	// ReasoningTokens: Generated tokens that are not part of the answer's text, where the model's server says so.
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// MinerVerdict: How one miner's answer compares with the winner's.
type MinerVerdict struct {
	// Miner: The miner's address.
	Miner string `json:"miner"`

	// Score: Its score with the winner, 0 to 1.
	Score float64 `json:"score"`

	// Agrees: Whether that is enough to match.
	Agrees bool `json:"agrees"`
}

// Verdict: How several answers to one task compare.
type Verdict struct {
	// Verdict: `agreed`, `disputed` or `insufficient`.
	Verdict string `json:"verdict"`

	// Score: How well the answers agree, 0 to 1: the share that match the winner (`quorum`), the mean score of the winner
	// with the others (`medoid`), the least score of any two (`all`).
	Score float64 `json:"score"`

	// Method: How they were compared: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.
	Method string `json:"method"`

	// Policy: The rule that decided: `quorum`, `medoid` or `all`.
	Policy string `json:"policy"`

	// Winner: The address of the miner whose answer was taken; where they do not agree, of the one that is shown first.
	Winner string `json:"winner"`

	// PerMiner: Each miner's answer beside the winner's, the winner first.
	PerMiner []MinerVerdict `json:"per_miner"`
}

// Choice: One answer, or the new piece of it.
type Choice struct {
	// FinishReason: `stop`, `length` ...; `null` before the end of a stream.
	FinishReason *string `json:"finish_reason,omitempty"`

	// Index: Its place among the choices.
	Index int64 `json:"index"`

	// Logprobs: Always `null`.
	Logprobs any `json:"logprobs"`

	// Text: The text.
	Text string `json:"text"`

	// Message: `text` as a message.
	Message Message `json:"message"`

	// MinerAddress: Whose answer it is, where several miners answered.
	MinerAddress *string `json:"miner_address,omitempty"`
}

// CompletionRecord: A completion on its way out: to REST clients and to the bindings; whole, or one event of a
// stream.
type CompletionRecord struct {
	// Choices: The answers: one, unless several were asked for.
	Choices []Choice `json:"choices"`

	// Created: Unix seconds.
	Created int64 `json:"created"`

	// ID: Unique among all tasks.
	ID string `json:"id"`

	// Model: The model that was asked for.
	Model string `json:"model"`

	// Object: `text_completion`
	Object string `json:"object"`

	// SessionID: The session.
	SessionID uint64 `json:"session_id"`

	// TaskID: The task in its session.
	TaskID uint64 `json:"task_id"`

	// Usage: Token counts.
	Usage Usage `json:"usage"`

	// GID: The task among all sessions.
	GID *uint64 `json:"gid,omitempty"`

	// MinerAddress: The address of the miner whose answer it is.
	MinerAddress *string `json:"miner_address,omitempty"`

	// Verdict: How several answers compare.
	Verdict *Verdict `json:"verdict,omitempty"`
}

// TaskResults: The answers to a task, where it is shown alone.
type TaskResults struct {
	// Data: The texts; while the task runs, the text so far.
	Data []string `json:"data"`

	// Miners: The miners' addresses, aligned with `data`. Only once the task has ended: clients take its presence for
	// completeness.
	Miners []string `json:"miners,omitempty"`
}

// WebhookRecord: The delivery of a task's end as it is shown: without the secret, and without the parts of the URL
// that may be one.
type WebhookRecord struct {
	// URL: The URL, without its query.
	URL string `json:"url"`

	// State: `waiting` (the task has not ended), `pending`, `delivered` or `failed`.
	State string `json:"state"`

	// Attempts: The tries so far.
	Attempts int64 `json:"attempts"`

	// LastStatus: The status of the last answer; null: there was none.
	LastStatus *int64 `json:"last_status,omitempty"`

	// LastError: Why the last try failed; null: it did not.
	LastError *string `json:"last_error,omitempty"`

	// NextAt: Unix seconds of the next try; null: there is none.
	NextAt *int64 `json:"next_at,omitempty"`
}

// TaskRecord: A task on its way out: to REST clients and to the bindings.
type TaskRecord struct {
	// ID: Its number in its session.
	ID uint64 `json:"id"`

	// TaskID: Alias of `id`, for clients that read `task_id`.
	TaskID uint64 `json:"task_id"`

	// GID: Its number among all sessions.
	GID uint64 `json:"gid"`

	// SessionID: The session.
	SessionID uint64 `json:"session_id"`

	// KeyID: The key under which it was submitted: a key's id, the name of a configured token, or the name that a host
	// program gave.
	KeyID *string `json:"key_id,omitempty"`

	// ClientReference: The caller's own reference.
	ClientReference *string `json:"client_reference,omitempty"`

	// Status: 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
	Status int64 `json:"status"`

	// State: `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`.
	State string `json:"state"`

	// Outcome: Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes.
	Outcome *string `json:"outcome,omitempty"`

	// Ended: Whether it has ended.
	Ended bool `json:"ended"`

	// CreatedAt: Unix seconds at which the task was submitted.
	CreatedAt int64 `json:"created_at"`

	// StartedAt: Unix seconds at which a miner took the task; 0 while none has.
	StartedAt int64 `json:"started_at"`

	// LastPrecommitAt: Unix seconds at which the last answer came in; 0 before.
	LastPrecommitAt int64 `json:"last_precommit_at"`

	// LastCommitAt: Unix seconds at which the verdict was written; 0 before.
	LastCommitAt int64 `json:"last_commit_at"`

	// FinishedAt: Unix seconds at which the task ended; 0 before.
	FinishedAt int64 `json:"finished_at"`

	// ExecutionTime: Seconds that miners took; 0 before the end.
	ExecutionTime float64 `json:"execution_time"`

	// AssignedMiners: The addresses of the miners that worked on it, in their order.
	AssignedMiners []string `json:"assigned_miners"`

	// Prompt: The whole text that the model reads.
	Prompt string `json:"prompt"`

	// Text: The answer's text, or what there is so far.
	Text string `json:"text"`

	// Response: Alias of `text`, for clients that read `response`.
	Response string `json:"response"`

	// Model: The model that was asked for, else the one that answered.
	Model *string `json:"model,omitempty"`

	// FinishReason: Why the answer ends: `stop`, `length` ...
	FinishReason *string `json:"finish_reason,omitempty"`

	// Usage: Token counts.
	Usage *Usage `json:"usage,omitempty"`

	// Attempts: How often it was given to a miner.
	Attempts int64 `json:"attempts"`

	// Verdict: How several answers compare.
	Verdict *Verdict `json:"verdict,omitempty"`

	// Failure: Why it has no answer.
	Failure *string `json:"failure,omitempty"`

	// QueuePosition: Its place in the queue, while it waits.
	QueuePosition *int64 `json:"queue_position,omitempty"`

	// Webhook: The delivery of its end to its webhook, if it has one.
	Webhook *WebhookRecord `json:"webhook,omitempty"`

	// Results: The answers. In a list of tasks: the texts, aligned with `assigned_miners`.
	Results TaskResults `json:"results"`

	// ResultsHash: SHA-256 of the answers' texts, aligned with `results`.
	ResultsHash []string `json:"results_hash"`
}

// TaskRow: A task in a list.
type TaskRow struct {
	// ID: Its number in its session.
	ID uint64 `json:"id"`

	// TaskID: Alias of `id`, for clients that read `task_id`.
	TaskID uint64 `json:"task_id"`

	// GID: Its number among all sessions.
	GID uint64 `json:"gid"`

	// SessionID: The session.
	SessionID uint64 `json:"session_id"`

	// KeyID: The key under which it was submitted: a key's id, the name of a configured token, or the name that a host
	// program gave.
	KeyID *string `json:"key_id,omitempty"`

	// ClientReference: The caller's own reference.
	ClientReference *string `json:"client_reference,omitempty"`

	// Status: 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
	Status int64 `json:"status"`

	// State: `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`.
	State string `json:"state"`

	// Outcome: Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes.
	Outcome *string `json:"outcome,omitempty"`

	// Ended: Whether it has ended.
	Ended bool `json:"ended"`

	// CreatedAt: Unix seconds at which the task was submitted.
	CreatedAt int64 `json:"created_at"`

	// StartedAt: Unix seconds at which a miner took the task; 0 while none has.
	StartedAt int64 `json:"started_at"`

	// LastPrecommitAt: Unix seconds at which the last answer came in; 0 before.
	LastPrecommitAt int64 `json:"last_precommit_at"`

	// LastCommitAt: Unix seconds at which the verdict was written; 0 before.
	LastCommitAt int64 `json:"last_commit_at"`

	// FinishedAt: Unix seconds at which the task ended; 0 before.
	FinishedAt int64 `json:"finished_at"`

	// ExecutionTime: Seconds that miners took; 0 before the end.
	ExecutionTime float64 `json:"execution_time"`

	// AssignedMiners: The addresses of the miners that worked on it, in their order.
	AssignedMiners []string `json:"assigned_miners"`

	// Prompt: The whole text that the model reads.
	Prompt string `json:"prompt"`

	// Text: The answer's text, or what there is so far.
	Text string `json:"text"`

	// Response: Alias of `text`, for clients that read `response`.
	Response string `json:"response"`

	// Model: The model that was asked for, else the one that answered.
	Model *string `json:"model,omitempty"`

	// FinishReason: Why the answer ends: `stop`, `length` ...
	FinishReason *string `json:"finish_reason,omitempty"`

	// Usage: Token counts.
	Usage *Usage `json:"usage,omitempty"`

	// Attempts: How often it was given to a miner.
	Attempts int64 `json:"attempts"`

	// Verdict: How several answers compare.
	Verdict *Verdict `json:"verdict,omitempty"`

	// Failure: Why it has no answer.
	Failure *string `json:"failure,omitempty"`

	// QueuePosition: Its place in the queue, while it waits.
	QueuePosition *int64 `json:"queue_position,omitempty"`

	// Webhook: The delivery of its end to its webhook, if it has one.
	Webhook *WebhookRecord `json:"webhook,omitempty"`

	// Results: The answers. In a list of tasks: the texts, aligned with `assigned_miners`.
	Results []string `json:"results"`

	// ResultsHash: SHA-256 of the answers' texts, aligned with `results`.
	ResultsHash []string `json:"results_hash"`
}

// TaskPage: Tasks of a session.
type TaskPage struct {
	// Count: The number of tasks on all pages.
	Count int64 `json:"count"`

	// Tasks: The tasks of this page.
	Tasks []TaskRow `json:"tasks"`

	// Corrupt: The ids of tasks of this page whose rows in the store are damaged; missing if there are none. With
	// `format=array` the header `X-Cortensor-Corrupt` has them.
	Corrupt []int64 `json:"corrupt,omitempty"`
}

// Embedding: A vector.
type Embedding struct {
	// Embedding: Its numbers.
	Embedding []float64 `json:"embedding"`

	// Index: The input it belongs to, from 0.
	Index int64 `json:"index"`

	// Object: `embedding`
	Object string `json:"object"`
}

// EmbeddingsRecord: Vectors of texts, in the order of the texts.
type EmbeddingsRecord struct {
	// Data: The vectors, one for each text.
	Data []Embedding `json:"data"`

	// GID: The task among all sessions.
	GID uint64 `json:"gid"`

	// MinerAddress: The miner that made them.
	MinerAddress string `json:"miner_address"`

	// Model: The model that made them.
	Model string `json:"model"`

	// Object: `list`
	Object string `json:"object"`

	// SessionID: The session.
	SessionID uint64 `json:"session_id"`

	// TaskID: The task in its session.
	TaskID uint64 `json:"task_id"`

	// Usage: Tokens of the texts.
	Usage EmbeddingCounts `json:"usage"`
}

// JobInfo: A job as the router has it.
type JobInfo struct {
	// GID: The task among all sessions.
	GID uint64 `json:"gid"`

	// SessionID: The session.
	SessionID uint64 `json:"session_id"`

	// TaskID: The task in its session.
	TaskID uint64 `json:"task_id"`

	// Model: The model to use, where one was asked for.
	Model *string `json:"model,omitempty"`

	// Prompt: The whole text that the model must read.
	Prompt string `json:"prompt"`

	// Stream: Whether somebody reads tokens as they come.
	Stream bool `json:"stream"`

	// DeadlineMs: Milliseconds since the Unix epoch after which nobody wants the answer.
	DeadlineMs int64 `json:"deadline_ms"`

	// Partial: The text that another miner gave before it was lost, if the answer must go on behind it. Only miners that
	// said that they can continue get such work.
	Partial string `json:"partial"`

	// Traceparent: The W3C trace context under which the miner's own work belongs, if the caller sent one.
	Traceparent string `json:"traceparent"`

	// Tracestate: The W3C `tracestate` that belongs to `traceparent`.
	Tracestate string `json:"tracestate"`

	// Request: The caller's request.
	Request json.RawMessage `json:"request"`
}

// ErrorDetails: The details of an error, with the REST API's names.
type ErrorDetails struct {
	// Code: The finest code there is, as the REST API answers it: `session_not_found`, `no_miner`, `queue_full` ...
	Code string `json:"code"`

	// Kind: The kind of the error, by the same word in every language.
	Kind Kind `json:"kind"`

	// Message: The problem and how to mend it.
	Message string `json:"message"`

	// Param: The field or argument at fault: `max_tokens`, `limits.max_sessions`.
	Param *string `json:"param,omitempty"`

	// RetryAfterMs: Milliseconds after which a retry may succeed.
	RetryAfterMs *int64 `json:"retry_after_ms,omitempty"`

	// Retryable: Whether the same call may succeed later, unchanged.
	Retryable *bool `json:"retryable,omitempty"`

	// SessionID: The session that the error is about.
	SessionID *uint64 `json:"session_id,omitempty"`

	// TaskID: The task that the error is about; it can be polled.
	TaskID *uint64 `json:"task_id,omitempty"`
}

// SessionRecord: A session as the router keeps and shows it.
type SessionRecord struct {
	// ValidationPolicy: The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`.
	ValidationPolicy string `json:"validation_policy"`

	// Match: When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default
	// `normalized`.
	Match string `json:"match"`

	// MinScore: From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1.
	MinScore *float64 `json:"min_score,omitempty"`

	// TieBreak: Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`.
	TieBreak *bool `json:"tie_break,omitempty"`

	// MatchTolerance: How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001.
	MatchTolerance *float64 `json:"match_tolerance,omitempty"`

	// MatchPointers: The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
	MatchPointers []string `json:"match_pointers,omitempty"`

	// MatchModel: The model that embeds the answers; none: any that a miner embeds with.
	MatchModel *string `json:"match_model,omitempty"`

	// Name: A name for people, 1 to 256 bytes.
	Name string `json:"name"`

	// Metadata: Anything of the caller's, up to 64 KiB of text or JSON.
	Metadata string `json:"metadata"`

	// Owner: The owner; the token's id where it is empty.
	Owner string `json:"owner"`

	// Mode: Which miners serve it: 0 ephemeral, 1 dedicated, 2 both.
	Mode int64 `json:"mode"`

	// Redundant: How many miners answer each task (0 and 1: one).
	Redundant int64 `json:"redundant"`

	// MinNumOfNodes: The fewest miners that must be there for the session to be served; while there are fewer, new tasks
	// are refused (`too_few_miners`); 0: no demand.
	MinNumOfNodes int64 `json:"min_num_of_nodes"`

	// MaxNumOfNodes: The most miners that work for it at a time; 0: no limit.
	MaxNumOfNodes int64 `json:"max_num_of_nodes"`

	// NumOfValidatorNodes: How many answers are validated.
	NumOfValidatorNodes int64 `json:"num_of_validator_nodes"`

	// ReserveEphemeralNodes: Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant`
	// say, at least one.
	ReserveEphemeralNodes bool `json:"reserve_ephemeral_nodes"`

	// ReservePeriod: Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`.
	ReservePeriod int64 `json:"reserve_period"`

	// SLA: The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10
	// tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s. While no miner meets it,
	// any will do.
	SLA int64 `json:"sla"`

	// Model: The model of its tasks where they name none.
	Model string `json:"model"`

	// ModelIdentifier: Cortensor's number for a model; kept and given back.
	ModelIdentifier string `json:"model_identifier"`

	// MaxTaskExecutionCount: The most tasks it ever takes; 0: no limit.
	MaxTaskExecutionCount int64 `json:"max_task_execution_count"`

	// Priority: The band of its tasks, 0 to 9; a higher band is served first.
	Priority int64 `json:"priority"`

	// Weight: Its share within a band, 1 to 1000; 0 means the default of 1.
	Weight int64 `json:"weight"`

	// Affinity: Whether its tasks prefer the miner that served the last one; on by default.
	Affinity *bool `json:"affinity,omitempty"`

	// Retention: The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`.
	Retention string `json:"retention"`

	// Limits: The most that its tasks may use together, whoever submits them.
	Limits SessionQuota `json:"limits"`

	// Models: The models that its tasks may use; empty: all.
	Models []string `json:"models"`

	// ExpiresAt: Unix seconds from which on it takes no new tasks; 0: it does not expire.
	ExpiresAt int64 `json:"expires_at"`

	// ID: The id.
	ID uint64 `json:"id"`

	// SID: The session's 0x + 64 hexadecimal digits, also its `tx_hash`; accepted wherever an id is.
	SID string `json:"sid"`

	// Address: An address that stands for the session.
	Address string `json:"address"`

	// Active: Whether it takes tasks.
	Active bool `json:"active"`

	// State: `active` as a word.
	State string `json:"state"`

	// CreatedAt: Unix seconds.
	CreatedAt int64 `json:"created_at"`

	// UpdatedAt: Unix seconds.
	UpdatedAt int64 `json:"updated_at"`

	// EphemeralNodes: Miners that serve it and come and go.
	EphemeralNodes []string `json:"ephemeral_nodes"`

	// DedicatedNodes: Miners that are dedicated to it.
	DedicatedNodes []string `json:"dedicated_nodes"`

	// ReservedNodes: Miners that are kept for it alone now.
	ReservedNodes []string `json:"reserved_nodes"`

	// MinersCount: How many miners can serve it now.
	MinersCount int64 `json:"miners_count"`

	// TotalTasks: Tasks that were ever submitted to it.
	TotalTasks int64 `json:"total_tasks"`

	// ActiveTasks: Tasks that have not ended.
	ActiveTasks int64 `json:"active_tasks"`
}

// Hardware: The hardware of a miner, as the miner describes it.
type Hardware struct {
	// GPU: The accelerator, at most 256 bytes.
	GPU string `json:"gpu"`

	// Vram: Its memory, in MiB; 0 where it does not say.
	Vram int64 `json:"vram"`

	// CPU: The processor, at most 256 bytes.
	CPU string `json:"cpu"`
}

// ModelDetails: A model of a miner, as the miner describes it. The router checks none of it but the name.
type ModelDetails struct {
	// ID: Its name, as it is asked for; 1 to 256 bytes.
	ID string `json:"id"`

	// Digest: A digest of its weights, at most 256 bytes.
	Digest *string `json:"digest,omitempty"`

	// Quant: Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals.
	Quant *string `json:"quant,omitempty"`

	// Context: The most tokens of prompt and answer together; 0 where it is not known.
	Context int64 `json:"context"`

	// MaxOutput: The most tokens of an answer; 0 where it is not known.
	MaxOutput int64 `json:"max_output"`

	// Warm: Whether it is loaded.
	Warm bool `json:"warm"`

	// Embeddings: Whether it embeds.
	Embeddings bool `json:"embeddings"`

	// Tools: Whether it calls tools.
	Tools bool `json:"tools"`
}

// MinerInfo: A miner as the router sees it now.
type MinerInfo struct {
	// ID: The name.
	ID string `json:"id"`

	// MinerID: Alias of `id`, for clients that read `miner_id`.
	MinerID string `json:"miner_id"`

	// Address: The address that stands for it.
	Address string `json:"address"`

	// Active: Whether it gets work.
	Active bool `json:"active"`

	// Status: `idle`, `busy`, `draining`, `cooling` (its breaker is open), `set_aside` (its answers are not trusted) or
	// `down`; a server that the router starts may also be `stopped`, `starting`, `stopping` or `failed`.
	Status string `json:"status"`

	// Router: The router that it is connected to, where several share a database; else empty.
	Router string `json:"router"`

	// Kind: How it is reached.
	Kind string `json:"kind"`

	// NodeType: `ephemeral` or `dedicated`.
	NodeType string `json:"node_type"`

	// Models: The models it serves.
	Models []string `json:"models"`

	// Capacity: How many tasks it takes at a time, as it said.
	Capacity int64 `json:"capacity"`

	// Credits: How many it may take now: less than `capacity` while an upstream is throttled.
	Credits int64 `json:"credits"`

	// InFlight: How many it works on.
	InFlight int64 `json:"in_flight"`

	// Owner: The person or company that runs the miner.
	Owner string `json:"owner"`

	// Embeddings: Whether it embeds.
	Embeddings bool `json:"embeddings"`

	// MaxContextTokens: The most tokens of prompt and answer together; 0 where it does not say.
	MaxContextTokens int64 `json:"max_context_tokens"`

	// Features: The optional abilities of the miner: `continue`, `messages`, `responses` ...
	Features []string `json:"features"`

	// Agent: Its software and version, in its own words; empty for miners that do not say.
	Agent string `json:"agent"`

	// Hardware: Its hardware, in its own words.
	Hardware *Hardware `json:"hardware,omitempty"`

	// ModelDetails: The details of its models beyond their names, as the miner states them.
	ModelDetails []ModelDetails `json:"model_details"`

	// Load: Tasks in flight as a share of those that it may have now; 0 while it may have none.
	Load float64 `json:"load"`

	// ErrorRate: Attempts that failed by its fault, as a share of those that ended.
	ErrorRate float64 `json:"error_rate"`

	// TokensPerSecond: Measured tokens a second of one task.
	TokensPerSecond float64 `json:"tokens_per_second"`

	// FirstTokenMs: Measured milliseconds to the first token.
	FirstTokenMs float64 `json:"first_token_ms"`

	// Completed: Tasks it finished.
	Completed int64 `json:"completed"`

	// Failed: Attempts that failed by its fault.
	Failed int64 `json:"failed"`

	// Breaker: `closed`, `open` or `half_open`.
	Breaker string `json:"breaker"`

	// Reputation: How often its answers agree with others', smoothed; 1 where they always did or none was compared.
	Reputation float64 `json:"reputation"`

	// ServiceClass: The greatest service class (`sla` of a session) whose demands it meets, 0 to 3.
	ServiceClass int64 `json:"service_class"`

	// ReservedFor: The session that it is kept for; `null` where it is everybody's.
	ReservedFor *int64 `json:"reserved_for,omitempty"`

	// Reason: Why it is down, or what is odd about it while it is up; else empty.
	Reason string `json:"reason"`

	// ConnectedAt: Unix seconds.
	ConnectedAt int64 `json:"connected_at"`

	// LastSeen: Unix seconds.
	LastSeen int64 `json:"last_seen"`
}

// ModelInfo: A model that clients can ask for.
type ModelInfo struct {
	// ID: The model's name.
	ID string `json:"id"`

	// Created: The time at which the first miner of the model joined, in Unix seconds.
	Created int64 `json:"created"`

	// OwnedBy: The owner of the first miner that offers the model, or else that miner's name.
	OwnedBy string `json:"owned_by"`

	// Miners: The number of miners that offer the model.
	Miners int64 `json:"miners"`

	// Embeddings: Whether one of these miners makes embeddings.
	Embeddings bool `json:"embeddings"`
}

// NodeStats: How many miners of each sort there are.
type NodeStats struct {
	// DedicatedCount: Dedicated miners.
	DedicatedCount int64 `json:"dedicated_count"`

	// EphemeralCount: Miners that come and go.
	EphemeralCount int64 `json:"ephemeral_count"`

	// TotalCount: Both.
	TotalCount int64 `json:"total_count"`
}

// NodeInfo: The name of the router, its counts and its offers.
type NodeInfo struct {
	// ActiveSessions: Sessions that take tasks.
	ActiveSessions int64 `json:"active_sessions"`

	// Address: The address that stands for the router.
	Address string `json:"address"`

	// IPAddress: The address under which it is reached from outside, as configured.
	IPAddress string `json:"ip_address"`

	// Name: Its configured name.
	Name string `json:"name"`

	// NodeStats: Its miners.
	NodeStats NodeStats `json:"node_stats"`

	// TotalSessions: All sessions.
	TotalSessions int64 `json:"total_sessions"`

	// Version: The version of the product.
	Version string `json:"version"`

	// Models: Models that can be asked for.
	Models []string `json:"models"`

	// Capabilities: The abilities of the router: `completions`, `chat`, `embeddings`, `streaming` ...
	Capabilities []string `json:"capabilities"`

	// MaxContextTokens: The greatest context of its miners; 0 where none says.
	MaxContextTokens int64 `json:"max_context_tokens"`
}

// FleetStatus: How many routers share the database, and their figures together. All are 0 for a router with a store
// of its own.
type FleetStatus struct {
	// Members: Routers that use the database, this one too.
	Members int64 `json:"members"`

	// Up: Those that take tasks.
	Up int64 `json:"up"`

	// Draining: Those that take no new tasks and end soon.
	Draining int64 `json:"draining"`

	// Unlinked: Those to which this router has no link.
	Unlinked int64 `json:"unlinked"`

	// Miners: Miners of this router and of those to which it has a link.
	Miners int64 `json:"miners"`

	// QueuedTasks: Tasks that wait for a miner there.
	QueuedTasks int64 `json:"queued_tasks"`

	// RunningTasks: Tasks that a miner works on there.
	RunningTasks int64 `json:"running_tasks"`
}

// NodeStatus: How the router is doing.
type NodeStatus struct {
	// Status: `ok`, `draining`, or `store_unavailable` while the store refuses to write.
	Status string `json:"status"`

	// ActiveSessions: Sessions that take tasks.
	ActiveSessions int64 `json:"active_sessions"`

	// ConnectedMiners: Miners that are there.
	ConnectedMiners int64 `json:"connected_miners"`

	// MinerCount: Alias of `connected_miners`, for clients that read `miner_count`.
	MinerCount int64 `json:"miner_count"`

	// ActiveMiners: Miners that get work.
	ActiveMiners int64 `json:"active_miners"`

	// CPUUsage: Per cent of the machine's processors that this process uses; 0 without the listener.
	CPUUsage float64 `json:"cpu_usage"`

	// MemoryUsage: Resident memory of this process in MiB; 0 without the listener.
	MemoryUsage float64 `json:"memory_usage"`

	// Uptime: Seconds since the router was opened.
	Uptime int64 `json:"uptime"`

	// Version: The version of the product.
	Version string `json:"version"`

	// QueuedTasks: Tasks that wait for a miner.
	QueuedTasks int64 `json:"queued_tasks"`

	// RunningTasks: Tasks that a miner works on.
	RunningTasks int64 `json:"running_tasks"`

	// Durability: `full`, `relaxed` or `memory`.
	Durability string `json:"durability"`

	// Store: `sqlite`, `postgres` or `memory`.
	Store string `json:"store"`

	// Fleet: The routers that share the database.
	Fleet FleetStatus `json:"fleet"`

	// BlockHeight: Always 0: there is no chain.
	BlockHeight int64 `json:"block_height"`
}

// MinerClientStats: The counts of a miner since it started.
type MinerClientStats struct {
	// MinerID: The miner's id: the id of its key, or else its name.
	MinerID string `json:"miner_id"`

	// Connected: Whether the miner is connected to a router.
	Connected bool `json:"connected"`

	// Router: The URL of the present router, or of the last one.
	Router string `json:"router"`

	// LastError: The reason why the last connection ended or failed; empty: the miner is connected.
	LastError string `json:"last_error"`

	// Draining: Whether the miner drains and takes no new tasks.
	Draining bool `json:"draining"`

	// Capacity: The maximum number of concurrent tasks.
	Capacity int64 `json:"capacity"`

	// InFlight: The attempts that the miner holds, including answers that wait for their `final`.
	InFlight int64 `json:"in_flight"`

	// Connections: The number of connections that a router has welcomed.
	Connections int64 `json:"connections"`

	// Accepted: The number of offers that the miner took.
	Accepted int64 `json:"accepted"`

	// Rejected: The number of offers that the miner did not take.
	Rejected int64 `json:"rejected"`

	// Finished: The number of answers that the backend finished.
	Finished int64 `json:"finished"`

	// Committed: The number of answers that became results.
	Committed int64 `json:"committed"`

	// Failed: The number of attempts that failed.
	Failed int64 `json:"failed"`

	// Cancelled: The number of attempts that were cancelled.
	Cancelled int64 `json:"cancelled"`

	// Frames: The number of pieces that were sent, including those sent again.
	Frames int64 `json:"frames"`
}

// UsagePart: The usage of one part.
type UsagePart struct {
	// Requests: Tasks that ended. A request that an idempotency key repeats is no further task.
	Requests int64 `json:"requests"`

	// Ok: Tasks that ended with an answer.
	Ok int64 `json:"ok"`

	// Disputed: Tasks whose answers do not agree.
	Disputed int64 `json:"disputed"`

	// Failed: Tasks that ended without an answer.
	Failed int64 `json:"failed"`

	// Cancelled: Tasks that were cancelled.
	Cancelled int64 `json:"cancelled"`

	// Expired: Tasks whose deadline passed.
	Expired int64 `json:"expired"`

	// PromptTokens: Tokens of the prompts.
	PromptTokens int64 `json:"prompt_tokens"`

	// CompletionTokens: Tokens that were generated.
	CompletionTokens int64 `json:"completion_tokens"`

	// CachedTokens: Tokens of the prompts that a model's server had in its cache, as far as the servers say so.
	CachedTokens int64 `json:"cached_tokens"`

	// ReasoningTokens: Generated tokens that are not part of the answers' texts, as far as the models' servers say so.
	ReasoningTokens int64 `json:"reasoning_tokens"`

	// Bytes: Bytes of the requests and of the answers.
	Bytes int64 `json:"bytes"`

	// Attempts: The number of times that a miner got a task.
	Attempts int64 `json:"attempts"`

	// Name: The part: a day, a key's id, a model, a session's number or a miner's address. Empty: the tasks have none.
	// `other`: tasks whose day had no row left (`retention.max_usage_rows`).
	Name string `json:"name"`

	// TotalTokens: The sum of the tokens of prompts and answers.
	TotalTokens int64 `json:"total_tokens"`

	// Cost: The cost of the tokens of models that have a price (`prices.model`), as an exact decimal number in a text.
	// `null`: no model of the part has a price.
	Cost *string `json:"cost,omitempty"`

	// UnpricedTokens: The tokens of models without a price, which `cost` does not contain.
	UnpricedTokens int64 `json:"unpriced_tokens"`
}

// KeyLimits: The limits of a key. Each limit is at least 1; a limit that is missing does not bind.
type KeyLimits struct {
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

// SessionQuota: The limits of a session, which hold for all keys that use it. Each limit is at least 1; a limit that
// is missing does not bind.
type SessionQuota struct {
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

// ApiKey: A token's record. The secret is never kept, only its hash.
type ApiKey struct {
	// ID: The public part of the token: `ctr_<id>_<secret>`.
	ID string `json:"id"`

	// Name: A name for people.
	Name string `json:"name"`

	// Hash: SHA-256 of the secret, hexadecimal.
	Hash string `json:"hash"`

	// Scopes: The scopes: `submit`, `read`, `admin`, `miner`, `enrol`.
	Scopes []string `json:"scopes"`

	// Sessions: The only sessions that the key may use; empty: all sessions.
	Sessions []int64 `json:"sessions"`

	// CreatedAt: When the key was made, in Unix seconds.
	CreatedAt int64 `json:"created_at"`

	// ExpiresAt: The time from which on the key is refused, in Unix seconds; 0: never.
	ExpiresAt int64 `json:"expires_at"`

	// Models: The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models.
	Models []string `json:"models"`

	// Owner: For a miner's key: the person or company that runs the miner.
	Owner string `json:"owner"`

	// Limits: The key's limits.
	Limits KeyLimits `json:"limits"`
}

// NewKey: A key that was just created, with its token, which is never shown again.
type NewKey struct {
	// ID: The public part of the token: `ctr_<id>_<secret>`.
	ID string `json:"id"`

	// Name: A name for people.
	Name string `json:"name"`

	// Hash: SHA-256 of the secret, hexadecimal.
	Hash string `json:"hash"`

	// Scopes: The scopes: `submit`, `read`, `admin`, `miner`, `enrol`.
	Scopes []string `json:"scopes"`

	// Sessions: The only sessions that the key may use; empty: all sessions.
	Sessions []int64 `json:"sessions"`

	// CreatedAt: When the key was made, in Unix seconds.
	CreatedAt int64 `json:"created_at"`

	// ExpiresAt: The time from which on the key is refused, in Unix seconds; 0: never.
	ExpiresAt int64 `json:"expires_at"`

	// Models: The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models.
	Models []string `json:"models"`

	// Owner: For a miner's key: the person or company that runs the miner.
	Owner string `json:"owner"`

	// Limits: The key's limits.
	Limits KeyLimits `json:"limits"`

	// Token: The token: `ctr_<id>_<secret>`.
	Token string `json:"token"`
}

// UsageReport: Usage, by parts.
type UsageReport struct {
	// By: The parts by which usage is told apart: `day`, `key`, `model`, `session` or `miner`.
	By string `json:"by"`

	// From: The first day.
	From string `json:"from"`

	// To: The last day.
	To string `json:"to"`

	// Count: The number of parts on all pages.
	Count int64 `json:"count"`

	// Currency: The currency of every `cost` (`prices.currency`). `null`: no model has a price.
	Currency *string `json:"currency,omitempty"`

	// Usage: The parts of this page, in order.
	Usage []UsagePart `json:"usage"`
}
