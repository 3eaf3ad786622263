// Made from the schema by `cargo xtask gen`; do not edit.

/// Tokens of one completion, as the miner counted them (or estimated where it does not count).
public struct Usage: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Tokens that were generated.
    public var completionTokens: Int64 { json["completion_tokens"].asWhole }

    /// Tokens of the prompt.
    public var promptTokens: Int64 { json["prompt_tokens"].asWhole }

    /// Their sum.
    public var totalTokens: Int64 { json["total_tokens"].asWhole }

    /// Tokens of the prompt that the model's server had in its cache, where the server says so.
    public var cachedTokens: Int64 { json["cached_tokens"].asWhole }

    /// Generated tokens that are not part of the answer's text, where the model's server says so.
    public var reasoningTokens: Int64 { json["reasoning_tokens"].asWhole }
}

/// How one miner's answer compares with the winner's.
public struct MinerVerdict: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The miner's address.
    public var miner: String { json["miner"].asText }

    /// Its score with the winner, 0 to 1.
    public var score: Double { json["score"].asDecimal }

    /// Whether that is enough to match.
    public var agrees: Bool { json["agrees"].asFlag }
}

/// How several answers to one task compare.
public struct Verdict: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// `agreed`, `disputed` or `insufficient`.
    public var verdict: String { json["verdict"].asText }

    /// How well the answers agree, 0 to 1: the share that match the winner (`quorum`), the mean score of the winner
    /// with the others (`medoid`), the least score of any two (`all`).
    public var score: Double { json["score"].asDecimal }

    /// How they were compared: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.
    public var method: String { json["method"].asText }

    /// The rule that decided: `quorum`, `medoid` or `all`.
    public var policy: String { json["policy"].asText }

    /// The address of the miner whose answer was taken; where they do not agree, of the one that is shown first.
    public var winner: String { json["winner"].asText }

    /// Each miner's answer beside the winner's, the winner first.
    public var perMiner: [MinerVerdict] { json["per_miner"].items.map { MinerVerdict($0) } }
}

/// One answer, or the new piece of it.
public struct Choice: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// `stop`, `length` ...; `null` before the end of a stream.
    public var finishReason: String? { json["finish_reason"].given { $0.asText } }

    /// Its place among the choices.
    public var index: Int64 { json["index"].asWhole }

    /// Always `null`.
    public var logprobs: JSON { json["logprobs"] }

    /// The text.
    public var text: String { json["text"].asText }

    /// `text` as a message.
    public var message: Message { Message(json["message"]) }

    /// Whose answer it is, where several miners answered.
    public var minerAddress: String? { json["miner_address"].given { $0.asText } }
}

/// A completion on its way out: to REST clients and to the bindings; whole, or one event of a stream.
public struct Completion: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The answers: one, unless several were asked for.
    public var choices: [Choice] { json["choices"].items.map { Choice($0) } }

    /// Unix seconds.
    public var created: Int64 { json["created"].asWhole }

    /// Unique among all tasks.
    public var id: String { json["id"].asText }

    /// The model that was asked for.
    public var model: String { json["model"].asText }

    /// `text_completion`
    public var object: String { json["object"].asText }

    /// The session.
    public var sessionID: UInt64 { json["session_id"].asId }

    /// The task in its session.
    public var taskID: UInt64 { json["task_id"].asId }

    /// Token counts.
    public var usage: Usage { Usage(json["usage"]) }

    /// The task among all sessions.
    public var gid: UInt64? { json["gid"].given { $0.asId } }

    /// The address of the miner whose answer it is.
    public var minerAddress: String? { json["miner_address"].given { $0.asText } }

    /// How several answers compare.
    public var verdict: Verdict? { json["verdict"].given { Verdict($0) } }
}

/// The answers to a task, where it is shown alone.
public struct TaskResults: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The texts; while the task runs, the text so far.
    public var data: [String] { json["data"].asTexts }

    /// The miners' addresses, aligned with `data`. Only once the task has ended: clients take its presence for
    /// completeness.
    public var miners: [String]? { json["miners"].given { $0.asTexts } }
}

/// The delivery of a task's end as it is shown: without the secret, and without the parts of the URL that may be one.
public struct WebhookRecord: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The URL, without its query.
    public var url: String { json["url"].asText }

    /// `waiting` (the task has not ended), `pending`, `delivered` or `failed`.
    public var state: String { json["state"].asText }

    /// The tries so far.
    public var attempts: Int64 { json["attempts"].asWhole }

    /// The status of the last answer; null: there was none.
    public var lastStatus: Int64? { json["last_status"].given { $0.asWhole } }

    /// Why the last try failed; null: it did not.
    public var lastError: String? { json["last_error"].given { $0.asText } }

    /// Unix seconds of the next try; null: there is none.
    public var nextAt: Int64? { json["next_at"].given { $0.asWhole } }
}

