// Made from the schema by `cargo xtask gen`; do not edit.
package network.cortensor.router

/** Tokens of one completion, as the miner counted them (or estimated where it does not count). */
public class Usage(fields: Map<String, Any?>) : Record(fields) {
    /** Tokens that were generated. */
    public val completionTokens: Long get() = number("completion_tokens")

    /** Tokens of the prompt. */
    public val promptTokens: Long get() = number("prompt_tokens")

    /** Their sum. */
    public val totalTokens: Long get() = number("total_tokens")

    /** Tokens of the prompt that the model's server had in its cache, where the server says so. */
    public val cachedTokens: Long get() = number("cached_tokens")

    /** Generated tokens that are not part of the answer's text, where the model's server says so. */
    public val reasoningTokens: Long get() = number("reasoning_tokens")
}

/** How one miner's answer compares with the winner's. */
public class MinerVerdict(fields: Map<String, Any?>) : Record(fields) {
    /** The miner's address. */
    public val miner: String get() = text("miner")

    /** Its score with the winner, 0 to 1. */
    public val score: Double get() = decimal("score")

    /** Whether that is enough to match. */
    public val agrees: Boolean get() = flag("agrees")
}

/** How several answers to one task compare. */
public class Verdict(fields: Map<String, Any?>) : Record(fields) {
    /** `agreed`, `disputed` or `insufficient`. */
    public val verdict: String get() = text("verdict")

    /**
     * How well the answers agree, 0 to 1: the share that match the winner (`quorum`), the mean score of the
     * winner with the others (`medoid`), the least score of any two (`all`).
     */
    public val score: Double get() = decimal("score")

    /** How they were compared: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. */
    public val method: String get() = text("method")

    /** The rule that decided: `quorum`, `medoid` or `all`. */
    public val policy: String get() = text("policy")

    /** The address of the miner whose answer was taken; where they do not agree, of the one that is shown first. */
    public val winner: String get() = text("winner")

    /** Each miner's answer beside the winner's, the winner first. */
    public val perMiner: List<MinerVerdict> get() = records("per_miner", ::MinerVerdict)
}

/** One answer, or the new piece of it. */
public class Choice(fields: Map<String, Any?>) : Record(fields) {
    /** `stop`, `length` ...; `null` before the end of a stream. */
    public val finishReason: String? get() = given("finish_reason") { text(it) }

    /** Its place among the choices. */
    public val index: Long get() = number("index")

    /** Always `null`. */
    public val logprobs: Any? get() = get("logprobs")

    /** The text. */
    public val text: String get() = text("text")

    /** `text` as a message. */
    public val message: Message get() = record("message", ::Message)

    /** Whose answer it is, where several miners answered. */
    public val minerAddress: String? get() = given("miner_address") { text(it) }
}

/** A completion on its way out: to REST clients and to the bindings; whole, or one event of a stream. */
public open class CompletionRecord(fields: Map<String, Any?>) : Record(fields) {
    /** The answers: one, unless several were asked for. */
    public val choices: List<Choice> get() = records("choices", ::Choice)

    /** Unix seconds. */
    public val created: Long get() = number("created")

    /** Unique among all tasks. */
    public val id: String get() = text("id")

    /** The model that was asked for. */
    public val model: String get() = text("model")

    /** `text_completion` */
    public val `object`: String get() = text("object")

    /** The session. */
    public val sessionId: Long get() = number("session_id")

    /** The task in its session. */
    public val taskId: Long get() = number("task_id")

    /** Token counts. */
    public val usage: Usage get() = record("usage", ::Usage)

    /** The task among all sessions. */
    public val gid: Long? get() = given("gid") { number(it) }

    /** The address of the miner whose answer it is. */
    public val minerAddress: String? get() = given("miner_address") { text(it) }

    /** How several answers compare. */
    public val verdict: Verdict? get() = given("verdict") { record(it, ::Verdict) }
}

/** The answers to a task, where it is shown alone. */
public class TaskResults(fields: Map<String, Any?>) : Record(fields) {
    /** The texts; while the task runs, the text so far. */
    public val data: List<String> get() = texts("data")

    /**
     * The miners' addresses, aligned with `data`. Only once the task has ended: clients take its presence for
     * completeness.
     */
    public val miners: List<String>? get() = given("miners") { texts(it) }
}

/**
 * The delivery of a task's end as it is shown: without the secret, and without the parts of the URL that may be
 * one.
 */
public class WebhookRecord(fields: Map<String, Any?>) : Record(fields) {
    /** The URL, without its query. */
    public val url: String get() = text("url")

    /** `waiting` (the task has not ended), `pending`, `delivered` or `failed`. */
    public val state: String get() = text("state")

