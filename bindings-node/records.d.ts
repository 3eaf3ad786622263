// Made from the schema by `cargo xtask gen`; do not edit.

import type { Message, Vector } from './index.js';

/** The 16 kinds of error: each says what the caller can do about it. */
export type ErrorKind =
  /** A field or an argument is missing, of the wrong type or out of its range: correct the one that is named. */
  | 'invalid_argument'
  /** There is no token, or one that is not known: send a valid one. */
  | 'unauthenticated'
  /** The token is valid but does not carry the scope: use one that does. */
  | 'permission_denied'
  /** There is no such session, task, miner, model or key that this caller may see: check the id. */
  | 'not_found'
  /** The thing is not in a state that allows this: look at its present state first. */
  | 'conflict'
  /** The idempotency key was used before with another request: use a new one. */
  | 'idempotency_mismatch'
  /** The request, or what it asks for, is over a limit: send less. */
  | 'too_large'
  /** The router is at one of its bounds: retry after the time given. */
  | 'overloaded'
  /** Nothing is there to do the work at present: retry after the time given. */
  | 'unavailable'
  /** The deadline passed: a task that goes on can be polled by its ids. */
  | 'timeout'
  /** Somebody cancelled the task: nothing is to be done. */
  | 'cancelled'
  /** Every miner that was tried failed: read the message, which is the last one's. */
  | 'miner_failed'
  /** The router is shut down or draining, the job was answered, or the stream is over: begin a new one. */
  | 'closed'
  /** A defect of the router itself: report it with its message. */
  | 'internal'
  /** The call waits for something that this very thread has to do first: make it from outside of a callback. */
  | 'would_deadlock'
  /** Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable. */
  | 'panic';

/** The reason why an attempt failed. It decides whether another miner is tried and whether this one is blamed. */
export type FailCode = 'overloaded' | 'context' | 'invalid' | 'model' | 'refused' | 'credentials' | 'unreadable' | 'internal' | 'unreachable' | 'cancelled';

/** Tokens of one completion, as the miner counted them (or estimated where it does not count). */
export interface Usage {
  /** Tokens that were generated. */
  completion_tokens: number;
  /** Tokens of the prompt. */
  prompt_tokens: number;
  /** Their sum. */
  total_tokens: number;
  /** Tokens of the prompt that the model's server had in its cache, where the server says so. */
  cached_tokens: number;
  /** Generated tokens that are not part of the answer's text, where the model's server says so. */
  reasoning_tokens: number;
}

/** How one miner's answer compares with the winner's. */
export interface MinerVerdict {
  /** The miner's address. */
  miner: string;
  /** Its score with the winner, 0 to 1. */
  score: number;
  /** Whether that is enough to match. */
  agrees: boolean;
}

/** How several answers to one task compare. */
export interface Verdict {
  /** `agreed`, `disputed` or `insufficient`. */
  verdict: 'agreed' | 'disputed' | 'insufficient';
  /** How well the answers agree, 0 to 1: the share that match the winner (`quorum`), the mean score of the winner with the others (`medoid`), the least score of any two (`all`). */
  score: number;
  /** How they were compared: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. */
  method: 'exact' | 'normalized' | 'json' | 'lexical' | 'embedding' | 'verdict';
  /** The rule that decided: `quorum`, `medoid` or `all`. */
  policy: string;
  /** The address of the miner whose answer was taken; where they do not agree, of the one that is shown first. */
  winner: string;
  /** Each miner's answer beside the winner's, the winner first. */
  per_miner: MinerVerdict[];
}

/** One answer, or the new piece of it. */
export interface Choice {
  /** `stop`, `length` ...; `null` before the end of a stream. */
  finish_reason?: string | null;
  /** Its place among the choices. */
  index: number;
  /** Always `null`. */
  logprobs: null;
  /** The text. */
  text: string;
  /** `text` as a message. */
  message: Message;
  /** Whose answer it is, where several miners answered. */
  miner_address?: string | null;
}

/** A completion on its way out: to REST clients and to the bindings; whole, or one event of a stream. */
export interface CompletionRecord {
  /** The answers: one, unless several were asked for. */
  choices: Choice[];
  /** Unix seconds. */
  created: number;
  /** Unique among all tasks. */
  id: string;
  /** The model that was asked for. */
  model: string;
  /** `text_completion` */
  object: string;
  /** The session. */
  session_id: number;
  /** The task in its session. */
  task_id: number;
  /** Token counts. */
  usage: Usage;
  /** The task among all sessions. */
  gid?: number | null;
  /** The address of the miner whose answer it is. */
  miner_address?: string | null;
  /** How several answers compare. */
  verdict?: Verdict | null;
}

/** The answers to a task, where it is shown alone. */
export interface TaskResults {
  /** The texts; while the task runs, the text so far. */
  data: string[];
  /** The miners' addresses, aligned with `data`. Only once the task has ended: clients take its presence for completeness. */
  miners?: string[];
}

/** The delivery of a task's end as it is shown: without the secret, and without the parts of the URL that may be one. */
export interface WebhookRecord {
  /** The URL, without its query. */
  url: string;
  /** `waiting` (the task has not ended), `pending`, `delivered` or `failed`. */
  state: 'waiting' | 'pending' | 'delivered' | 'failed';
  /** The tries so far. */
  attempts: number;
  /** The status of the last answer; null: there was none. */
  last_status?: number | null;
  /** Why the last try failed; null: it did not. */
  last_error?: string | null;
  /** Unix seconds of the next try; null: there is none. */
  next_at?: number | null;
}