/// A task on its way out: to REST clients and to the bindings.
public struct TaskRecord: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Its number in its session.
    public var id: UInt64 { json["id"].asId }

    /// Alias of `id`, for clients that read `task_id`.
    public var taskID: UInt64 { json["task_id"].asId }

    /// Its number among all sessions.
    public var gid: UInt64 { json["gid"].asId }

    /// The session.
    public var sessionID: UInt64 { json["session_id"].asId }

    /// The key under which it was submitted: a key's id, the name of a configured token, or the name that a host
    /// program gave.
    public var keyID: String? { json["key_id"].given { $0.asText } }

    /// The caller's own reference.
    public var clientReference: String? { json["client_reference"].given { $0.asText } }

    /// 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
    public var status: Int64 { json["status"].asWhole }

    /// `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`.
    public var state: String { json["state"].asText }

    /// Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes.
    public var outcome: String? { json["outcome"].given { $0.asText } }

    /// Whether it has ended.
    public var ended: Bool { json["ended"].asFlag }

    /// Unix seconds at which the task was submitted.
    public var createdAt: Int64 { json["created_at"].asWhole }

    /// Unix seconds at which a miner took the task; 0 while none has.
    public var startedAt: Int64 { json["started_at"].asWhole }

    /// Unix seconds at which the last answer came in; 0 before.
    public var lastPrecommitAt: Int64 { json["last_precommit_at"].asWhole }

    /// Unix seconds at which the verdict was written; 0 before.
    public var lastCommitAt: Int64 { json["last_commit_at"].asWhole }

    /// Unix seconds at which the task ended; 0 before.
    public var finishedAt: Int64 { json["finished_at"].asWhole }

    /// Seconds that miners took; 0 before the end.
    public var executionTime: Double { json["execution_time"].asDecimal }

    /// The addresses of the miners that worked on it, in their order.
    public var assignedMiners: [String] { json["assigned_miners"].asTexts }

    /// The whole text that the model reads.
    public var prompt: String { json["prompt"].asText }

    /// The answer's text, or what there is so far.
    public var text: String { json["text"].asText }

    /// Alias of `text`, for clients that read `response`.
    public var response: String { json["response"].asText }

    /// The model that was asked for, else the one that answered.
    public var model: String? { json["model"].given { $0.asText } }

    /// Why the answer ends: `stop`, `length` ...
    public var finishReason: String? { json["finish_reason"].given { $0.asText } }

    /// Token counts.
    public var usage: Usage? { json["usage"].given { Usage($0) } }

    /// How often it was given to a miner.
    public var attempts: Int64 { json["attempts"].asWhole }

    /// How several answers compare.
    public var verdict: Verdict? { json["verdict"].given { Verdict($0) } }

    /// Why it has no answer.
    public var failure: String? { json["failure"].given { $0.asText } }

    /// Its place in the queue, while it waits.
    public var queuePosition: Int64? { json["queue_position"].given { $0.asWhole } }

    /// The delivery of its end to its webhook, if it has one.
    public var webhook: WebhookRecord? { json["webhook"].given { WebhookRecord($0) } }

    /// The answers. In a list of tasks: the texts, aligned with `assigned_miners`.
    public var results: TaskResults { TaskResults(json["results"]) }

    /// SHA-256 of the answers' texts, aligned with `results`.
    public var resultsHash: [String] { json["results_hash"].asTexts }
}