    /** The tries so far. */
    public val attempts: Long get() = number("attempts")

    /** The status of the last answer; null: there was none. */
    public val lastStatus: Long? get() = given("last_status") { number(it) }

    /** Why the last try failed; null: it did not. */
    public val lastError: String? get() = given("last_error") { text(it) }

    /** Unix seconds of the next try; null: there is none. */
    public val nextAt: Long? get() = given("next_at") { number(it) }
}

/** A task on its way out: to REST clients and to the bindings. */
public class TaskRecord(fields: Map<String, Any?>) : Record(fields) {
    /** Its number in its session. */
    public val id: Long get() = number("id")

    /** Alias of `id`, for clients that read `task_id`. */
    public val taskId: Long get() = number("task_id")

    /** Its number among all sessions. */
    public val gid: Long get() = number("gid")

    /** The session. */
    public val sessionId: Long get() = number("session_id")

    /**
     * The key under which it was submitted: a key's id, the name of a configured token, or the name that a host
     * program gave.
     */
    public val keyId: String? get() = given("key_id") { text(it) }

    /** The caller's own reference. */
    public val clientReference: String? get() = given("client_reference") { text(it) }

    /** 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended. */
    public val status: Long get() = number("status")

    /** `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`. */
    public val state: String get() = text("state")

    /** Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes. */
    public val outcome: String? get() = given("outcome") { text(it) }

    /** Whether it has ended. */
    public val ended: Boolean get() = flag("ended")

    /** Unix seconds at which the task was submitted. */
    public val createdAt: Long get() = number("created_at")

    /** Unix seconds at which a miner took the task; 0 while none has. */
    public val startedAt: Long get() = number("started_at")

    /** Unix seconds at which the last answer came in; 0 before. */
    public val lastPrecommitAt: Long get() = number("last_precommit_at")

    /** Unix seconds at which the verdict was written; 0 before. */
    public val lastCommitAt: Long get() = number("last_commit_at")

    /** Unix seconds at which the task ended; 0 before. */
    public val finishedAt: Long get() = number("finished_at")

    /** Seconds that miners took; 0 before the end. */
    public val executionTime: Double get() = decimal("execution_time")

    /** The addresses of the miners that worked on it, in their order. */
    public val assignedMiners: List<String> get() = texts("assigned_miners")

    /** The whole text that the model reads. */
    public val prompt: String get() = text("prompt")

    /** The answer's text, or what there is so far. */
    public val text: String get() = text("text")

    /** Alias of `text`, for clients that read `response`. */
    public val response: String get() = text("response")

    /** The model that was asked for, else the one that answered. */
    public val model: String? get() = given("model") { text(it) }

    /** Why the answer ends: `stop`, `length` ... */
    public val finishReason: String? get() = given("finish_reason") { text(it) }

    /** Token counts. */
    public val usage: Usage? get() = given("usage") { record(it, ::Usage) }

    /** How often it was given to a miner. */
    public val attempts: Long get() = number("attempts")

    /** How several answers compare. */
    public val verdict: Verdict? get() = given("verdict") { record(it, ::Verdict) }

    /** Why it has no answer. */
    public val failure: String? get() = given("failure") { text(it) }

    /** Its place in the queue, while it waits. */
    public val queuePosition: Long? get() = given("queue_position") { number(it) }

    /** The delivery of its end to its webhook, if it has one. */
    public val webhook: WebhookRecord? get() = given("webhook") { record(it, ::WebhookRecord) }

    /** The answers. In a list of tasks: the texts, aligned with `assigned_miners`. */
    public val results: TaskResults get() = record("results", ::TaskResults)

    /** SHA-256 of the answers' texts, aligned with `results`. */
    public val resultsHash: List<String> get() = texts("results_hash")
}

/** A task in a list. */
public class TaskRow(fields: Map<String, Any?>) : Record(fields) {
    /** Its number in its session. */
    public val id: Long get() = number("id")

    /** Alias of `id`, for clients that read `task_id`. */
    public val taskId: Long get() = number("task_id")

    /** Its number among all sessions. */
    public val gid: Long get() = number("gid")

    /** The session. */
    public val sessionId: Long get() = number("session_id")

    /**
     * The key under which it was submitted: a key's id, the name of a configured token, or the name that a host
     * program gave.
     */
    public val keyId: String? get() = given("key_id") { text(it) }

    /** The caller's own reference. */
    public val clientReference: String? get() = given("client_reference") { text(it) }

    /** 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended. */
    public val status: Long get() = number("status")

    /** `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`. */
    public val state: String get() = text("state")

    /** Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes. */
    public val outcome: String? get() = given("outcome") { text(it) }