/** The fields that a task has everywhere. */
export interface TaskFields {
  /** Its number in its session. */
  id: number;
  /** Alias of `id`, for clients that read `task_id`. */
  task_id: number;
  /** Its number among all sessions. */
  gid: number;
  /** The session. */
  session_id: number;
  /** The key under which it was submitted: a key's id, the name of a configured token, or the name that a host program gave. */
  key_id?: string | null;
  /** The caller's own reference. */
  client_reference?: string | null;
  /** 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended. */
  status: number;
  /** `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`. */
  state: string;
  /** Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes. */
  outcome?: string | null;
  /** Whether it has ended. */
  ended: boolean;
  /** Unix seconds at which the task was submitted. */
  created_at: number;
  /** Unix seconds at which a miner took the task; 0 while none has. */
  started_at: number;
  /** Unix seconds at which the last answer came in; 0 before. */
  last_precommit_at: number;
  /** Unix seconds at which the verdict was written; 0 before. */
  last_commit_at: number;
  /** Unix seconds at which the task ended; 0 before. */
  finished_at: number;
  /** Seconds that miners took; 0 before the end. */
  execution_time: number;
  /** The addresses of the miners that worked on it, in their order. */
  assigned_miners: string[];
  /** The whole text that the model reads. */
  prompt: string;
  /** The answer's text, or what there is so far. */
  text: string;
  /** Alias of `text`, for clients that read `response`. */
  response: string;
  /** The model that was asked for, else the one that answered. */
  model?: string | null;
  /** Why the answer ends: `stop`, `length` ... */
  finish_reason?: string | null;
  /** Token counts. */
  usage?: Usage | null;
  /** How often it was given to a miner. */
  attempts: number;
  /** How several answers compare. */
  verdict?: Verdict | null;
  /** Why it has no answer. */
  failure?: string | null;
  /** Its place in the queue, while it waits. */
  queue_position?: number | null;
  /** The delivery of its end to its webhook, if it has one. */
  webhook?: WebhookRecord | null;
  /** SHA-256 of the answers' texts, aligned with `results`. */
  results_hash: string[];
}

/** A task on its way out: to REST clients and to the bindings. */
export interface TaskRecord extends TaskFields {
  /** The miners' answers. */
  results: TaskResults;
}

/** A task in a list. */
export interface TaskRow extends TaskFields {
  /** The answers. In a list of tasks: the texts, aligned with `assigned_miners`. */
  results: string[];
}

/** Tasks of a session. */
export interface TaskPage {
  /** The number of tasks on all pages. */
  count: number;
  /** The tasks of this page. */
  tasks: TaskRow[];
  /** The ids of tasks of this page whose rows in the store are damaged; missing if there are none. With `format=array` the header `X-Cortensor-Corrupt` has them. */
  corrupt?: number[];
}

/** A vector. */
export interface Embedding {
  /** Its numbers. */
  embedding: number[];
  /** The input it belongs to, from 0. */
  index: number;
  /** `embedding` */
  object: 'embedding';
}

/** Vectors of texts, in the order of the texts. */
export interface EmbeddingsRecord {
  /** The vectors, one for each text. */
  data: Embedding[];
  /** The task among all sessions. */
  gid: number;
  /** The miner that made them. */
  miner_address: string;
  /** The model that made them. */
  model: string;
  /** `list` */
  object: 'list';
  /** The session. */
  session_id: number;
  /** The task in its session. */
  task_id: number;
  /** Tokens of the texts. */
  usage: { prompt_tokens: number; total_tokens: number };
}

/** A job as the router has it. */
export interface JobInfo {
  /** The task among all sessions. */
  gid: number;
  /** The session. */
  session_id: number;
  /** The task in its session. */
  task_id: number;
  /** The model to use, where one was asked for. */
  model: string | null;
  /** The whole text that the model must read. */
  prompt: string;
  /** Whether somebody reads tokens as they come. */
  stream: boolean;
  /** Milliseconds since the Unix epoch after which nobody wants the answer. */
  deadline_ms: number;
  /** The text that another miner gave before it was lost, if the answer must go on behind it. Only miners that said that they can continue get such work. */
  partial: string;
  /** The W3C trace context under which the miner's own work belongs, if the caller sent one. */
  traceparent: string;
  /** The W3C `tracestate` that belongs to `traceparent`. */
  tracestate: string;
  /** The caller's request. */
  request: JobRequest;
}

/** The details of an error, with the REST API's names. */
export interface ErrorDetails {
  /** The finest code there is, as the REST API answers it: `session_not_found`, `no_miner`, `queue_full` ... */
  code: string;
  /** The kind of the error, by the same word in every language. */
  kind: ErrorKind;
  /** The problem and how to mend it. */
  message: string;
  /** The field or argument at fault: `max_tokens`, `limits.max_sessions`. */
  param?: string | null;
  /** Milliseconds after which a retry may succeed. */
  retry_after_ms?: number | null;
  /** Whether the same call may succeed later, unchanged. */
  retryable?: boolean;
  /** The session that the error is about. */
  session_id?: number | null;
  /** The task that the error is about; it can be polled. */
  task_id?: number | null;
}