/// A task in a list.
public struct TaskRow: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Its number in its session.
    public var id: UInt64 { json["id"].asId }

    /// Alias of `id`, for clients that read `task_id`.
    public var taskID: UInt64 { json["task_id"].asId }

    /// Its number among all sessions.
    public var gid: UInt64 { json["gid"].asId }

    /// The session.
    public var sessionID: UInt64 { json["session_id"].asId }

    /// The key under which it was submitted: a key's id, the name of a configured token, or the name that a host
    /// program gave.
    public var keyID: String? { json["key_id"].given { $0.asText } }

    /// The caller's own reference.
    public var clientReference: String? { json["client_reference"].given { $0.asText } }

    /// 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
    public var status: Int64 { json["status"].asWhole }

    /// `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`.
    public var state: String { json["state"].asText }

    /// Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes.
    public var outcome: String? { json["outcome"].given { $0.asText } }

    /// Whether it has ended.
    public var ended: Bool { json["ended"].asFlag }

    /// Unix seconds at which the task was submitted.
    public var createdAt: Int64 { json["created_at"].asWhole }

    /// Unix seconds at which a miner took the task; 0 while none has.
    public var startedAt: Int64 { json["started_at"].asWhole }

    /// Unix seconds at which the last answer came in; 0 before.
    public var lastPrecommitAt: Int64 { json["last_precommit_at"].asWhole }

    /// Unix seconds at which the verdict was written; 0 before.
    public var lastCommitAt: Int64 { json["last_commit_at"].asWhole }

    /// Unix seconds at which the task ended; 0 before.
    public var finishedAt: Int64 { json["finished_at"].asWhole }

    /// Seconds that miners took; 0 before the end.
    public var executionTime: Double { json["execution_time"].asDecimal }

    /// The addresses of the miners that worked on it, in their order.
    public var assignedMiners: [String] { json["assigned_miners"].asTexts }

    /// The whole text that the model reads.
    public var prompt: String { json["prompt"].asText }

    /// The answer's text, or what there is so far.
    public var text: String { json["text"].asText }

    /// Alias of `text`, for clients that read `response`.
    public var response: String { json["response"].asText }

    /// The model that was asked for, else the one that answered.
    public var model: String? { json["model"].given { $0.asText } }

    /// Why the answer ends: `stop`, `length` ...
    public var finishReason: String? { json["finish_reason"].given { $0.asText } }

    /// Token counts.
    public var usage: Usage? { json["usage"].given { Usage($0) } }

    /// How often it was given to a miner.
    public var attempts: Int64 { json["attempts"].asWhole }

    /// How several answers compare.
    public var verdict: Verdict? { json["verdict"].given { Verdict($0) } }

    /// Why it has no answer.
    public var failure: String? { json["failure"].given { $0.asText } }

    /// Its place in the queue, while it waits.
    public var queuePosition: Int64? { json["queue_position"].given { $0.asWhole } }

    /// The delivery of its end to its webhook, if it has one.
    public var webhook: WebhookRecord? { json["webhook"].given { WebhookRecord($0) } }

    /// The answers. In a list of tasks: the texts, aligned with `assigned_miners`.
    public var results: [String] { json["results"].asTexts }

    /// SHA-256 of the answers' texts, aligned with `results`.
    public var resultsHash: [String] { json["results_hash"].asTexts }
}

/// Tasks of a session.
extension Page where Element == TaskRow {
    /// The ids of tasks of this page whose rows in the store are damaged; missing if there are none. With
    /// `format=array` the header `X-Cortensor-Corrupt` has them.
    public var corrupt: [UInt64]? { json["corrupt"].given { $0.asIds } }
}

/// A vector.
public struct Embedding: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Its numbers.
    public var embedding: [Double] { json["embedding"].asDecimals }

    /// The input it belongs to, from 0.
    public var index: Int64 { json["index"].asWhole }

    /// `embedding`
    public var object: String { json["object"].asText }
}

/// Vectors of texts, in the order of the texts.
public struct Embeddings: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The vectors, one for each text.
    public var data: [Embedding] { json["data"].items.map { Embedding($0) } }

    /// The task among all sessions.
    public var gid: UInt64 { json["gid"].asId }

    /// The miner that made them.
    public var minerAddress: String { json["miner_address"].asText }

    /// The model that made them.
    public var model: String { json["model"].asText }

    /// `list`
    public var object: String { json["object"].asText }

    /// The session.
    public var sessionID: UInt64 { json["session_id"].asId }

    /// The task in its session.
    public var taskID: UInt64 { json["task_id"].asId }

    /// Tokens of the texts.
    public var usage: Usage { Usage(json["usage"]) }
}

/// A job as the router has it.
public struct JobInfo: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The task among all sessions.
    public var gid: UInt64 { json["gid"].asId }

    /// The session.
    public var sessionID: UInt64 { json["session_id"].asId }

    /// The task in its session.
    public var taskID: UInt64 { json["task_id"].asId }

    /// The model to use, where one was asked for.
    public var model: String? { json["model"].given { $0.asText } }

    /// The whole text that the model must read.
    public var prompt: String { json["prompt"].asText }

    /// Whether somebody reads tokens as they come.
    public var stream: Bool { json["stream"].asFlag }

    /// Milliseconds since the Unix epoch after which nobody wants the answer.
    public var deadlineMs: Int64 { json["deadline_ms"].asWhole }

    /// The text that another miner gave before it was lost, if the answer must go on behind it. Only miners that said
    /// that they can continue get such work.
    public var partial: String { json["partial"].asText }

    /// The W3C trace context under which the miner's own work belongs, if the caller sent one.
    public var traceparent: String { json["traceparent"].asText }

    /// The W3C `tracestate` that belongs to `traceparent`.
    public var tracestate: String { json["tracestate"].asText }

    /// The caller's request.
    public var request: JSON { json["request"] }
}