    /** Whether it has ended. */
    public val ended: Boolean get() = flag("ended")

    /** Unix seconds at which the task was submitted. */
    public val createdAt: Long get() = number("created_at")

    /** Unix seconds at which a miner took the task; 0 while none has. */
    public val startedAt: Long get() = number("started_at")

    /** Unix seconds at which the last answer came in; 0 before. */
    public val lastPrecommitAt: Long get() = number("last_precommit_at")

    /** Unix seconds at which the verdict was written; 0 before. */
    public val lastCommitAt: Long get() = number("last_commit_at")

    /** Unix seconds at which the task ended; 0 before. */
    public val finishedAt: Long get() = number("finished_at")

    /** Seconds that miners took; 0 before the end. */
    public val executionTime: Double get() = decimal("execution_time")

    /** The addresses of the miners that worked on it, in their order. */
    public val assignedMiners: List<String> get() = texts("assigned_miners")

    /** The whole text that the model reads. */
    public val prompt: String get() = text("prompt")

    /** The answer's text, or what there is so far. */
    public val text: String get() = text("text")

    /** Alias of `text`, for clients that read `response`. */
    public val response: String get() = text("response")

    /** The model that was asked for, else the one that answered. */
    public val model: String? get() = given("model") { text(it) }

    /** Why the answer ends: `stop`, `length` ... */
    public val finishReason: String? get() = given("finish_reason") { text(it) }

    /** Token counts. */
    public val usage: Usage? get() = given("usage") { record(it, ::Usage) }

    /** How often it was given to a miner. */
    public val attempts: Long get() = number("attempts")

    /** How several answers compare. */
    public val verdict: Verdict? get() = given("verdict") { record(it, ::Verdict) }

    /** Why it has no answer. */
    public val failure: String? get() = given("failure") { text(it) }

    /** Its place in the queue, while it waits. */
    public val queuePosition: Long? get() = given("queue_position") { number(it) }

    /** The delivery of its end to its webhook, if it has one. */
    public val webhook: WebhookRecord? get() = given("webhook") { record(it, ::WebhookRecord) }

    /** The answers. In a list of tasks: the texts, aligned with `assigned_miners`. */
    public val results: List<String> get() = texts("results")

    /** SHA-256 of the answers' texts, aligned with `results`. */
    public val resultsHash: List<String> get() = texts("results_hash")
}

/** Tasks of a session. */
public class TaskPage internal constructor(record: Record) :
    Page<TaskRow>(record, record.records("tasks", ::TaskRow)) {
    /**
     * The ids of tasks of this page whose rows in the store are damaged; missing if there are none. With
     * `format=array` the header `X-Cortensor-Corrupt` has them.
     */
    public val corrupt: List<Long>? get() = record.given("corrupt") { record.numbers(it) }
}

/** A vector. */
public class Embedding(fields: Map<String, Any?>) : Record(fields) {
    /** Its numbers. */
    public val embedding: List<Double> get() = decimals("embedding")

    /** The input it belongs to, from 0. */
    public val index: Long get() = number("index")

    /** `embedding` */
    public val `object`: String get() = text("object")
}

/** Vectors of texts, in the order of the texts. */
public open class EmbeddingsRecord(fields: Map<String, Any?>) : Record(fields) {
    /** The vectors, one for each text. */
    public val data: List<Embedding> get() = records("data", ::Embedding)

    /** The task among all sessions. */
    public val gid: Long get() = number("gid")

    /** The miner that made them. */
    public val minerAddress: String get() = text("miner_address")

    /** The model that made them. */
    public val model: String get() = text("model")

    /** `list` */
    public val `object`: String get() = text("object")

    /** The session. */
    public val sessionId: Long get() = number("session_id")

    /** The task in its session. */
    public val taskId: Long get() = number("task_id")

    /** Tokens of the texts. */
    public val usage: Usage get() = record("usage", ::Usage)
}

/** A job as the router has it. */
public class JobInfo(fields: Map<String, Any?>) : Record(fields) {
    /** The task among all sessions. */
    public val gid: Long get() = number("gid")

    /** The session. */
    public val sessionId: Long get() = number("session_id")

    /** The task in its session. */
    public val taskId: Long get() = number("task_id")

    /** The model to use, where one was asked for. */
    public val model: String? get() = given("model") { text(it) }

    /** The whole text that the model must read. */
    public val prompt: String get() = text("prompt")

    /** Whether somebody reads tokens as they come. */
    public val stream: Boolean get() = flag("stream")

    /** Milliseconds since the Unix epoch after which nobody wants the answer. */
    public val deadlineMs: Long get() = number("deadline_ms")