/** A session as the router keeps and shows it. */
export interface SessionRecord {
  /** The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`. */
  validation_policy: 'first' | 'quorum' | 'medoid' | 'all';
  /** When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default `normalized`. */
  match: 'exact' | 'normalized' | 'json' | 'lexical' | 'embedding' | 'verdict';
  /** From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1. */
  min_score?: number | null;
  /** Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`. */
  tie_break?: boolean | null;
  /** How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001. */
  match_tolerance?: number | null;
  /** The only places of JSON that are compared (RFC 6901), at most 32; none: the whole. */
  match_pointers?: string[] | null;
  /** The model that embeds the answers; none: any that a miner embeds with. */
  match_model?: string | null;
  /** A name for people, 1 to 256 bytes. */
  name: string;
  /** Anything of the caller's, up to 64 KiB of text or JSON. */
  metadata: string;
  /** The owner; the token's id where it is empty. */
  owner: string;
  /** Which miners serve it: 0 ephemeral, 1 dedicated, 2 both. */
  mode: number;
  /** How many miners answer each task (0 and 1: one). */
  redundant: number;
  /** The fewest miners that must be there for the session to be served; while there are fewer, new tasks are refused (`too_few_miners`); 0: no demand. */
  min_num_of_nodes: number;
  /** The most miners that work for it at a time; 0: no limit. */
  max_num_of_nodes: number;
  /** How many answers are validated. */
  num_of_validator_nodes: number;
  /** Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant` say, at least one. */
  reserve_ephemeral_nodes: boolean;
  /** Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`. */
  reserve_period: number;
  /** The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10 tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s. While no miner meets it, any will do. */
  sla: number;
  /** The model of its tasks where they name none. */
  model: string;
  /** Cortensor's number for a model; kept and given back. */
  model_identifier: string;
  /** The most tasks it ever takes; 0: no limit. */
  max_task_execution_count: number;
  /** The band of its tasks, 0 to 9; a higher band is served first. */
  priority: number;
  /** Its share within a band, 1 to 1000; 0 means the default of 1. */
  weight: number;
  /** Whether its tasks prefer the miner that served the last one; on by default. */
  affinity?: boolean | null;
  /** The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`. */
  retention: 'all' | 'result' | 'none';
  /** The most that its tasks may use together, whoever submits them. */
  limits: SessionQuota;
  /** The models that its tasks may use; empty: all. */
  models: string[];
  /** Unix seconds from which on it takes no new tasks; 0: it does not expire. */
  expires_at: number;
  /** The id. */
  id: number;
  /** The session's 0x + 64 hexadecimal digits, also its `tx_hash`; accepted wherever an id is. */
  sid: string;
  /** An address that stands for the session. */
  address: string;
  /** Whether it takes tasks. */
  active: boolean;
  /** `active` as a word. */
  state: 'open' | 'closed';
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds. */
  updated_at: number;
  /** Miners that serve it and come and go. */
  ephemeral_nodes: string[];
  /** Miners that are dedicated to it. */
  dedicated_nodes: string[];
  /** Miners that are kept for it alone now. */
  reserved_nodes: string[];
  /** How many miners can serve it now. */
  miners_count: number;
  /** Tasks that were ever submitted to it. */
  total_tasks: number;
  /** Tasks that have not ended. */
  active_tasks: number;
}

/** The hardware of a miner, as the miner describes it. */
export interface Hardware {
  /** The accelerator, at most 256 bytes. */
  gpu: string;
  /** Its memory, in MiB; 0 where it does not say. */
  vram: number;
  /** The processor, at most 256 bytes. */
  cpu: string;
}

/** A model of a miner, as the miner describes it. The router checks none of it but the name. */
export interface ModelDetails {
  /** Its name, as it is asked for; 1 to 256 bytes. */
  id: string;
  /** A digest of its weights, at most 256 bytes. */
  digest?: string | null;
  /** Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals. */
  quant?: string | null;
  /** The most tokens of prompt and answer together; 0 where it is not known. */
  context: number;
  /** The most tokens of an answer; 0 where it is not known. */
  max_output: number;
  /** Whether it is loaded. */
  warm: boolean;
  /** Whether it embeds. */
  embeddings: boolean;
  /** Whether it calls tools. */
  tools: boolean;
}

/** A miner as the router sees it now. */
export interface MinerInfo {
  /** The name. */
  id: string;
  /** Alias of `id`, for clients that read `miner_id`. */
  miner_id: string;
  /** The address that stands for it. */
  address: string;
  /** Whether it gets work. */
  active: boolean;
  /** `idle`, `busy`, `draining`, `cooling` (its breaker is open), `set_aside` (its answers are not trusted) or `down`; a server that the router starts may also be `stopped`, `starting`, `stopping` or `failed`. */
  status: 'idle' | 'busy' | 'draining' | 'cooling' | 'set_aside' | 'down' | 'stopped' | 'starting' | 'stopping' | 'failed';
  /** The router that it is connected to, where several share a database; else empty. */
  router: string;
  /** How it is reached. */
  kind: 'local' | 'upstream' | 'remote';
  /** `ephemeral` or `dedicated`. */
  node_type: 'ephemeral' | 'dedicated';
  /** The models it serves. */
  models: string[];
  /** How many tasks it takes at a time, as it said. */
  capacity: number;
  /** How many it may take now: less than `capacity` while an upstream is throttled. */
  credits: number;
  /** How many it works on. */
  in_flight: number;
  /** The person or company that runs the miner. */
  owner: string;
  /** Whether it embeds. */
  embeddings: boolean;
  /** The most tokens of prompt and answer together; 0 where it does not say. */
  max_context_tokens: number;
  /** The optional abilities of the miner: `continue`, `messages`, `responses` ... */
  features: string[];
  /** Its software and version, in its own words; empty for miners that do not say. */
  agent: string;
  /** Its hardware, in its own words. */
  hardware?: Hardware | null;
  /** The details of its models beyond their names, as the miner states them. */
  model_details: ModelDetails[];
  /** Tasks in flight as a share of those that it may have now; 0 while it may have none. */
  load: number;
  /** Attempts that failed by its fault, as a share of those that ended. */
  error_rate: number;
  /** Measured tokens a second of one task. */
  tokens_per_second: number;
  /** Measured milliseconds to the first token. */
  first_token_ms: number;
  /** Tasks it finished. */
  completed: number;
  /** Attempts that failed by its fault. */
  failed: number;
  /** `closed`, `open` or `half_open`. */
  breaker: 'closed' | 'open' | 'half_open';
  /** How often its answers agree with others', smoothed; 1 where they always did or none was compared. */
  reputation: number;
  /** The greatest service class (`sla` of a session) whose demands it meets, 0 to 3. */
  service_class: number;
  /** The session that it is kept for; `null` where it is everybody's. */
  reserved_for?: number | null;
  /** Why it is down, or what is odd about it while it is up; else empty. */
  reason: string;
  /** Unix seconds. */
  connected_at: number;
  /** Unix seconds. */
  last_seen: number;
}

/** A model that clients can ask for. */
export interface ModelInfo {
  /** The model's name. */
  id: string;
  /** The time at which the first miner of the model joined, in Unix seconds. */
  created: number;
  /** The owner of the first miner that offers the model, or else that miner's name. */
  owned_by: string;
  /** The number of miners that offer the model. */
  miners: number;
  /** Whether one of these miners makes embeddings. */
  embeddings: boolean;
}