/// A session as the router keeps and shows it.
public struct SessionRecord: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`.
    public var validationPolicy: String { json["validation_policy"].asText }

    /// When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default
    /// `normalized`.
    public var match: String { json["match"].asText }

    /// From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1.
    public var minScore: Double? { json["min_score"].given { $0.asDecimal } }

    /// Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`.
    public var tieBreak: Bool? { json["tie_break"].given { $0.asFlag } }

    /// How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001.
    public var matchTolerance: Double? { json["match_tolerance"].given { $0.asDecimal } }

    /// The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
    public var matchPointers: [String]? { json["match_pointers"].given { $0.asTexts } }

    /// The model that embeds the answers; none: any that a miner embeds with.
    public var matchModel: String? { json["match_model"].given { $0.asText } }

    /// A name for people, 1 to 256 bytes.
    public var name: String { json["name"].asText }

    /// Anything of the caller's, up to 64 KiB of text or JSON.
    public var metadata: String { json["metadata"].asText }

    /// The owner; the token's id where it is empty.
    public var owner: String { json["owner"].asText }

    /// Which miners serve it: 0 ephemeral, 1 dedicated, 2 both.
    public var mode: Int64 { json["mode"].asWhole }

    /// How many miners answer each task (0 and 1: one).
    public var redundant: Int64 { json["redundant"].asWhole }

    /// The fewest miners that must be there for the session to be served; while there are fewer, new tasks are refused
    /// (`too_few_miners`); 0: no demand.
    public var minNumOfNodes: Int64 { json["min_num_of_nodes"].asWhole }

    /// The most miners that work for it at a time; 0: no limit.
    public var maxNumOfNodes: Int64 { json["max_num_of_nodes"].asWhole }

    /// How many answers are validated.
    public var numOfValidatorNodes: Int64 { json["num_of_validator_nodes"].asWhole }

    /// Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant` say, at least one.
    public var reserveEphemeralNodes: Bool { json["reserve_ephemeral_nodes"].asFlag }

    /// Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`.
    public var reservePeriod: Int64 { json["reserve_period"].asWhole }

    /// The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10
    /// tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s. While no miner meets
    /// it, any will do.
    public var sla: Int64 { json["sla"].asWhole }

    /// The model of its tasks where they name none.
    public var model: String { json["model"].asText }

    /// Cortensor's number for a model; kept and given back.
    public var modelIdentifier: String { json["model_identifier"].asText }

    /// The most tasks it ever takes; 0: no limit.
    public var maxTaskExecutionCount: Int64 { json["max_task_execution_count"].asWhole }

    /// The band of its tasks, 0 to 9; a higher band is served first.
    public var priority: Int64 { json["priority"].asWhole }

    /// Its share within a band, 1 to 1000; 0 means the default of 1.
    public var weight: Int64 { json["weight"].asWhole }

    /// Whether its tasks prefer the miner that served the last one; on by default.
    public var affinity: Bool? { json["affinity"].given { $0.asFlag } }

    /// The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`.
    public var retention: String { json["retention"].asText }

    /// The most that its tasks may use together, whoever submits them.
    public var limits: SessionQuota { SessionQuota(json["limits"]) }

    /// The models that its tasks may use; empty: all.
    public var models: [String] { json["models"].asTexts }

    /// Unix seconds from which on it takes no new tasks; 0: it does not expire.
    public var expiresAt: Int64 { json["expires_at"].asWhole }

    /// The id.
    public var id: UInt64 { json["id"].asId }

    /// The session's 0x + 64 hexadecimal digits, also its `tx_hash`; accepted wherever an id is.
    public var sid: String { json["sid"].asText }

    /// An address that stands for the session.
    public var address: String { json["address"].asText }

    /// Whether it takes tasks.
    public var active: Bool { json["active"].asFlag }

    /// `active` as a word.
    public var state: String { json["state"].asText }

    /// Unix seconds.
    public var createdAt: Int64 { json["created_at"].asWhole }

    /// Unix seconds.
    public var updatedAt: Int64 { json["updated_at"].asWhole }

    /// Miners that serve it and come and go.
    public var ephemeralNodes: [String] { json["ephemeral_nodes"].asTexts }

    /// Miners that are dedicated to it.
    public var dedicatedNodes: [String] { json["dedicated_nodes"].asTexts }

    /// Miners that are kept for it alone now.
    public var reservedNodes: [String] { json["reserved_nodes"].asTexts }

    /// How many miners can serve it now.
    public var minersCount: Int64 { json["miners_count"].asWhole }

    /// Tasks that were ever submitted to it.
    public var totalTasks: Int64 { json["total_tasks"].asWhole }

    /// Tasks that have not ended.
    public var activeTasks: Int64 { json["active_tasks"].asWhole }
}