    /**
     * The text that another miner gave before it was lost, if the answer must go on behind it. Only miners that
     * said that they can continue get such work.
     */
    public val partial: String get() = text("partial")

    /** The W3C trace context under which the miner's own work belongs, if the caller sent one. */
    public val traceparent: String get() = text("traceparent")

    /** The W3C `tracestate` that belongs to `traceparent`. */
    public val tracestate: String get() = text("tracestate")

    /** The caller's request. */
    public val request: Record get() = record("request")
}

/** A session as the router keeps and shows it. */
public class SessionRecord(fields: Map<String, Any?>) : Record(fields) {
    /** The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`. */
    public val validationPolicy: String get() = text("validation_policy")

    /**
     * When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default
     * `normalized`.
     */
    public val match: String get() = text("match")

    /** From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1. */
    public val minScore: Double? get() = given("min_score") { decimal(it) }

    /** Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`. */
    public val tieBreak: Boolean? get() = given("tie_break") { flag(it) }

    /** How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001. */
    public val matchTolerance: Double? get() = given("match_tolerance") { decimal(it) }

    /** The only places of JSON that are compared (RFC 6901), at most 32; none: the whole. */
    public val matchPointers: List<String>? get() = given("match_pointers") { texts(it) }

    /** The model that embeds the answers; none: any that a miner embeds with. */
    public val matchModel: String? get() = given("match_model") { text(it) }

    /** A name for people, 1 to 256 bytes. */
    public val name: String get() = text("name")

    /** Anything of the caller's, up to 64 KiB of text or JSON. */
    public val metadata: String get() = text("metadata")

    /** The owner; the token's id where it is empty. */
    public val owner: String get() = text("owner")

    /** Which miners serve it: 0 ephemeral, 1 dedicated, 2 both. */
    public val mode: Long get() = number("mode")

    /** How many miners answer each task (0 and 1: one). */
    public val redundant: Long get() = number("redundant")

    /**
     * The fewest miners that must be there for the session to be served; while there are fewer, new tasks are
     * refused (`too_few_miners`); 0: no demand.
     */
    public val minNumOfNodes: Long get() = number("min_num_of_nodes")

    /** The most miners that work for it at a time; 0: no limit. */
    public val maxNumOfNodes: Long get() = number("max_num_of_nodes")

    /** How many answers are validated. */
    public val numOfValidatorNodes: Long get() = number("num_of_validator_nodes")

    /**
     * Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant` say, at least
     * one.
     */
    public val reserveEphemeralNodes: Boolean get() = flag("reserve_ephemeral_nodes")

    /** Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`. */
    public val reservePeriod: Long get() = number("reserve_period")

    /**
     * The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 % errors,
     * 10 tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s. While no
     * miner meets it, any will do.
     */
    public val sla: Long get() = number("sla")

    /** The model of its tasks where they name none. */
    public val model: String get() = text("model")

    /** Cortensor's number for a model; kept and given back. */
    public val modelIdentifier: String get() = text("model_identifier")

    /** The most tasks it ever takes; 0: no limit. */
    public val maxTaskExecutionCount: Long get() = number("max_task_execution_count")

    /** The band of its tasks, 0 to 9; a higher band is served first. */
    public val priority: Long get() = number("priority")

    /** Its share within a band, 1 to 1000; 0 means the default of 1. */
    public val weight: Long get() = number("weight")

    /** Whether its tasks prefer the miner that served the last one; on by default. */
    public val affinity: Boolean? get() = given("affinity") { flag(it) }

    /** The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`. */
    public val retention: String get() = text("retention")

    /** The most that its tasks may use together, whoever submits them. */
    public val limits: SessionQuota get() = record("limits", ::SessionQuota)

    /** The models that its tasks may use; empty: all. */
    public val models: List<String> get() = texts("models")

    /** Unix seconds from which on it takes no new tasks; 0: it does not expire. */
    public val expiresAt: Long get() = number("expires_at")

    /** The id. */
    public val id: Long get() = number("id")

    /** The session's 0x + 64 hexadecimal digits, also its `tx_hash`; accepted wherever an id is. */
    public val sid: String get() = text("sid")

    /** An address that stands for the session. */
    public val address: String get() = text("address")

    /** Whether it takes tasks. */
    public val active: Boolean get() = flag("active")

    /** `active` as a word. */
    public val state: String get() = text("state")

    /** Unix seconds. */
    public val createdAt: Long get() = number("created_at")

    /** Unix seconds. */
    public val updatedAt: Long get() = number("updated_at")

    /** Miners that serve it and come and go. */
    public val ephemeralNodes: List<String> get() = texts("ephemeral_nodes")

    /** Miners that are dedicated to it. */
    public val dedicatedNodes: List<String> get() = texts("dedicated_nodes")