/** How many miners of each sort there are. */
export interface NodeStats {
  /** Dedicated miners. */
  dedicated_count: number;
  /** Miners that come and go. */
  ephemeral_count: number;
  /** Both. */
  total_count: number;
}

/** The name of the router, its counts and its offers. */
export interface NodeInfo {
  /** Sessions that take tasks. */
  active_sessions: number;
  /** The address that stands for the router. */
  address: string;
  /** The address under which it is reached from outside, as configured. */
  ip_address: string;
  /** Its configured name. */
  name: string;
  /** Its miners. */
  node_stats: NodeStats;
  /** All sessions. */
  total_sessions: number;
  /** The version of the product. */
  version: string;
  /** Models that can be asked for. */
  models: string[];
  /** The abilities of the router: `completions`, `chat`, `embeddings`, `streaming` ... */
  capabilities: string[];
  /** The greatest context of its miners; 0 where none says. */
  max_context_tokens: number;
}

/** How many routers share the database, and their figures together. All are 0 for a router with a store of its own. */
export interface FleetStatus {
  /** Routers that use the database, this one too. */
  members: number;
  /** Those that take tasks. */
  up: number;
  /** Those that take no new tasks and end soon. */
  draining: number;
  /** Those to which this router has no link. */
  unlinked: number;
  /** Miners of this router and of those to which it has a link. */
  miners: number;
  /** Tasks that wait for a miner there. */
  queued_tasks: number;
  /** Tasks that a miner works on there. */
  running_tasks: number;
}

/** How the router is doing. */
export interface NodeStatus {
  /** `ok`, `draining`, or `store_unavailable` while the store refuses to write. */
  status: 'ok' | 'draining' | 'store_unavailable';
  /** Sessions that take tasks. */
  active_sessions: number;
  /** Miners that are there. */
  connected_miners: number;
  /** Alias of `connected_miners`, for clients that read `miner_count`. */
  miner_count: number;
  /** Miners that get work. */
  active_miners: number;
  /** Per cent of the machine's processors that this process uses; 0 without the listener. */
  cpu_usage: number;
  /** Resident memory of this process in MiB; 0 without the listener. */
  memory_usage: number;
  /** Seconds since the router was opened. */
  uptime: number;
  /** The version of the product. */
  version: string;
  /** Tasks that wait for a miner. */
  queued_tasks: number;
  /** Tasks that a miner works on. */
  running_tasks: number;
  /** `full`, `relaxed` or `memory`. */
  durability: 'full' | 'relaxed' | 'memory';
  /** `sqlite`, `postgres` or `memory`. */
  store: 'sqlite' | 'postgres' | 'memory';
  /** The routers that share the database. */
  fleet: FleetStatus;
  /** Always 0: there is no chain. */
  block_height: number;
}

/** The counts of a miner since it started. */
export interface MinerClientStats {
  /** The miner's id: the id of its key, or else its name. */
  miner_id: string;
  /** Whether the miner is connected to a router. */
  connected: boolean;
  /** The URL of the present router, or of the last one. */
  router: string;
  /** The reason why the last connection ended or failed; empty: the miner is connected. */
  last_error: string;
  /** Whether the miner drains and takes no new tasks. */
  draining: boolean;
  /** The maximum number of concurrent tasks. */
  capacity: number;
  /** The attempts that the miner holds, including answers that wait for their `final`. */
  in_flight: number;
  /** The number of connections that a router has welcomed. */
  connections: number;
  /** The number of offers that the miner took. */
  accepted: number;
  /** The number of offers that the miner did not take. */
  rejected: number;
  /** The number of answers that the backend finished. */
  finished: number;
  /** The number of answers that became results. */
  committed: number;
  /** The number of attempts that failed. */
  failed: number;
  /** The number of attempts that were cancelled. */
  cancelled: number;
  /** The number of pieces that were sent, including those sent again. */
  frames: number;
}

/** The usage of one part. */
export interface UsagePart {
  /** Tasks that ended. A request that an idempotency key repeats is no further task. */
  requests: number;
  /** Tasks that ended with an answer. */
  ok: number;
  /** Tasks whose answers do not agree. */
  disputed: number;
  /** Tasks that ended without an answer. */
  failed: number;
  /** Tasks that were cancelled. */
  cancelled: number;
  /** Tasks whose deadline passed. */
  expired: number;
  /** Tokens of the prompts. */
  prompt_tokens: number;
  /** Tokens that were generated. */
  completion_tokens: number;
  /** Tokens of the prompts that a model's server had in its cache, as far as the servers say so. */
  cached_tokens: number;
  /** Generated tokens that are not part of the answers' texts, as far as the models' servers say so. */
  reasoning_tokens: number;
  /** Bytes of the requests and of the answers. */
  bytes: number;
  /** The number of times that a miner got a task. */
  attempts: number;
  /** The part: a day, a key's id, a model, a session's number or a miner's address. Empty: the tasks have none. `other`: tasks whose day had no row left (`retention.max_usage_rows`). */
  name: string;
  /** The sum of the tokens of prompts and answers. */
  total_tokens: number;
  /** The cost of the tokens of models that have a price (`prices.model`), as an exact decimal number in a text. `null`: no model of the part has a price. */
  cost: string | null;
  /** The tokens of models without a price, which `cost` does not contain. */
  unpriced_tokens: number;
}

/** The limits of a key. Each limit is at least 1; a limit that is missing does not bind. */
export interface KeyLimits {
  /** Requests in one minute, on any route, also those that only read. */
  requests_per_minute?: number;
  /** Tasks that are submitted in one minute. */
  tasks_per_minute?: number;
  /** Tokens of prompts and answers in one minute. */
  tokens_per_minute?: number;
  /** Tokens of prompts and answers on one day in UTC. */
  tokens_per_day?: number;
  /** Tokens of prompts and answers in one month in UTC. */
  tokens_per_month?: number;
  /** Tasks that have not ended. */
  concurrent_tasks?: number;
  /** Answers that are being streamed. */
  concurrent_streams?: number;
}