/// The hardware of a miner, as the miner describes it.
public struct Hardware: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The accelerator, at most 256 bytes.
    public var gpu: String { json["gpu"].asText }

    /// Its memory, in MiB; 0 where it does not say.
    public var vram: Int64 { json["vram"].asWhole }

    /// The processor, at most 256 bytes.
    public var cpu: String { json["cpu"].asText }
}

/// A model of a miner, as the miner describes it. The router checks none of it but the name.
public struct ModelDetails: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Its name, as it is asked for; 1 to 256 bytes.
    public var id: String { json["id"].asText }

    /// A digest of its weights, at most 256 bytes.
    public var digest: String? { json["digest"].given { $0.asText } }

    /// Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals.
    public var quant: String? { json["quant"].given { $0.asText } }

    /// The most tokens of prompt and answer together; 0 where it is not known.
    public var context: Int64 { json["context"].asWhole }

    /// The most tokens of an answer; 0 where it is not known.
    public var maxOutput: Int64 { json["max_output"].asWhole }

    /// Whether it is loaded.
    public var warm: Bool { json["warm"].asFlag }

    /// Whether it embeds.
    public var embeddings: Bool { json["embeddings"].asFlag }

    /// Whether it calls tools.
    public var tools: Bool { json["tools"].asFlag }
}

/// A miner as the router sees it now.
public struct MinerInfo: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The name.
    public var id: String { json["id"].asText }

    /// Alias of `id`, for clients that read `miner_id`.
    public var minerID: String { json["miner_id"].asText }

    /// The address that stands for it.
    public var address: String { json["address"].asText }

    /// Whether it gets work.
    public var active: Bool { json["active"].asFlag }

    /// `idle`, `busy`, `draining`, `cooling` (its breaker is open), `set_aside` (its answers are not trusted) or
    /// `down`; a server that the router starts may also be `stopped`, `starting`, `stopping` or `failed`.
    public var status: String { json["status"].asText }

    /// The router that it is connected to, where several share a database; else empty.
    public var router: String { json["router"].asText }

    /// How it is reached.
    public var kind: String { json["kind"].asText }

    /// `ephemeral` or `dedicated`.
    public var nodeType: String { json["node_type"].asText }

    /// The models it serves.
    public var models: [String] { json["models"].asTexts }

    /// How many tasks it takes at a time, as it said.
    public var capacity: Int64 { json["capacity"].asWhole }

    /// How many it may take now: less than `capacity` while an upstream is throttled.
    public var credits: Int64 { json["credits"].asWhole }

    /// How many it works on.
    public var inFlight: Int64 { json["in_flight"].asWhole }

    /// The person or company that runs the miner.
    public var owner: String { json["owner"].asText }

    /// Whether it embeds.
    public var embeddings: Bool { json["embeddings"].asFlag }

    /// The most tokens of prompt and answer together; 0 where it does not say.
    public var maxContextTokens: Int64 { json["max_context_tokens"].asWhole }

    /// The optional abilities of the miner: `continue`, `messages`, `responses` ...
    public var features: [String] { json["features"].asTexts }

    /// Its software and version, in its own words; empty for miners that do not say.
    public var agent: String { json["agent"].asText }

    /// Its hardware, in its own words.
    public var hardware: Hardware? { json["hardware"].given { Hardware($0) } }

    /// The details of its models beyond their names, as the miner states them.
    public var modelDetails: [ModelDetails] { json["model_details"].items.map { ModelDetails($0) } }

    /// Tasks in flight as a share of those that it may have now; 0 while it may have none.
    public var load: Double { json["load"].asDecimal }

    /// Attempts that failed by its fault, as a share of those that ended.
    public var errorRate: Double { json["error_rate"].asDecimal }

    /// Measured tokens a second of one task.
    public var tokensPerSecond: Double { json["tokens_per_second"].asDecimal }

    /// Measured milliseconds to the first token.
    public var firstTokenMs: Double { json["first_token_ms"].asDecimal }

    /// Tasks it finished.
    public var completed: Int64 { json["completed"].asWhole }

    /// Attempts that failed by its fault.
    public var failed: Int64 { json["failed"].asWhole }

    /// `closed`, `open` or `half_open`.
    public var breaker: String { json["breaker"].asText }

    /// How often its answers agree with others', smoothed; 1 where they always did or none was compared.
    public var reputation: Double { json["reputation"].asDecimal }

    /// The greatest service class (`sla` of a session) whose demands it meets, 0 to 3.
    public var serviceClass: Int64 { json["service_class"].asWhole }

    /// The session that it is kept for; `null` where it is everybody's.
    public var reservedFor: Int64? { json["reserved_for"].given { $0.asWhole } }

    /// Why it is down, or what is odd about it while it is up; else empty.
    public var reason: String { json["reason"].asText }

    /// Unix seconds.
    public var connectedAt: Int64 { json["connected_at"].asWhole }

    /// Unix seconds.
    public var lastSeen: Int64 { json["last_seen"].asWhole }
}