    /** Miners that are kept for it alone now. */
    public val reservedNodes: List<String> get() = texts("reserved_nodes")

    /** How many miners can serve it now. */
    public val minersCount: Long get() = number("miners_count")

    /** Tasks that were ever submitted to it. */
    public val totalTasks: Long get() = number("total_tasks")

    /** Tasks that have not ended. */
    public val activeTasks: Long get() = number("active_tasks")
}

/** The hardware of a miner, as the miner describes it. */
public class Hardware(fields: Map<String, Any?>) : Record(fields) {
    /** The accelerator, at most 256 bytes. */
    public val gpu: String get() = text("gpu")

    /** Its memory, in MiB; 0 where it does not say. */
    public val vram: Long get() = number("vram")

    /** The processor, at most 256 bytes. */
    public val cpu: String get() = text("cpu")
}

/** A model of a miner, as the miner describes it. The router checks none of it but the name. */
public class ModelDetails(fields: Map<String, Any?>) : Record(fields) {
    /** Its name, as it is asked for; 1 to 256 bytes. */
    public val id: String get() = text("id")

    /** A digest of its weights, at most 256 bytes. */
    public val digest: String? get() = given("digest") { text(it) }

    /** Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals. */
    public val quant: String? get() = given("quant") { text(it) }

    /** The most tokens of prompt and answer together; 0 where it is not known. */
    public val context: Long get() = number("context")

    /** The most tokens of an answer; 0 where it is not known. */
    public val maxOutput: Long get() = number("max_output")

    /** Whether it is loaded. */
    public val warm: Boolean get() = flag("warm")

    /** Whether it embeds. */
    public val embeddings: Boolean get() = flag("embeddings")

    /** Whether it calls tools. */
    public val tools: Boolean get() = flag("tools")
}

/** A miner as the router sees it now. */
public class MinerInfo(fields: Map<String, Any?>) : Record(fields) {
    /** The name. */
    public val id: String get() = text("id")

    /** Alias of `id`, for clients that read `miner_id`. */
    public val minerId: String get() = text("miner_id")

    /** The address that stands for it. */
    public val address: String get() = text("address")

    /** Whether it gets work. */
    public val active: Boolean get() = flag("active")

    /**
     * `idle`, `busy`, `draining`, `cooling` (its breaker is open), `set_aside` (its answers are not trusted) or
     * `down`; a server that the router starts may also be `stopped`, `starting`, `stopping` or `failed`.
     */
    public val status: String get() = text("status")

    /** The router that it is connected to, where several share a database; else empty. */
    public val router: String get() = text("router")

    /** How it is reached. */
    public val kind: String get() = text("kind")

    /** `ephemeral` or `dedicated`. */
    public val nodeType: String get() = text("node_type")

    /** The models it serves. */
    public val models: List<String> get() = texts("models")

    /** How many tasks it takes at a time, as it said. */
    public val capacity: Long get() = number("capacity")

    /** How many it may take now: less than `capacity` while an upstream is throttled. */
    public val credits: Long get() = number("credits")

    /** How many it works on. */
    public val inFlight: Long get() = number("in_flight")

    /** The person or company that runs the miner. */
    public val owner: String get() = text("owner")

    /** Whether it embeds. */
    public val embeddings: Boolean get() = flag("embeddings")

    /** The most tokens of prompt and answer together; 0 where it does not say. */
    public val maxContextTokens: Long get() = number("max_context_tokens")

    /** The optional abilities of the miner: `continue`, `messages`, `responses` ... */
    public val features: List<String> get() = texts("features")

    /** Its software and version, in its own words; empty for miners that do not say. */
    public val agent: String get() = text("agent")

    /** Its hardware, in its own words. */
    public val hardware: Hardware? get() = given("hardware") { record(it, ::Hardware) }

    /** The details of its models beyond their names, as the miner states them. */
    public val modelDetails: List<ModelDetails> get() = records("model_details", ::ModelDetails)

    /** Tasks in flight as a share of those that it may have now; 0 while it may have none. */
    public val load: Double get() = decimal("load")

    /** Attempts that failed by its fault, as a share of those that ended. */
    public val errorRate: Double get() = decimal("error_rate")

    /** Measured tokens a second of one task. */
    public val tokensPerSecond: Double get() = decimal("tokens_per_second")

    /** Measured milliseconds to the first token. */
    public val firstTokenMs: Double get() = decimal("first_token_ms")

    /** Tasks it finished. */
    public val completed: Long get() = number("completed")

    /** Attempts that failed by its fault. */
    public val failed: Long get() = number("failed")

    /** `closed`, `open` or `half_open`. */
    public val breaker: String get() = text("breaker")