/** The limits of a session, which hold for all keys that use it. Each limit is at least 1; a limit that is missing does not bind. */
export interface SessionQuota {
  /** Requests in one minute that submit a task to it, also those that are refused. */
  requests_per_minute?: number;
  /** Tasks in one minute. */
  tasks_per_minute?: number;
  /** Tokens of prompts and answers in one minute. */
  tokens_per_minute?: number;
  /** Tokens of prompts and answers on one day in UTC. */
  tokens_per_day?: number;
  /** Tokens of prompts and answers in one month in UTC. */
  tokens_per_month?: number;
  /** Tasks that have not ended. */
  concurrent_tasks?: number;
  /** Answers that a listener streams. */
  concurrent_streams?: number;
}

/** A token's record. The secret is never kept, only its hash. */
export interface ApiKey {
  /** The public part of the token: `ctr_<id>_<secret>`. */
  id: string;
  /** A name for people. */
  name: string;
  /** SHA-256 of the secret, hexadecimal. */
  hash: string;
  /** The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. */
  scopes: ('submit' | 'read' | 'admin' | 'miner' | 'enrol')[];
  /** The only sessions that the key may use; empty: all sessions. */
  sessions: number[];
  /** When the key was made, in Unix seconds. */
  created_at: number;
  /** The time from which on the key is refused, in Unix seconds; 0: never. */
  expires_at: number;
  /** The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models. */
  models: string[];
  /** For a miner's key: the person or company that runs the miner. */
  owner: string;
  /** The key's limits. */
  limits: KeyLimits;
}

/** A key that was just created, with its token, which is never shown again. */
export interface NewKey {
  /** The public part of the token: `ctr_<id>_<secret>`. */
  id: string;
  /** A name for people. */
  name: string;
  /** SHA-256 of the secret, hexadecimal. */
  hash: string;
  /** The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. */
  scopes: ('submit' | 'read' | 'admin' | 'miner' | 'enrol')[];
  /** The only sessions that the key may use; empty: all sessions. */
  sessions: number[];
  /** When the key was made, in Unix seconds. */
  created_at: number;
  /** The time from which on the key is refused, in Unix seconds; 0: never. */
  expires_at: number;
  /** The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models. */
  models: string[];
  /** For a miner's key: the person or company that runs the miner. */
  owner: string;
  /** The key's limits. */
  limits: KeyLimits;
  /** The token: `ctr_<id>_<secret>`. */
  token: string;
}

/** Usage, by parts. */
export interface UsageReport {
  /** The parts by which usage is told apart: `day`, `key`, `model`, `session` or `miner`. */
  by: string;
  /** The first day. */
  from: string;
  /** The last day. */
  to: string;
  /** The number of parts on all pages. */
  count: number;
  /** The currency of every `cost` (`prices.currency`). `null`: no model has a price. */
  currency: string | null;
  /** The parts of this page, in order. */
  usage: UsagePart[];
}

/** The hardware of a miner, as the miner describes it. */
export interface HardwareOptions {
  /** The accelerator, at most 256 bytes. */
  gpu?: string;
  /** Its memory, in MiB; 0 where it does not say. */
  vram?: number;
  /** The processor, at most 256 bytes. */
  cpu?: string;
}

/** A model of a miner, as the miner describes it. The router checks none of it but the name. */
export interface ModelOptions {
  /** Its name, as it is asked for; 1 to 256 bytes. */
  id: string;
  /** A digest of its weights, at most 256 bytes. */
  digest?: string;
  /** Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals. */
  quant?: string;
  /** The most tokens of prompt and answer together; 0 where it is not known. */
  context?: number;
  /** The most tokens of an answer; 0 where it is not known. */
  maxOutput?: number;
  /** Whether it is loaded. */
  warm?: boolean;
  /** Whether it embeds. */
  embeddings?: boolean;
  /** Whether it calls tools. */
  tools?: boolean;
}

/** Tokens of one completion, as the miner counted them (or estimated where it does not count). */
export interface UsageOptions {
  /** Tokens that were generated. */
  completionTokens?: number;
  /** Tokens of the prompt. */
  promptTokens?: number;
  /** Their sum. */
  totalTokens?: number;
  /** Tokens of the prompt that the model's server had in its cache, where the server says so. */
  cachedTokens?: number;
  /** Generated tokens that are not part of the answer's text, where the model's server says so. */
  reasoningTokens?: number;
}

/** A call of a tool, whole. If a miner gives no id, the router makes one. */
export interface GivenToolCall {
  /** Its id, by which the tool's answer names it. */
  id?: string;
  /** `function` */
  type?: string;
  /** The function that is called, with its arguments. */
  function: GivenFunction;
}

/** The name and the arguments of a call. */
export interface GivenFunction {
  /** The tool's name. */
  name: string;
  /** The arguments as JSON text, as in OpenAI's API, or as an object. */
  arguments?: string | object;
}

/** A piece of a call of a tool. Without an `index` it is a whole call if it names its tool, and else continues the last one. */
export interface ToolCallPiece {
  /** The number of the call within the answer, from 0. */
  index?: number;
  /** The call's id. */
  id?: string;
  /** `function` */
  type?: string;
  /** The function that is called, or a piece of it. */
  function?: FunctionPiece;
}

/** A piece of the name and the arguments of a call. */
export interface FunctionPiece {
  /** The tool's name. */
  name?: string;
  /** The arguments as JSON text, as in OpenAI's API, or as an object. */
  arguments?: string | object;
}