/// A model that clients can ask for.
public struct ModelInfo: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The model's name.
    public var id: String { json["id"].asText }

    /// The time at which the first miner of the model joined, in Unix seconds.
    public var created: Int64 { json["created"].asWhole }

    /// The owner of the first miner that offers the model, or else that miner's name.
    public var ownedBy: String { json["owned_by"].asText }

    /// The number of miners that offer the model.
    public var miners: Int64 { json["miners"].asWhole }

    /// Whether one of these miners makes embeddings.
    public var embeddings: Bool { json["embeddings"].asFlag }
}

/// How many miners of each sort there are.
public struct NodeStats: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Dedicated miners.
    public var dedicatedCount: Int64 { json["dedicated_count"].asWhole }

    /// Miners that come and go.
    public var ephemeralCount: Int64 { json["ephemeral_count"].asWhole }

    /// Both.
    public var totalCount: Int64 { json["total_count"].asWhole }
}

/// The name of the router, its counts and its offers.
public struct NodeInfo: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Sessions that take tasks.
    public var activeSessions: Int64 { json["active_sessions"].asWhole }

    /// The address that stands for the router.
    public var address: String { json["address"].asText }

    /// The address under which it is reached from outside, as configured.
    public var ipAddress: String { json["ip_address"].asText }

    /// Its configured name.
    public var name: String { json["name"].asText }

    /// Its miners.
    public var nodeStats: NodeStats { NodeStats(json["node_stats"]) }

    /// All sessions.
    public var totalSessions: Int64 { json["total_sessions"].asWhole }

    /// The version of the product.
    public var version: String { json["version"].asText }

    /// Models that can be asked for.
    public var models: [String] { json["models"].asTexts }

    /// The abilities of the router: `completions`, `chat`, `embeddings`, `streaming` ...
    public var capabilities: [String] { json["capabilities"].asTexts }

    /// The greatest context of its miners; 0 where none says.
    public var maxContextTokens: Int64 { json["max_context_tokens"].asWhole }
}

/// How many routers share the database, and their figures together. All are 0 for a router with a store of its own.
public struct FleetStatus: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Routers that use the database, this one too.
    public var members: Int64 { json["members"].asWhole }

    /// Those that take tasks.
    public var up: Int64 { json["up"].asWhole }

    /// Those that take no new tasks and end soon.
    public var draining: Int64 { json["draining"].asWhole }

    /// Those to which this router has no link.
    public var unlinked: Int64 { json["unlinked"].asWhole }

    /// Miners of this router and of those to which it has a link.
    public var miners: Int64 { json["miners"].asWhole }

    /// Tasks that wait for a miner there.
    public var queuedTasks: Int64 { json["queued_tasks"].asWhole }

    /// Tasks that a miner works on there.
    public var runningTasks: Int64 { json["running_tasks"].asWhole }
}

/// How the router is doing.
public struct NodeStatus: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// `ok`, `draining`, or `store_unavailable` while the store refuses to write.
    public var status: String { json["status"].asText }

    /// Sessions that take tasks.
    public var activeSessions: Int64 { json["active_sessions"].asWhole }

    /// Miners that are there.
    public var connectedMiners: Int64 { json["connected_miners"].asWhole }

    /// Alias of `connected_miners`, for clients that read `miner_count`.
    public var minerCount: Int64 { json["miner_count"].asWhole }

    /// Miners that get work.
    public var activeMiners: Int64 { json["active_miners"].asWhole }

    /// Per cent of the machine's processors that this process uses; 0 without the listener.
    public var cpuUsage: Double { json["cpu_usage"].asDecimal }

    /// Resident memory of this process in MiB; 0 without the listener.
    public var memoryUsage: Double { json["memory_usage"].asDecimal }

    /// Seconds since the router was opened.
    public var uptime: Int64 { json["uptime"].asWhole }

    /// The version of the product.
    public var version: String { json["version"].asText }

    /// Tasks that wait for a miner.
    public var queuedTasks: Int64 { json["queued_tasks"].asWhole }

    /// Tasks that a miner works on.
    public var runningTasks: Int64 { json["running_tasks"].asWhole }

    /// `full`, `relaxed` or `memory`.
    public var durability: String { json["durability"].asText }

    /// `sqlite`, `postgres` or `memory`.
    public var store: String { json["store"].asText }

    /// The routers that share the database.
    public var fleet: FleetStatus { FleetStatus(json["fleet"]) }

    /// Always 0: there is no chain.
    public var blockHeight: Int64 { json["block_height"].asWhole }
}