    /** How often its answers agree with others', smoothed; 1 where they always did or none was compared. */
    public val reputation: Double get() = decimal("reputation")

    /** The greatest service class (`sla` of a session) whose demands it meets, 0 to 3. */
    public val serviceClass: Long get() = number("service_class")

    /** The session that it is kept for; `null` where it is everybody's. */
    public val reservedFor: Long? get() = given("reserved_for") { number(it) }

    /** Why it is down, or what is odd about it while it is up; else empty. */
    public val reason: String get() = text("reason")

    /** Unix seconds. */
    public val connectedAt: Long get() = number("connected_at")

    /** Unix seconds. */
    public val lastSeen: Long get() = number("last_seen")
}

/** A model that clients can ask for. */
public class ModelInfo(fields: Map<String, Any?>) : Record(fields) {
    /** The model's name. */
    public val id: String get() = text("id")

    /** The time at which the first miner of the model joined, in Unix seconds. */
    public val created: Long get() = number("created")

    /** The owner of the first miner that offers the model, or else that miner's name. */
    public val ownedBy: String get() = text("owned_by")

    /** The number of miners that offer the model. */
    public val miners: Long get() = number("miners")

    /** Whether one of these miners makes embeddings. */
    public val embeddings: Boolean get() = flag("embeddings")
}

/** How many miners of each sort there are. */
public class NodeStats(fields: Map<String, Any?>) : Record(fields) {
    /** Dedicated miners. */
    public val dedicatedCount: Long get() = number("dedicated_count")

    /** Miners that come and go. */
    public val ephemeralCount: Long get() = number("ephemeral_count")

    /** Both. */
    public val totalCount: Long get() = number("total_count")
}

/** The name of the router, its counts and its offers. */
public class NodeInfo(fields: Map<String, Any?>) : Record(fields) {
    /** Sessions that take tasks. */
    public val activeSessions: Long get() = number("active_sessions")

    /** The address that stands for the router. */
    public val address: String get() = text("address")

    /** The address under which it is reached from outside, as configured. */
    public val ipAddress: String get() = text("ip_address")

    /** Its configured name. */
    public val name: String get() = text("name")

    /** Its miners. */
    public val nodeStats: NodeStats get() = record("node_stats", ::NodeStats)

    /** All sessions. */
    public val totalSessions: Long get() = number("total_sessions")

    /** The version of the product. */
    public val version: String get() = text("version")

    /** Models that can be asked for. */
    public val models: List<String> get() = texts("models")

    /** The abilities of the router: `completions`, `chat`, `embeddings`, `streaming` ... */
    public val capabilities: List<String> get() = texts("capabilities")

    /** The greatest context of its miners; 0 where none says. */
    public val maxContextTokens: Long get() = number("max_context_tokens")
}

/**
 * How many routers share the database, and their figures together. All are 0 for a router with a store of its
 * own.
 */
public class FleetStatus(fields: Map<String, Any?>) : Record(fields) {
    /** Routers that use the database, this one too. */
    public val members: Long get() = number("members")

    /** Those that take tasks. */
    public val up: Long get() = number("up")

    /** Those that take no new tasks and end soon. */
    public val draining: Long get() = number("draining")

    /** Those to which this router has no link. */
    public val unlinked: Long get() = number("unlinked")

    /** Miners of this router and of those to which it has a link. */
    public val miners: Long get() = number("miners")

    /** Tasks that wait for a miner there. */
    public val queuedTasks: Long get() = number("queued_tasks")

    /** Tasks that a miner works on there. */
    public val runningTasks: Long get() = number("running_tasks")
}

/** How the router is doing. */
public class NodeStatus(fields: Map<String, Any?>) : Record(fields) {
    /** `ok`, `draining`, or `store_unavailable` while the store refuses to write. */
    public val status: String get() = text("status")

    /** Sessions that take tasks. */
    public val activeSessions: Long get() = number("active_sessions")

    /** Miners that are there. */
    public val connectedMiners: Long get() = number("connected_miners")

    /** Alias of `connected_miners`, for clients that read `miner_count`. */
    public val minerCount: Long get() = number("miner_count")

    /** Miners that get work. */
    public val activeMiners: Long get() = number("active_miners")

    /** Per cent of the machine's processors that this process uses; 0 without the listener. */
    public val cpuUsage: Double get() = decimal("cpu_usage")

    /** Resident memory of this process in MiB; 0 without the listener. */
    public val memoryUsage: Double get() = decimal("memory_usage")

    /** Seconds since the router was opened. */
    public val uptime: Long get() = number("uptime")

    /** The version of the product. */
    public val version: String get() = text("version")