/** The options beside a prompt. Members for the miner alone go into `extra`. */
export interface RequestOptions {
  /** The model, as `/v1/models` lists it; given back in the answer. Under `/v1`, `session-<id>` stands for that session and its model, and a model that no miner offers is a 404; under `/api` such a model stands for any. */
  model?: string;
  /** The most tokens to generate; what is over the router's limit is cut to it. */
  maxTokens?: number;
  /** Newer name of `max_tokens`, which wins where both are given; what is over the router's limit is cut to it. */
  maxCompletionTokens?: number;
  /** Passes through: the sampling temperature. */
  temperature?: number;
  /** Passes through: nucleus sampling, from 0 to 1. */
  topP?: number;
  /** Passes through: the number of candidates. */
  topK?: number;
  /** Passes through: the least share of the likeliest token's probability. */
  minP?: number;
  /** Passes through: the texts at which the answer stops. */
  stop?: string | string[];
  /** Passes through: the seed of the sampling. */
  seed?: number;
  /** Passes through: a penalty for tokens that came before. */
  presencePenalty?: number;
  /** Passes through: a penalty for tokens that came often. */
  frequencyPenalty?: number;
  /** Passes through: a factor against tokens that came before. */
  repetitionPenalty?: number;
  /** Passes through: what is added to the scores of tokens. */
  logitBias?: object;
  /** Passes through: whether, or how many, log probabilities are wanted. */
  logprobs?: boolean | number;
  /** Passes through: how many candidates each token tells. */
  topLogprobs?: number;
  /** Passes through: the tools that the model may call. */
  tools?: object[];
  /** Passes through: which tool to call. */
  toolChoice?: string | object;
  /** Passes through: whether several tools may be called at once. */
  parallelToolCalls?: boolean;
  /** Passes through: how long the model may think before it speaks. */
  reasoningEffort?: string;
  /** Passes through: the form of the answer. */
  responseFormat?: object;
  /** Passes through: who asks. */
  user?: string;
  /** Passes through: how many numbers a vector has. */
  dimensions?: number;
  /** 0: the model's chat template is applied; 1: the prompt goes to the model as it is. */
  promptType?: number;
  /** A text with `{prompt}` in it, put around the prompt. */
  promptTemplate?: string;
  /** Whether the answer is wanted as it comes, as server-sent events. */
  stream?: boolean;
  /** Seconds until the task is given up; what is over the router's limit is cut to it. */
  timeout?: number;
  /** Seconds within which several answers must be in: then those that are in are compared; what is over the router's limit is cut to it. */
  precommitTimeout?: number;
  /** The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`. */
  maxMiners?: number;
  /** How the task goes on when the miner is lost after tokens were seen. */
  onFailure?: 'fail' | 'continue' | 'restart';
  /** The band: a higher one is served first. Missing: the session's. */
  priority?: number;
  /** The caller's own reference, given back in the task. */
  clientReference?: string;
  /** Whether special tokens and leading blanks stay in the text. */
  raw?: boolean;
  /** Where the end of the task is sent: `{"url": "https://...", "secret": "whsec_..."}`, or the URL alone. */
  webhook?: string | object;
  /** A request with an equal key and equal content joins the task that is there. */
  idempotencyKey?: string;
  /** The name of the caller for whom the task is counted, as the usage shows it. */
  keyId?: string;
  /** Whether the task goes on when nobody waits for it. */
  detach?: boolean;
  /** Any other members: they reach the miner untouched. */
  extra?: object;
  /** The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`. */
  validationPolicy?: 'first' | 'quorum' | 'medoid' | 'all';
  /** When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default `normalized`. */
  match?: 'exact' | 'normalized' | 'json' | 'lexical' | 'embedding' | 'verdict';
  /** From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1. */
  minScore?: number;
  /** Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`. */
  tieBreak?: boolean;
  /** How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001. */
  matchTolerance?: number;
  /** The only places of JSON that are compared (RFC 6901), at most 32; none: the whole. */
  matchPointers?: string[];
  /** The model that embeds the answers; none: any that a miner embeds with. */
  matchModel?: string;
}

/** A session to be created. Only `name` is required; Cortensor's published camelCase names, such as `minNumOfNodes`, are taken too. */
export interface SessionOptions {
  /** The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`. */
  validationPolicy?: 'first' | 'quorum' | 'medoid' | 'all';
  /** When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default `normalized`. */
  match?: 'exact' | 'normalized' | 'json' | 'lexical' | 'embedding' | 'verdict';
  /** From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1. */
  minScore?: number;
  /** Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`. */
  tieBreak?: boolean;
  /** How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001. */
  matchTolerance?: number;
  /** The only places of JSON that are compared (RFC 6901), at most 32; none: the whole. */
  matchPointers?: string[];
  /** The model that embeds the answers; none: any that a miner embeds with. */
  matchModel?: string;
  /** A name for people, 1 to 256 bytes. */
  name: string;
  /** Anything of the caller's, up to 64 KiB of text or JSON. */
  metadata?: string;
  /** The owner; the token's id where it is empty. */
  owner?: string;
  /** Which miners serve it: 0 ephemeral, 1 dedicated, 2 both. */
  mode?: number;
  /** How many miners answer each task (0 and 1: one). */
  redundant?: number;
  /** The fewest miners that must be there for the session to be served; while there are fewer, new tasks are refused (`too_few_miners`); 0: no demand. */
  minNumOfNodes?: number;
  /** The most miners that work for it at a time; 0: no limit. */
  maxNumOfNodes?: number;
  /** How many answers are validated. */
  numOfValidatorNodes?: number;
  /** Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant` say, at least one. */
  reserveEphemeralNodes?: boolean;
  /** Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`. */
  reservePeriod?: number;
  /** The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10 tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s. While no miner meets it, any will do. */
  sla?: number;
  /** The model of its tasks where they name none. */
  model?: string;
  /** Cortensor's number for a model; kept and given back. */
  modelIdentifier?: string;
  /** The most tasks it ever takes; 0: no limit. */
  maxTaskExecutionCount?: number;
  /** The band of its tasks, 0 to 9; a higher band is served first. */
  priority?: number;
  /** Its share within a band, 1 to 1000; 0 means the default of 1. */
  weight?: number;
  /** Whether its tasks prefer the miner that served the last one; on by default. */
  affinity?: boolean;
  /** The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`. */
  retention?: 'all' | 'result' | 'none';
  /** The most that its tasks may use together, whoever submits them. */
  limits?: SessionQuota;
  /** The models that its tasks may use; empty: all. */
  models?: string[];
  /** Unix seconds from which on it takes no new tasks; 0: it does not expire. */
  expiresAt?: number;
}