/// The counts of a miner since it started.
public struct MinerClientStats: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The miner's id: the id of its key, or else its name.
    public var minerID: String { json["miner_id"].asText }

    /// Whether the miner is connected to a router.
    public var connected: Bool { json["connected"].asFlag }

    /// The URL of the present router, or of the last one.
    public var router: String { json["router"].asText }

    /// The reason why the last connection ended or failed; empty: the miner is connected.
    public var lastError: String { json["last_error"].asText }

    /// Whether the miner drains and takes no new tasks.
    public var draining: Bool { json["draining"].asFlag }

    /// The maximum number of concurrent tasks.
    public var capacity: Int64 { json["capacity"].asWhole }

    /// The attempts that the miner holds, including answers that wait for their `final`.
    public var inFlight: Int64 { json["in_flight"].asWhole }

    /// The number of connections that a router has welcomed.
    public var connections: Int64 { json["connections"].asWhole }

    /// The number of offers that the miner took.
    public var accepted: Int64 { json["accepted"].asWhole }

    /// The number of offers that the miner did not take.
    public var rejected: Int64 { json["rejected"].asWhole }

    /// The number of answers that the backend finished.
    public var finished: Int64 { json["finished"].asWhole }

    /// The number of answers that became results.
    public var committed: Int64 { json["committed"].asWhole }

    /// The number of attempts that failed.
    public var failed: Int64 { json["failed"].asWhole }

    /// The number of attempts that were cancelled.
    public var cancelled: Int64 { json["cancelled"].asWhole }

    /// The number of pieces that were sent, including those sent again.
    public var frames: Int64 { json["frames"].asWhole }
}

/// The usage of one part.
public struct UsagePart: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Tasks that ended. A request that an idempotency key repeats is no further task.
    public var requests: Int64 { json["requests"].asWhole }

    /// Tasks that ended with an answer.
    public var ok: Int64 { json["ok"].asWhole }

    /// Tasks whose answers do not agree.
    public var disputed: Int64 { json["disputed"].asWhole }

    /// Tasks that ended without an answer.
    public var failed: Int64 { json["failed"].asWhole }

    /// Tasks that were cancelled.
    public var cancelled: Int64 { json["cancelled"].asWhole }

    /// Tasks whose deadline passed.
    public var expired: Int64 { json["expired"].asWhole }

    /// Tokens of the prompts.
    public var promptTokens: Int64 { json["prompt_tokens"].asWhole }

    /// Tokens that were generated.
    public var completionTokens: Int64 { json["completion_tokens"].asWhole }

    /// Tokens of the prompts that a model's server had in its cache, as far as the servers say so.
    public var cachedTokens: Int64 { json["cached_tokens"].asWhole }

    /// Generated tokens that are not part of the answers' texts, as far as the models' servers say so.
    public var reasoningTokens: Int64 { json["reasoning_tokens"].asWhole }

    /// Bytes of the requests and of the answers.
    public var bytes: Int64 { json["bytes"].asWhole }

    /// The number of times that a miner got a task.
    public var attempts: Int64 { json["attempts"].asWhole }

    /// The part: a day, a key's id, a model, a session's number or a miner's address. Empty: the tasks have none.
    /// `other`: tasks whose day had no row left (`retention.max_usage_rows`).
    public var name: String { json["name"].asText }

    /// The sum of the tokens of prompts and answers.
    public var totalTokens: Int64 { json["total_tokens"].asWhole }

    /// The cost of the tokens of models that have a price (`prices.model`), as an exact decimal number in a text.
    /// `null`: no model of the part has a price.
    public var cost: String? { json["cost"].given { $0.asText } }

    /// The tokens of models without a price, which `cost` does not contain.
    public var unpricedTokens: Int64 { json["unpriced_tokens"].asWhole }
}