    /** Tasks that wait for a miner. */
    public val queuedTasks: Long get() = number("queued_tasks")

    /** Tasks that a miner works on. */
    public val runningTasks: Long get() = number("running_tasks")

    /** `full`, `relaxed` or `memory`. */
    public val durability: String get() = text("durability")

    /** `sqlite`, `postgres` or `memory`. */
    public val store: String get() = text("store")

    /** The routers that share the database. */
    public val fleet: FleetStatus get() = record("fleet", ::FleetStatus)

    /** Always 0: there is no chain. */
    public val blockHeight: Long get() = number("block_height")
}

/** The counts of a miner since it started. */
public class MinerClientStats(fields: Map<String, Any?>) : Record(fields) {
    /** The miner's id: the id of its key, or else its name. */
    public val minerId: String get() = text("miner_id")

    /** Whether the miner is connected to a router. */
    public val connected: Boolean get() = flag("connected")

    /** The URL of the present router, or of the last one. */
    public val router: String get() = text("router")

    /** The reason why the last connection ended or failed; empty: the miner is connected. */
    public val lastError: String get() = text("last_error")

    /** Whether the miner drains and takes no new tasks. */
    public val draining: Boolean get() = flag("draining")

    /** The maximum number of concurrent tasks. */
    public val capacity: Long get() = number("capacity")

    /** The attempts that the miner holds, including answers that wait for their `final`. */
    public val inFlight: Long get() = number("in_flight")

    /** The number of connections that a router has welcomed. */
    public val connections: Long get() = number("connections")

    /** The number of offers that the miner took. */
    public val accepted: Long get() = number("accepted")

    /** The number of offers that the miner did not take. */
    public val rejected: Long get() = number("rejected")

    /** The number of answers that the backend finished. */
    public val finished: Long get() = number("finished")

    /** The number of answers that became results. */
    public val committed: Long get() = number("committed")

    /** The number of attempts that failed. */
    public val failed: Long get() = number("failed")

    /** The number of attempts that were cancelled. */
    public val cancelled: Long get() = number("cancelled")

    /** The number of pieces that were sent, including those sent again. */
    public val frames: Long get() = number("frames")
}

/** The usage of one part. */
public class UsagePart(fields: Map<String, Any?>) : Record(fields) {
    /** Tasks that ended. A request that an idempotency key repeats is no further task. */
    public val requests: Long get() = number("requests")

    /** Tasks that ended with an answer. */
    public val ok: Long get() = number("ok")

    /** Tasks whose answers do not agree. */
    public val disputed: Long get() = number("disputed")

    /** Tasks that ended without an answer. */
    public val failed: Long get() = number("failed")

    /** Tasks that were cancelled. */
    public val cancelled: Long get() = number("cancelled")

    /** Tasks whose deadline passed. */
    public val expired: Long get() = number("expired")

    /** Tokens of the prompts. */
    public val promptTokens: Long get() = number("prompt_tokens")

    /** Tokens that were generated. */
    public val completionTokens: Long get() = number("completion_tokens")

    /** Tokens of the prompts that a model's server had in its cache, as far as the servers say so. */
    public val cachedTokens: Long get() = number("cached_tokens")

    /** Generated tokens that are not part of the answers' texts, as far as the models' servers say so. */
    public val reasoningTokens: Long get() = number("reasoning_tokens")

    /** Bytes of the requests and of the answers. */
    public val bytes: Long get() = number("bytes")

    /** The number of times that a miner got a task. */
    public val attempts: Long get() = number("attempts")

    /**
     * The part: a day, a key's id, a model, a session's number or a miner's address. Empty: the tasks have none.
     * `other`: tasks whose day had no row left (`retention.max_usage_rows`).
     */
    public val name: String get() = text("name")

    /** The sum of the tokens of prompts and answers. */
    public val totalTokens: Long get() = number("total_tokens")

    /**
     * The cost of the tokens of models that have a price (`prices.model`), as an exact decimal number in a text.
     * `null`: no model of the part has a price.
     */
    public val cost: String? get() = given("cost") { text(it) }

    /** The tokens of models without a price, which `cost` does not contain. */
    public val unpricedTokens: Long get() = number("unpriced_tokens")
}

/** The limits of a key. Each limit is at least 1; a limit that is missing does not bind. */
public class KeyLimits(fields: Map<String, Any?>) : Record(fields) {
    /** Requests in one minute, on any route, also those that only read. */
    public val requestsPerMinute: Long? get() = given("requests_per_minute") { number(it) }

    /** Tasks that are submitted in one minute. */
    public val tasksPerMinute: Long? get() = given("tasks_per_minute") { number(it) }