/** A change of a session. Members that are missing stay as they are. */
export interface SessionChanges {
  /** Its name, 1 to 256 bytes. */
  name?: string;
  /** Anything of the caller's, up to 64 KiB. */
  metadata?: string;
  /** The model of its tasks where they name none; empty: none. */
  model?: string;
  /** How many miners answer each task (0 and 1: one). */
  redundant?: number;
  /** The most tasks it ever takes; 0: no limit. */
  maxTaskExecutionCount?: number;
  /** The band of its tasks, 0 to 9; a higher band is served first. */
  priority?: number;
  /** Its share within a band, 1 to 1000. */
  weight?: number;
  /** Whether its tasks prefer the miner that served the last one. */
  affinity?: boolean;
  /** The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`. */
  retention?: 'all' | 'result' | 'none';
  /** The fewest miners that must be there for the session to be served; 0: no demand. */
  minNumOfNodes?: number;
  /** The most miners that work for it at a time; 0: no limit. */
  maxNumOfNodes?: number;
  /** The service class. */
  sla?: number;
  /** The rule that decides if several miners answer: `first`, `quorum`, `medoid` or `all`. */
  validationPolicy?: 'first' | 'quorum' | 'medoid' | 'all';
  /** When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. */
  match?: 'exact' | 'normalized' | 'json' | 'lexical' | 'embedding';
  /** From this score on two answers match, 0 to 1. */
  minScore?: number;
  /** Whether one more miner is asked where the answers do not agree. */
  tieBreak?: boolean;
  /** The most that its tasks may use together, by the names of `SessionQuota`. A missing member keeps its limit, and `null` lifts it. */
  limits?: { [Limit in keyof SessionQuota]?: number | null };
  /** The models that its tasks may use; empty: all. */
  models?: string[];
  /** Unix seconds from which on it takes no new tasks; 0: it does not expire. */
  expiresAt?: number;
}

/** A miner, as it describes itself when it joins. */
export interface MinerOptions {
  /** The models it serves; empty means any model that is asked for. */
  models?: string[];
  /** How many tasks it works on at a time, 1 to 65536. */
  capacity?: number;
  /** Its share among equals, 1 to 100. */
  weight?: number;
  /** The person or company that runs the miner. Answers that are compared come from different owners if there are any. */
  owner?: string;
  /** Whether it is dedicated to sessions rather than ephemeral. */
  dedicated?: boolean;
  /** Whether it embeds, beside or instead of generating. */
  embeddings?: boolean;
  /** The most tokens of prompt and answer together; 0 where it does not say. */
  maxContextTokens?: number;
  /** The optional abilities of the miner: with `continue` it goes on from a partial answer of another miner. An upstream with `messages` or `responses` takes the bodies of these APIs as they are. */
  features?: string[];
  /** Its software and version, in its own words. */
  agent?: string;
  /** Its hardware, in its own words. */
  hardware?: HardwareOptions;
  /** The details of its models beyond their names, as the miner states them. */
  modelDetails?: ModelOptions[];
}

/** The settings of a miner that works for a distant router. */
export interface MinerClientSettings {
  /** The miner's name, 1 to 128 bytes, unique at its router. */
  name: string;
  /** The maximum number of concurrent tasks, 1 to 65536. Default 1. */
  capacity?: number;
  /** The models that the miner serves; empty: any model. */
  models?: string[];
  /** Details of the models, by their id. */
  modelDetails?: ModelOptions[];
  /** Whether the miner can continue a partial answer of another miner. */
  continues?: boolean;
  /** Whether the miner is dedicated instead of ephemeral. */
  dedicated?: boolean;
  /** The person or company that runs the miner. */
  owner?: string;
  /** The miner's hardware. */
  hardware?: HardwareOptions;
  /** A token of the scope `miner`. With `key_file`: the one-time token that enrols the key, which is needed only once. */
  token?: string;
  /** The file of the miner's own key. The miner makes the file if it does not exist. */
  keyFile?: string;
  /** A file of certificates (PEM) to trust instead of the public ones. */
  caFile?: string;
  /** A file with the miner's certificate chain (PEM), for routers that ask for one. */
  certFile?: string;
  /** A file with the private key of that certificate (PEM). */
  certKeyFile?: string;
  /** The time in milliseconds within which the router must have welcomed the miner. Default 10000. */
  connectTimeoutMs?: number;
  /** The first window of the wait before a reconnect, in milliseconds. Each further window is twice as long. Default 1000. */
  reconnectBaseMs?: number;
  /** The longest window of that wait, in milliseconds. Default 64000. */
  reconnectMaxMs?: number;
  /** The maximum size of a frame of the router, in bytes. A larger frame ends the connection. Default 64 MiB. */
  maxFrameBytes?: number;
  /** The maximum bytes that may wait to be sent to the router. Default 64 MiB. */
  writeBufferBytes?: number;
}

/** The answer that a miner gives at the end of a job. Every member may be absent. */
export interface Answer {
  /** The text. Pieces that were emitted are the text instead. */
  text?: string;
  /** The model's reasoning before its answer. */
  reasoning?: string;
  /** The tools that the model calls. */
  toolCalls?: GivenToolCall[];
  /** The reason for the end of the text; missing: `tool_calls` if the model calls tools, else `stop`. */
  finishReason?: 'stop' | 'length' | 'tool_calls' | 'content_filter';
  /** The token counts. Missing counts are estimated. */
  usage?: UsageOptions;
  /** The model that answered. */
  model?: string;
  /** The vector of the input, or one vector for each of several inputs. */
  embedding?: Vector | Vector[];
}

/** A piece of an answer with its text, reasoning and tool calls. */
export interface PieceParts {
  /** A piece of the text. */
  text?: string;
  /** A piece of the model's reasoning. */
  reasoning?: string;
  /** Pieces of the tools that the model calls. */
  toolCalls?: ToolCallPiece[];
}