/// The limits of a key. Each limit is at least 1; a limit that is missing does not bind.
public struct KeyLimits: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Requests in one minute, on any route, also those that only read.
    public var requestsPerMinute: Int64? { json["requests_per_minute"].given { $0.asWhole } }

    /// Tasks that are submitted in one minute.
    public var tasksPerMinute: Int64? { json["tasks_per_minute"].given { $0.asWhole } }

    /// Tokens of prompts and answers in one minute.
    public var tokensPerMinute: Int64? { json["tokens_per_minute"].given { $0.asWhole } }

    /// Tokens of prompts and answers on one day in UTC.
    public var tokensPerDay: Int64? { json["tokens_per_day"].given { $0.asWhole } }

    /// Tokens of prompts and answers in one month in UTC.
    public var tokensPerMonth: Int64? { json["tokens_per_month"].given { $0.asWhole } }

    /// Tasks that have not ended.
    public var concurrentTasks: Int64? { json["concurrent_tasks"].given { $0.asWhole } }

    /// Answers that are being streamed.
    public var concurrentStreams: Int64? { json["concurrent_streams"].given { $0.asWhole } }
}

/// The limits of a session, which hold for all keys that use it. Each limit is at least 1; a limit that is missing
/// does not bind.
public struct SessionQuota: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// Requests in one minute that submit a task to it, also those that are refused.
    public var requestsPerMinute: Int64? { json["requests_per_minute"].given { $0.asWhole } }

    /// Tasks in one minute.
    public var tasksPerMinute: Int64? { json["tasks_per_minute"].given { $0.asWhole } }

    /// Tokens of prompts and answers in one minute.
    public var tokensPerMinute: Int64? { json["tokens_per_minute"].given { $0.asWhole } }

    /// Tokens of prompts and answers on one day in UTC.
    public var tokensPerDay: Int64? { json["tokens_per_day"].given { $0.asWhole } }

    /// Tokens of prompts and answers in one month in UTC.
    public var tokensPerMonth: Int64? { json["tokens_per_month"].given { $0.asWhole } }

    /// Tasks that have not ended.
    public var concurrentTasks: Int64? { json["concurrent_tasks"].given { $0.asWhole } }

    /// Answers that a listener streams.
    public var concurrentStreams: Int64? { json["concurrent_streams"].given { $0.asWhole } }
}

/// A token's record. The secret is never kept, only its hash.
public struct ApiKey: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The public part of the token: `ctr_<id>_<secret>`.
    public var id: String { json["id"].asText }

    /// A name for people.
    public var name: String { json["name"].asText }

    /// SHA-256 of the secret, hexadecimal.
    public var hash: String { json["hash"].asText }

    /// The scopes: `submit`, `read`, `admin`, `miner`, `enrol`.
    public var scopes: [String] { json["scopes"].asTexts }

    /// The only sessions that the key may use; empty: all sessions.
    public var sessions: [UInt64] { json["sessions"].asIds }

    /// When the key was made, in Unix seconds.
    public var createdAt: Int64 { json["created_at"].asWhole }

    /// The time from which on the key is refused, in Unix seconds; 0: never.
    public var expiresAt: Int64 { json["expires_at"].asWhole }

    /// The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models.
    public var models: [String] { json["models"].asTexts }

    /// For a miner's key: the person or company that runs the miner.
    public var owner: String { json["owner"].asText }

    /// The key's limits.
    public var limits: KeyLimits { KeyLimits(json["limits"]) }
}

/// A key that was just created, with its token, which is never shown again.
public struct NewKey: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The public part of the token: `ctr_<id>_<secret>`.
    public var id: String { json["id"].asText }

    /// A name for people.
    public var name: String { json["name"].asText }

    /// SHA-256 of the secret, hexadecimal.
    public var hash: String { json["hash"].asText }

    /// The scopes: `submit`, `read`, `admin`, `miner`, `enrol`.
    public var scopes: [String] { json["scopes"].asTexts }

    /// The only sessions that the key may use; empty: all sessions.
    public var sessions: [UInt64] { json["sessions"].asIds }

    /// When the key was made, in Unix seconds.
    public var createdAt: Int64 { json["created_at"].asWhole }

    /// The time from which on the key is refused, in Unix seconds; 0: never.
    public var expiresAt: Int64 { json["expires_at"].asWhole }

    /// The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models.
    public var models: [String] { json["models"].asTexts }

    /// For a miner's key: the person or company that runs the miner.
    public var owner: String { json["owner"].asText }

    /// The key's limits.
    public var limits: KeyLimits { KeyLimits(json["limits"]) }

    /// The token: `ctr_<id>_<secret>`.
    public var token: String { json["token"].asText }
}

/// Usage, by parts.
extension Page where Element == UsagePart {
    /// The parts by which usage is told apart: `day`, `key`, `model`, `session` or `miner`.
    public var by: String { json["by"].asText }

    /// The first day.
    public var from: String { json["from"].asText }

    /// The last day.
    public var to: String { json["to"].asText }

    /// The currency of every `cost` (`prices.currency`). `null`: no model has a price.
    public var currency: String? { json["currency"].given { $0.asText } }
}