    /** Tokens of prompts and answers in one minute. */
    public val tokensPerMinute: Long? get() = given("tokens_per_minute") { number(it) }

    /** Tokens of prompts and answers on one day in UTC. */
    public val tokensPerDay: Long? get() = given("tokens_per_day") { number(it) }

    /** Tokens of prompts and answers in one month in UTC. */
    public val tokensPerMonth: Long? get() = given("tokens_per_month") { number(it) }

    /** Tasks that have not ended. */
    public val concurrentTasks: Long? get() = given("concurrent_tasks") { number(it) }

    /** Answers that are being streamed. */
    public val concurrentStreams: Long? get() = given("concurrent_streams") { number(it) }
}

/**
 * The limits of a session, which hold for all keys that use it. Each limit is at least 1; a limit that is
 * missing does not bind.
 */
public class SessionQuota(fields: Map<String, Any?>) : Record(fields) {
    /** Requests in one minute that submit a task to it, also those that are refused. */
    public val requestsPerMinute: Long? get() = given("requests_per_minute") { number(it) }

    /** Tasks in one minute. */
    public val tasksPerMinute: Long? get() = given("tasks_per_minute") { number(it) }

    /** Tokens of prompts and answers in one minute. */
    public val tokensPerMinute: Long? get() = given("tokens_per_minute") { number(it) }

    /** Tokens of prompts and answers on one day in UTC. */
    public val tokensPerDay: Long? get() = given("tokens_per_day") { number(it) }

    /** Tokens of prompts and answers in one month in UTC. */
    public val tokensPerMonth: Long? get() = given("tokens_per_month") { number(it) }

    /** Tasks that have not ended. */
    public val concurrentTasks: Long? get() = given("concurrent_tasks") { number(it) }

    /** Answers that a listener streams. */
    public val concurrentStreams: Long? get() = given("concurrent_streams") { number(it) }
}

/** A token's record. The secret is never kept, only its hash. */
public class ApiKey(fields: Map<String, Any?>) : Record(fields) {
    /** The public part of the token: `ctr_<id>_<secret>`. */
    public val id: String get() = text("id")

    /** A name for people. */
    public val name: String get() = text("name")

    /** SHA-256 of the secret, hexadecimal. */
    public val hash: String get() = text("hash")

    /** The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. */
    public val scopes: List<String> get() = texts("scopes")

    /** The only sessions that the key may use; empty: all sessions. */
    public val sessions: List<Long> get() = numbers("sessions")

    /** When the key was made, in Unix seconds. */
    public val createdAt: Long get() = number("created_at")

    /** The time from which on the key is refused, in Unix seconds; 0: never. */
    public val expiresAt: Long get() = number("expires_at")

    /** The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models. */
    public val models: List<String> get() = texts("models")

    /** For a miner's key: the person or company that runs the miner. */
    public val owner: String get() = text("owner")

    /** The key's limits. */
    public val limits: KeyLimits get() = record("limits", ::KeyLimits)
}

/** A key that was just created, with its token, which is never shown again. */
public class NewKey(fields: Map<String, Any?>) : Record(fields) {
    /** The public part of the token: `ctr_<id>_<secret>`. */
    public val id: String get() = text("id")

    /** A name for people. */
    public val name: String get() = text("name")

    /** SHA-256 of the secret, hexadecimal. */
    public val hash: String get() = text("hash")

    /** The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. */
    public val scopes: List<String> get() = texts("scopes")

    /** The only sessions that the key may use; empty: all sessions. */
    public val sessions: List<Long> get() = numbers("sessions")

    /** When the key was made, in Unix seconds. */
    public val createdAt: Long get() = number("created_at")

    /** The time from which on the key is refused, in Unix seconds; 0: never. */
    public val expiresAt: Long get() = number("expires_at")

    /** The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models. */
    public val models: List<String> get() = texts("models")

    /** For a miner's key: the person or company that runs the miner. */
    public val owner: String get() = text("owner")

    /** The key's limits. */
    public val limits: KeyLimits get() = record("limits", ::KeyLimits)

    /** The token: `ctr_<id>_<secret>`. */
    public val token: String get() = text("token")
}

/** Usage, by parts. */
public class UsageReport internal constructor(record: Record) :
    Page<UsagePart>(record, record.records("usage", ::UsagePart)) {
    /** The parts by which usage is told apart: `day`, `key`, `model`, `session` or `miner`. */
    public val by: String get() = record.text("by")

    /** The first day. */
    public val from: String get() = record.text("from")

    /** The last day. */
    public val to: String get() = record.text("to")

    /** The currency of every `cost` (`prices.currency`). `null`: no model has a price. */
    public val currency: String? get() = record.given("currency") { record.text(it) }
}