/** A key to be made: the body of `POST /api/v1/keys` and the flags of `key create`. */
export interface KeyOptions {
  /** A name for people, 1 to 128 bytes. */
  name: string;
  /** The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. Empty: `submit` and `read`. */
  scopes?: ('submit' | 'read' | 'admin' | 'miner' | 'enrol')[];
  /** The only sessions that the key may use; empty: all sessions. */
  sessions?: number[];
  /** The seconds until the key expires; 0: never, except after one day for the scope `enrol`. */
  ttlSecs?: number;
  /** The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models. */
  models?: string[];
  /** For a key of miners: the person or company that runs the miner. */
  owner?: string;
  /** The key's limits. */
  limits?: KeyLimits;
}

/** The part of a list that a caller wants. */
export interface PageQuery {
  /** The state of the rows that are wanted. */
  state?: string;
  /** The most rows to list. */
  limit?: number;
  /** The number of rows to leave out at the beginning. */
  offset?: number;
}

/** The part of a session's tasks that is wanted: the newest page, oldest first inside it, unless `offset` or `order` says otherwise. */
export interface TaskQuery {
  /** `ended`, or `active` for those that have not. */
  state?: string;
  /** Only tasks of this key. */
  key?: string;
  /** The most tasks to list. */
  limit?: number;
  /** The number of tasks to leave out at the beginning; with `order: desc` of the newest. */
  offset?: number;
  /** `asc` counts from the oldest; `desc` from the newest back, newest first. */
  order?: 'asc' | 'desc';
}

/** The usage that is wanted. */
export interface UsageQuery {
  /** The parts by which usage is told apart: `day` (the default), `key`, `model`, `session` or `miner`. */
  by?: string;
  /** The first day in UTC, as `2026-01-31`. Missing: the first of this month. */
  from?: string;
  /** The last day in UTC. Missing: today. */
  to?: string;
  /** Only tasks of this key. */
  key?: string;
  /** Only tasks of the session with this number. */
  session?: number;
  /** Only tasks for this model. */
  model?: string;
  /** Only tasks of the miner with this address. */
  miner?: string;
  /** The most parts to list. */
  limit?: number;
  /** The number of parts to leave out. */
  offset?: number;
}

/** A caller's request, with the names of the REST API. Fields for the miner alone stand beside these: read them as `Record<string, unknown>`. */
export interface JobRequest {
  /** The kind of answer that the caller wants. */
  kind: 'completion' | 'chat' | 'embedding';
  prompt?: string | unknown[];
  /** The conversation so far. */
  messages?: object[];
  /** The model, as `/v1/models` lists it; given back in the answer. Under `/v1`, `session-<id>` stands for that session and its model, and a model that no miner offers is a 404; under `/api` such a model stands for any. */
  model?: string;
  /** The most tokens to generate; what is over the router's limit is cut to it. */
  max_tokens?: number;
  /** Newer name of `max_tokens`, which wins where both are given; what is over the router's limit is cut to it. */
  max_completion_tokens?: number;
  /** Passes through: the sampling temperature. */
  temperature?: number;
  /** Passes through: nucleus sampling, from 0 to 1. */
  top_p?: number;
  /** Passes through: the number of candidates. */
  top_k?: number;
  /** Passes through: the least share of the likeliest token's probability. */
  min_p?: number;
  /** Passes through: the texts at which the answer stops. */
  stop?: string | string[];
  /** Passes through: the seed of the sampling. */
  seed?: number;
  /** Passes through: a penalty for tokens that came before. */
  presence_penalty?: number;
  /** Passes through: a penalty for tokens that came often. */
  frequency_penalty?: number;
  /** Passes through: a factor against tokens that came before. */
  repetition_penalty?: number;
  /** Passes through: what is added to the scores of tokens. */
  logit_bias?: object;
  /** Passes through: whether, or how many, log probabilities are wanted. */
  logprobs?: boolean | number;
  /** Passes through: how many candidates each token tells. */
  top_logprobs?: number;
  /** Passes through: the tools that the model may call. */
  tools?: object[];
  /** Passes through: which tool to call. */
  tool_choice?: string | object;
  /** Passes through: whether several tools may be called at once. */
  parallel_tool_calls?: boolean;
  /** Passes through: how long the model may think before it speaks. */
  reasoning_effort?: string;
  /** Passes through: the form of the answer. */
  response_format?: object;
  /** Passes through: who asks. */
  user?: string;
  /** Passes through: how many numbers a vector has. */
  dimensions?: number;
  /** 0: the model's chat template is applied; 1: the prompt goes to the model as it is. */
  prompt_type?: number;
  /** A text with `{prompt}` in it, put around the prompt. */
  prompt_template?: string;
  /** Whether the answer is wanted as it comes, as server-sent events. */
  stream?: boolean;
  /** Seconds until the task is given up; what is over the router's limit is cut to it. */
  timeout?: number;
  /** Seconds within which several answers must be in: then those that are in are compared; what is over the router's limit is cut to it. */
  precommit_timeout?: number;
  /** The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`. */
  max_miners?: number;
  /** How the task goes on when the miner is lost after tokens were seen. */
  on_failure?: 'fail' | 'continue' | 'restart';
  /** The band: a higher one is served first. Missing: the session's. */
  priority?: number;
  /** The caller's own reference, given back in the task. */
  client_reference?: string;
  /** Whether special tokens and leading blanks stay in the text. */
  raw?: boolean;
  /** Where the end of the task is sent: `{"url": "https://...", "secret": "whsec_..."}`, or the URL alone. */
  webhook?: string | object;
  /** The text to embed, or several, in place of a prompt. */
  input?: string | string[];
  /** The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`. */
  validation_policy?: 'first' | 'quorum' | 'medoid' | 'all';
  /** When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default `normalized`. */
  match?: 'exact' | 'normalized' | 'json' | 'lexical' | 'embedding' | 'verdict';
  /** From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1. */
  min_score?: number;
  /** Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`. */
  tie_break?: boolean;
  /** How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001. */
  match_tolerance?: number;
  /** The only places of JSON that are compared (RFC 6901), at most 32; none: the whole. */
  match_pointers?: string[];
  /** The model that embeds the answers; none: any that a miner embeds with. */
  match_model?: string;
}
