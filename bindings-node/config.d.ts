// Made from the configuration types by `UPDATE_DOCS=1 cargo test --test docs`; do not edit.

/** The one configuration, as in docs/configuration.md. Everything has a default. */
export interface RouterConfig {
  /** The router's name in `/api/v1/info`. Routers that share a database need different names. Default `cortensor-router`; with `storage.url` the name of the host, and a new name needs a restart. */
  name?: string;
  /** The address under which the router is reached from outside, shown in `/api/v1/info`. */
  externalAddress?: string;
  /** Whether the built-in miner `echo` answers if no other miner could. Default `false`. A `serve` whose configuration names nobody who does the work lets it answer until the first miner comes. */
  echo?: boolean;
  /** The sessions that take turns for requests that name none; empty: session 0. */
  completionSessions?: number[];
  /** The answer to an unknown session: `reject` or `default`. */
  unknownSession?: string;
  /** The first task id of a session. Default 1. */
  firstTaskId?: number;
  /** Whether completions repeat the text as `text`, `output`, `result`, `response` and `content`. Default `true`. */
  compatAliases?: boolean;
  /** Where tasks are kept. */
  storage?: StorageOptions;
  /** How long ended tasks are kept. */
  retention?: RetentionOptions;
  /** Bounds: nothing grows beyond them. */
  limits?: LimitsOptions;
  /** How tasks reach miners. */
  dispatch?: DispatchOptions;
  /** The HTTP listener. */
  listen?: ListenOptions;
  /** The details of requests that the log shows. */
  log?: LogOptions;
  /** The export of spans by OTLP over HTTP; only a command with the feature `otel` has it. */
  otel?: OtelOptions;
  /** Threads of an embedded router. */
  runtime?: RuntimeOptions;
  /** Miners that dial in. */
  miners?: MinersOptions;
  /** Links between routers that share a database. */
  fleet?: FleetOptions;
  /** Prices of models, from which the usage gets its cost. */
  prices?: PricesOptions;
  /** Webhooks: the end of a task is sent to the URL that its request names. */
  webhooks?: WebhooksOptions;
  /** Cortensor's routes for agents: delegate, validate and factcheck. */
  agents?: AgentsOptions;
  /** Names of models that stand for several models, which are tried in their order. */
  model?: ModelListOptions[];
  /** Model servers that the router calls. */
  upstream?: UpstreamOptions[];
}

/** Where tasks are kept. */
export interface StorageOptions {
  /** The directory of the SQLite file. Without it and `url` tasks are kept in memory; `serve` uses the platform's data directory. */
  dataDir?: string;
  /** The PostgreSQL database that keeps the tasks, instead of a file: `postgres://USER:PASSWORD@HOST:5432/DATABASE`. Connections are encrypted and verified, but to this machine, or with `?sslmode=disable`. It needs a program that was built with the feature `postgres`, which all packages have. */
  url?: string;
  /** The schema of the tables in the database of `url`; it is created if it does not exist. Default `cortensor`. */
  schema?: string;
  /** A file of certificates (PEM): the authorities to believe for the database's TLS, instead of the public ones. */
  caFile?: string;
  /** The events that an acknowledged task survives: `full` (power loss), `relaxed` (the end of the process) or `memory` (nothing). Default `full`. */
  durability?: 'full' | 'relaxed' | 'memory';
  /** Writes that may wait for the disk; a new task beyond it is refused with 429 `store_overloaded`, the end of a task only beyond four times as many. Default 32768. */
  maxWaitingWrites?: number;
  /** Reads that may wait; a further one is refused with 429 `store_overloaded`. Default 8192. */
  maxWaitingReads?: number;
  /** Writes that one transaction takes at most. Default 512. */
  batchWrites?: number;
  /** Bytes of requests and answers after which a transaction takes no further write. Default 16 MiB. */
  batchBytes?: number;
  /** Pages of 4 KiB in the write-ahead log after which they are written to the database itself. Default 2000. */
  checkpointPages?: number;
  /** Threads that read, 1 to 64. Default 2. */
  readerThreads?: number;
  /** Milliseconds between two looks of an idle store at its files, and between two tries to write after a failure. The router waits no longer before it writes the end of a task again that the store has refused. Default 1000. */
  checkIntervalMs?: number;
  /** Milliseconds to wait for another program that holds the database, for example while it copies it; at most 60000. Default 1000. */
  busyTimeoutMs?: number;
  /** Bytes to which the file of the write-ahead log is cut when the log starts over. Default 64 MiB. */
  maxLogBytes?: number;
  /** Milliseconds for which a router may use the database of `url` without renewing its lease, which it does ten times within that time. Later the other routers declare it gone and take its tasks over. At least 1000. Default 10000. */
  leaseMs?: number;
  /** Milliseconds that a new task waits for a database that is away, before it is refused with 503; also those that one answer of the database may take. Default 2000. */
  maxWriteWaitMs?: number;
  /** Milliseconds that the end of a task waits for a database that is away. After that its callers get a 503, and the router writes the end later. Default 60000. */
  maxEndWaitMs?: number;
  /** Bytes of writes that wait for a database that is away; further ones are refused with 503. Default 64 MiB. */
  maxWaitingBytes?: number;
}

/** How long ended tasks are kept. */
export interface RetentionOptions {
  /** Seconds that an ended task is kept. Default 604800 (7 days). */
  maxAgeSecs?: number;
  /** Bytes of requests and results of ended tasks; beyond it the oldest are deleted. 0: no bound. Default 8 GiB. */
  maxBytes?: number;
  /** The bound `max_bytes` of a router that keeps its tasks in memory. 0: no bound. Default 64 MiB. */
  maxMemoryBytes?: number;
  /** Seconds that a closed session is kept after it was closed or last changed. It stays as long as one of its tasks is kept; then it is deleted, and a later request for it answers 404. Default 604800 (7 days). */
  closedSessionSecs?: number;
  /** Seconds between two rounds of deletion. Default 60. */
  intervalSecs?: number;
  /** Days for which usage is kept, at least 32, because the limits of a month are counted from it. Default 400. */
  usageDays?: number;
  /** Rows of usage for each day: one for each key, session, model and miner that belong together. Tasks beyond it are counted under their key and `other`, in as many rows again, and then under `other` alone. It must not be less than the number of keys with limits. Default 10000. */
  maxUsageRows?: number;
  /** Days for which entries of the audit log are kept. Default 400. */
  auditDays?: number;
  /** Entries of the audit log; beyond it the oldest are deleted. Default 10000. */
  maxAuditRows?: number;
}

/** Bounds: nothing grows beyond them. */
export interface LimitsOptions {
  /** Tasks that wait for a miner, in all. Default 100000. */
  maxQueuedTasks?: number;
  /** Tasks that wait for a miner, of one session. Default 100000. */
  maxQueuedPerSession?: number;
  /** Bytes of the requests that wait, in all. Default 1 GiB, or half of `max_memory_bytes` if that is less. */
  maxQueuedBytes?: number;
  /** Bytes that the router holds for its callers, in all: bodies being read, requests that wait, answers under way and ended tasks that are kept in memory. Beyond it new work is refused with 429 `memory_full`. 0: no bound, the default of an embedded router. `serve` takes a quarter of the least of the machine's memory, its control group's and its limit of address space. */
  maxMemoryBytes?: number;
  /** Open sessions; closed ones do not count. Default 100000. */
  maxSessions?: number;
  /** Closed sessions, which stay in lists until `retention.closed_session_secs` has passed; beyond it none is created. Default 1000000. */
  maxClosedSessions?: number;
  /** Miners. Default 10000. */
  maxMiners?: number;
  /** Bytes of one request. Default 1 MiB. */
  maxRequestBytes?: number;
  /** Bytes of one request that uploads a file (`/v1/audio/transcriptions`). Default 25 MiB. */
  maxUploadBytes?: number;
  /** The depth of a request: lists and objects inside of each other. Default 512. It protects the miners, whose parsers may be recursive; the router skips members that it does not read. */
  maxJsonDepth?: number;
  /** Bytes of one answer; a longer one is cut there, with the finish reason `length`. Default 16 MiB. */
  maxOutputBytes?: number;
  /** Tokens of one answer; a request that asks for more gets this many. Default 32768. */
  maxTokens?: number;
  /** Tokens of an answer if the request does not say. Default 1024. */
  defaultMaxTokens?: number;
  /** Seconds until a task is given up if the request does not say. Default 60. */
  defaultTimeoutSecs?: number;
  /** Seconds until a task on `/v1` is given up if neither the request nor the header `X-Stainless-Timeout` says. It is the time for a whole answer, and for the first token of a stream: after that only `dispatch.progress_timeout_ms` ends it. Default 600, because OpenAI's SDKs wait ten minutes. */
  openaiTimeoutSecs?: number;
  /** The most seconds that a request may ask for. Default 3600. */
  maxTimeoutSecs?: number;
  /** Bytes that a reader of a stream may lag before its miner is asked to wait. Default 256 KiB. */
  streamWindowBytes?: number;
  /** Ended tasks whose streams can still be resumed token by token. Default 1024. */
  recentTasks?: number;
  /** Bytes of those tasks with their requests; beyond it the oldest are forgotten. Tasks whose ends the store refuses for now may take as many; beyond it such a task runs again once the store works. At most a quarter of `max_memory_bytes`. Default 32 MiB. */
  recentBytes?: number;
  /** Answers to one task, by `n` or `max_miners`. Default 8. */
  maxAnswers?: number;
}

/** How tasks reach miners. */
export interface DispatchOptions {
  /** A miner must take or decline an offer within this. Default 2000. */
  acceptTimeoutMs?: number;
  /** A miner that says nothing for this long loses the task, before its first token only if another miner could take it. The head and the comments of an upstream's stream count as words. Default 60000. */
  progressTimeoutMs?: number;
  /** How often a task is tried, on another miner first. Miners that do not have its model or refuse it (404, 403) do not count: each is asked once. Default 3. */
  maxAttempts?: number;
  /** The shortest wait before a retry; the longest is 25 times that, chosen at random in between. Default 200. */
  retryBaseMs?: number;
  /** Retries a second that are always allowed. Default 3. */
  retryFloorPerSec?: number;
  /** Retries allowed as a share of recent successes. Default 0.2. */
  retryRatio?: number;
  /** A miner's breaker opens after so many failed tasks in a row; each task counts once. Default 5. */
  breakerFailures?: number;
  /** Milliseconds for which a breaker opens the first time; the time doubles up to 20 times that. Default 30000. */
  breakerOpenMs?: number;
  /** Waiting tasks that a free miner chooses from. Default 16. */
  scanWindow?: number;
  /** A task that waited for this long is served before higher bands. Default 30000. */
  starvationMs?: number;
  /** How long a call waits until a miner is up that could serve it, before it fails with `no_miner`. 0: a task that no miner could ever serve is refused at once. Tasks that go on without a caller wait until their deadline. Default 2000. */
  noMinerGraceMs?: number;
  /** The rule for requests that do not say what follows when a miner is lost after clients have seen tokens: `fail`, `continue` or `restart`. Default `fail`. */
  onFailure?: string;
  /** Whether a second miner is asked if the first token takes longer than 95 % of the model's first tokens do. Default `false`. */
  hedgeAfterP95?: boolean;
  /** The largest share of all tasks that get such a second miner. Default 0.05. */
  hedgeBudget?: number;
  /** The share of answers of a single miner that are checked in the background by asking another miner. Default 0: none. */
  auditRatio?: number;
  /** Such checks at a time. Default 16. */
  maxAudits?: number;
  /** How much one comparison of answers moves a miner's reputation towards 1 (it agrees) or 0 (it does not). Default 0.1. */
  reputationStep?: number;
  /** A miner whose reputation falls below this is set aside. Default 0.5: by seven wrong answers in a row. 0: never. */
  minReputation?: number;
  /** Milliseconds for which it is set aside before it gets another chance. Default 3600000. */
  setAsideMs?: number;
  /** Ephemeral miners that sessions may reserve for themselves, as a share of those that could serve them. Default 0.5. */
  maxReserved?: number;
  /** Seconds that a reservation holds after the session's last task, if the session does not say. Default 3600. */
  reservePeriodSecs?: number;
  /** Milliseconds that the miner that embeds answers for a comparison has to do so. Default 10000. */
  verdictTimeoutMs?: number;
}

/** The HTTP listener. */
export interface ListenOptions {
  /** Whether to listen at all. Default `true`; only `serve` and `Router::listen` look at it. */
  enabled?: boolean;
  /** The address. Default 127.0.0.1: nothing but this machine reaches it. */
  host?: string;
  /** The port; 0 takes a free one. Default 5010. */
  port?: number;
  /** Tokens from the configuration, beside the keys in the store. */
  token?: TokenOptions[];
  /** Whether `default-dev-token` is accepted from programs on this machine, if the address is a loopback one. Not set: until a token is configured or the store holds a key with the scope `admin`. `true`: always. `false`: never. */
  devToken?: boolean;
  /** Callers that need no token: `off` (none) or `loopback` (programs on this machine, which may submit and read). Default `off`; `loopback` needs a loopback address. */
  anonymous?: string;
  /** Names under which programs on this machine reach the listener, beside `localhost`, `*.localhost`, `host.docker.internal`, `host.containers.internal` and IP addresses. `default-dev-token` and access without a token count under these names alone; secret keys count under any. */
  hosts?: string[];
  /** Addresses and networks (`10.0.0.0/8`) of proxies whose header `X-Forwarded-For` is believed. Trials count by the address that it names. Empty: no proxy is believed, and the address of the connection counts. */
  trustedProxies?: string[];
  /** Trials without a token. Off by default. */
  trial?: TrialOptions;
  /** Whether `/api/v1/status` needs no token. Default `false`. */
  publicStatus?: boolean;
  /** Whether `/metrics` needs no token. Default `false`. */
  publicMetrics?: boolean;
  /** Whether `/openapi.json` needs no token. Default `true`: it holds nothing but the documentation. */
  publicOpenapi?: boolean;
  /** Whether a browser that opens `/` gets the console. Default `true`. Its files need no token and hold no data: it shows what the token allows that is typed into it. */
  console?: boolean;
  /** Whether keys with the scope `admin` may add, change and remove upstreams over HTTP. Default `false`. The development token never may. */
  manageUpstreams?: boolean;
  /** Addresses and networks (`10.0.0.0/8`) that such upstreams may have although they are not public: private, loopback and link-local ones. Empty: none. */
  upstreamNetworks?: string[];
  /** Such upstreams at most. Default 100. */
  maxManagedUpstreams?: number;
  /** TLS. Off by default. */
  tls?: TlsOptions;
  /** Cross-origin requests. Off by default. */
  cors?: CorsOptions;
  /** Milliseconds within which a request's head must have arrived. Default 10000. */
  headerTimeoutMs?: number;
  /** Milliseconds within which a request's body must have arrived. Default 30000. */
  bodyTimeoutMs?: number;
  /** Bytes of a request's head. Default 32 KiB. */
  maxHeaderBytes?: number;
  /** Bytes of all heads that are being read, beyond the first 2 KiB of each. Default 16 MiB. */
  maxHeadsBytes?: number;
  /** Header lines of a request. Default 100. */
  maxHeaders?: number;
  /** Threads of the listener's own; 0: the threads of the program that it is in. Default 0; `serve` takes one for each processor. */
  threads?: number;
  /** Connections at a time; further ones wait in the system's backlog. Default 20000. */
  maxConnections?: number;
  /** Connections at a time from one peer that is not on loopback. Default 1024. */
  maxConnectionsPerPeer?: number;
  /** Connections that wait in the system to be accepted. Default 4096; the system may have a lower bound of its own. */
  backlog?: number;
  /** Bytes beyond `limits.max_request_bytes` that are read and thrown away before the answer 413. A client that is still sending would otherwise see a broken connection. Default 32 MiB. */
  maxDiscardedBytes?: number;
  /** The most sessions or tasks that one answer lists, whatever `limit` asks for. Default 1000. */
  maxPageRows?: number;
  /** Sessions of clients of the Model Context Protocol at a time. Default 1000; beyond it a new session replaces the oldest idle one of the token that has most. */
  maxMcpSessions?: number;
  /** Milliseconds without a request after which a session of the Model Context Protocol ends. Default 3600000, an hour; a client then begins another one. */
  mcpIdleMs?: number;
  /** Milliseconds between comment lines in an idle stream. Default 15000. */
  keepaliveMs?: number;
  /** Milliseconds after which a reader that takes nothing is cut off and its task cancelled. Default 60000. */
  writeTimeoutMs?: number;
  /** Whether `/readyz` is also 503 while no miner is up. Default `false`: miners that dial in through the same balancer would otherwise never arrive. */
  readyNeedsMiner?: boolean;
  /** Milliseconds that running tasks get to end when the router drains. Default 30000. */
  drainTimeoutMs?: number;
}

/** Tokens from the configuration, beside the keys in the store. */
export interface TokenOptions {
  /** A name for people and logs. */
  name?: string;
  /** The token itself. It is better kept in a variable: see `value_env`. */
  value?: string;
  /** The environment variable that holds it. */
  valueEnv?: string;
  /** The scopes: `submit`, `read`, `admin`, `miner`. Empty: `submit`, `read` and `admin`. */
  scopes?: string[];
  /** The only sessions it may use. Empty: all. */
  sessions?: number[];
  /** The only models that its tasks may use, and that miners with it may serve. Empty: all. */
  models?: string[];
  /** For a token of miners: the person or company that runs them. */
  owner?: string;
  /** Its limits. Tokens with the same name have them together. */
  quota?: QuotaOptions;
}

/** Its limits. Tokens with the same name have them together. */
export interface QuotaOptions {
  /** Requests in one minute, on any route, also those that only read. */
  requestsPerMinute?: number;
  /** Tasks that are submitted in one minute. */
  tasksPerMinute?: number;
  /** Tokens of prompts and answers in one minute. */
  tokensPerMinute?: number;
  /** Tokens of prompts and answers on one day in UTC. */
  tokensPerDay?: number;
  /** Tokens of prompts and answers in one month in UTC. */
  tokensPerMonth?: number;
  /** Tasks that have not ended. */
  concurrentTasks?: number;
  /** Answers that are being streamed. */
  concurrentStreams?: number;
}

/** Trials without a token. Off by default. */
export interface TrialOptions {
  /** Whether there are trials. Default `false`: the routes answer 404. */
  enabled?: boolean;
  /** The session of all trials; the requests cannot name another one. Default 0. */
  session?: number;
  /** Requests of one address in `window_secs`. IPv6 addresses count together by their first 64 bits. Default 10. */
  requests?: number;
  /** IPv6 networks of 64 bits that count apart within one network of 48 bits, which one person may hold. Further ones count together. Default 16. */
  maxSubnets?: number;
  /** Seconds after which an address has all its requests again. Default 3600. */
  windowSecs?: number;
  /** Addresses that are remembered at a time; further ones are refused until an older one is forgotten. Default 10000. */
  maxAddresses?: number;
  /** The most tokens of an answer. Default 512. A trial gets one answer, and no members of the request pass that could make it longer. */
  maxTokens?: number;
  /** Requests of all trials together in one minute; 0: no bound. */
  allRequestsPerMinute?: number;
  /** Tasks of all trials together that have not ended; 0: no bound. */
  allConcurrentTasks?: number;
  /** Tokens of prompts and answers of all trials together on one day in UTC; 0: no bound. */
  allTokensPerDay?: number;
}

/** TLS. Off by default. */
export interface TlsOptions {
  /** A file with the certificate chain (PEM), the server's own first. */
  cert?: string;
  /** A file with its private key (PEM). */
  key?: string;
  /** A file with certificates (PEM) of which one must have signed the certificate that each miner shows. Clients need none. */
  clientCa?: string;
}

/** Cross-origin requests. Off by default. */
export interface CorsOptions {
  /** Origins that are allowed (`https://app.example`), or `*` for any. Empty: none. */
  origins?: string[];
}

/** The details of requests that the log shows. */
export interface LogOptions {
  /** The lines that the command logs: `info`, `debug`, or by module (`warn,cortensor_router=debug`). Nobody set it: `warn`. The flag `--log` and `CORTENSOR_LOG` win over it. An embedded router has `runtime.log_level`. */
  filter?: string;
  /** Whether the line of a request shows its prompt and its answer. Default `false`: the log never has the text of a prompt or of an answer. */
  prompts?: boolean;
  /** Bytes of a prompt, and of an answer, that such a line shows at most. Default 1024. */
  promptBytes?: number;
  /** Lines of the log that the router keeps in memory for `GET /api/v1/logs` and the console, each of them up to 2 KiB; 0: none. They are the lines from `info` on, whatever level is written elsewhere, but for those about single requests. Default 1000, at most 100000. */
  recentLines?: number;
}

/** The export of spans by OTLP over HTTP; only a command with the feature `otel` has it. */
export interface OtelOptions {
  /** The base URL of the collector: `http://127.0.0.1:4318`. `/v1/traces` is added. */
  endpoint?: string;
  /** The whole URL for spans, which is used as it is and wins over `endpoint`. */
  tracesEndpoint?: string;
  /** Headers of every export, with commas between: `name=value,name=value`. A value may be percent-encoded. */
  headers?: string;
  /** A file of certificates (PEM): the authorities to believe for the collector's TLS, instead of the public ones. */
  caFile?: string;
  /** The name of this router among the services that are traced. Default `cortensor-router`. */
  serviceName?: string;
  /** The share of the traces that the router begins itself that are exported, 0 to 1. Default 1. For a request with a `traceparent` its sampled flag decides. */
  sampleRatio?: number;
  /** Milliseconds that one export may take, and the last one when the router ends. Default 10000. */
  timeoutMs?: number;
  /** Milliseconds after which spans are exported, although they fill no batch. Default 5000. */
  intervalMs?: number;
  /** Spans that wait for their export at most; further ones are dropped and counted. Default 2048. */
  maxQueuedSpans?: number;
  /** Spans of one export at most. Default 512. */
  maxBatchSpans?: number;
}

/** Threads of an embedded router. */
export interface RuntimeOptions {
  /** Threads that do the router's own work. Default 0: one for each processor, at most 4. */
  workerThreads?: number;
  /** Callbacks of the host program that may run at a time, each on a thread of its own. Default 256. */
  callbackThreads?: number;
  /** The least level that the host's log sink gets: `off`, `error`, `warn`, `info`, `debug` or `trace`. Default `info`. */
  logLevel?: 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** Log records that may wait for a slow sink; further ones are counted and dropped. Default 1024. */
  logQueue?: number;
  /** The path of the command `cortensor-router`, which watches over the servers of `upstream.command` for a router inside another program. `serve` needs none: it is that command. */
  supervisor?: string;
}

/** Miners that dial in. */
export interface MinersOptions {
  /** Whether miners may dial in. Default `true`; each needs a token or an enrolled key in any case. */
  enabled?: boolean;
  /** A port for miners alone, at `listen.host`, beside the listener's; 0: none. Default 0. */
  port?: number;
  /** Whether miners of other machines may dial in without TLS. Default `false`: tokens and prompts would pass in the clear. */
  insecure?: boolean;
  /** Milliseconds within which a miner must have said who it is. Default 5000. */
  helloTimeoutMs?: number;
  /** A ping is sent after this long without another frame to send. Default 10000. */
  pingMs?: number;
  /** A miner that is silent for this long is gone, and its tasks go to others. Default 30000. */
  deadMs?: number;
  /** A miner whose connection broke may come back within this and go on with its tasks. Default 10000. */
  graceMs?: number;
  /** A miner that does not answer the cancellation of a task within this no longer counts as busy with it. Default 30000. */
  cancelTimeoutMs?: number;
  /** The longest time that a miner may hold a piece of an answer back to send it with others. Default 20. */
  flushMs?: number;
  /** Bytes of an answer that may be under way without an acknowledgement. Default 256 KiB. */
  windowBytes?: number;
  /** Bytes of one frame of a miner. Default 1 MiB. */
  maxFrameBytes?: number;
  /** Bytes that may wait to be sent to a miner; one that does not read them is cut off. Default 4 MiB. */
  writeBufferBytes?: number;
  /** Miners at a time that have connected and not yet said who they are. Default 1024. */
  maxHandshakes?: number;
  /** Tasks that a miner may name as its own when it comes back; one that names more is refused. A miner that holds as many, because it does not answer cancellations, gets no further task. Default 16384. */
  maxResumed?: number;
}

/** Links between routers that share a database. */
export interface FleetOptions {
  /** Whether this router has links. Without them it sees of the others what stands in the database. Default `true`. */
  links?: boolean;
  /** The IP address at which the links of other routers come in. Default: the address from which this router reaches the database. */
  host?: string;
  /** The port for links; 0: any free one. Default 0. */
  port?: number;
  /** The address under which the other routers reach this port, if they see another one: `HOST:PORT`. */
  address?: string;
  /** Links that a router has at most. Default 128. */
  maxLinks?: number;
  /** Bytes that wait to be sent over one link, before it is cut. Default 4 MiB. */
  maxLinkBytes?: number;
  /** Tasks of this router that another one reads at the same time; further ones it reads from the database. Default 4096. */
  maxLinkReaders?: number;
  /** Whether other routers may use free slots of this router's miners. With `false` its miners serve its own tasks alone, and it may still use those of the others. Default `true`. */
  lend?: boolean;
  /** Milliseconds within which another router must begin to use a slot that was lent to it, beside the time after which a silent link is cut, 50 to 60000. Default 250. */
  lendMs?: number;
  /** Milliseconds of silence after which a link is cut, 3000 to 600000. Default 6000. */
  linkTimeoutMs?: number;
}

/** Prices of models, from which the usage gets its cost. */
export interface PricesOptions {
  /** The currency of all prices, as the usage names it. Default `USD`. */
  currency?: string;
  /** The models that have a price. */
  model?: ModelPriceOptions[];
}

/** The models that have a price. */
export interface ModelPriceOptions {
  /** The model's name, as the usage by model shows it. */
  name: string;
  /** The price of a million tokens of prompts, from 0 to 1000000000 with at most nine decimals. */
  input: number;
  /** The price of a million generated tokens. */
  output: number;
  /** The price of a million tokens of prompts that the model's server had in its cache. Default: that of `input`. */
  cachedInput?: number;
}

/** Webhooks: the end of a task is sent to the URL that its request names. */
export interface WebhooksOptions {
  /** Whether requests may name a webhook. Default `true`. */
  enabled?: boolean;
  /** The secret that signs messages for webhooks without a secret of their own: `whsec_` and 24 to 64 bytes in base64. It is better kept in a variable: see `secret_env`. */
  secret?: string;
  /** The environment variable that holds the secret. */
  secretEnv?: string;
  /** Addresses and networks (`10.0.0.0/8`) that webhooks may have although they are not public: private, loopback and link-local ones. Only they may be reached without TLS. Empty: none. */
  networks?: string[];
  /** Deliveries that are not done, at most; beyond it requests with a webhook are refused with 429 `webhooks_full`. Default 10000. */
  maxPending?: number;
  /** Deliveries that are sent at a time. Default 16. */
  maxConcurrency?: number;
  /** Deliveries that are sent to one host at a time. Default 4. */
  maxPerHost?: number;
  /** Tries of a delivery. Default 12. */
  maxTries?: number;
  /** Seconds after the end of a task within which its delivery is tried. Default 259200, three days. */
  maxAgeSecs?: number;
  /** Milliseconds to the second try, before chance is added. The wait is four times as long each time. Default 5000. */
  retryBaseMs?: number;
  /** The longest wait in milliseconds. Default 43200000, twelve hours. */
  retryMaxMs?: number;
  /** Milliseconds that one try may take. Default 15000. */
  timeoutMs?: number;
  /** Bytes of a message; a longer one goes without the texts of the task. Default 256 KiB. */
  maxBodyBytes?: number;
}

/** Cortensor's routes for agents: delegate, validate and factcheck. */
export interface AgentsOptions {
  /** Miners that a validation asks if the request names no policy. Default 3. */
  validators?: number;
  /** The most tokens of an opinion if the request does not say. Default 512. */
  opinionTokens?: number;
  /** The prompt by which miners are asked for their opinion about a claim. It has `{claim}` in it, and `{context}` where the facts beside the claim go. Empty: the prompt of docs/reference/agents.md. */
  validatePrompt?: string;
  /** The prompt of a check of facts, with the same places. Empty: the prompt of docs/reference/agents.md. */
  factcheckPrompt?: string;
  /** The session of one replica of a delegation. Empty: the caller's own. */
  delegateSessions1?: number[];
  /** The sessions of three replicas of a delegation. Empty: three miners of the caller's own session answer. */
  delegateSessions3?: number[];
  /** The sessions of five replicas of a delegation. Empty: five miners of the caller's own session answer. */
  delegateSessions5?: number[];
  /** The session of one replica of a validation. Empty: the caller's own. */
  validateSessions1?: number[];
  /** The sessions of three replicas of a validation. Empty: three miners of the caller's own session answer. */
  validateSessions3?: number[];
  /** The sessions of five replicas of a validation. Empty: five miners of the caller's own session answer. */
  validateSessions5?: number[];
}

/** Names of models that stand for several models, which are tried in their order. */
export interface ModelListOptions {
  /** The name that clients ask for. The models have it in their list. */
  name: string;
  /** The models that answer, in this order. Each is a name, or a table with it. */
  targets: (string | ModelTargetOptions)[];
}

/** The models that answer, in this order. Each is a name, or a table with it. */
export interface ModelTargetOptions {
  /** The model's name. */
  model: string;
  /** Its share of the tasks that it gets first, among the weights of its list. Default 0. If no model of a list has a weight, the first one gets all. */
  weight?: number;
  /** The reasons for which tasks come to it from the model before: `no_miner`, `overload`, `context_too_long`, `error`. Default: all of them. */
  when?: string[];
}

/** Model servers that the router calls. */
export interface UpstreamOptions {
  /** The base URL with the version: `http://127.0.0.1:8080/v1`. `/v1` is added if the URL has no path. Left out with `command`. */
  url: string;
  /** The API that it speaks: `openai` (chats, completions and embeddings), `anthropic` (the Messages API alone), or `responses` (OpenAI's Responses API alone). The last two serve chats, which the router translates. Default `openai`. */
  api?: string;
  /** Other APIs that a server with the `openai` API has, too (llama.cpp, vLLM, Ollama): `anthropic`, `responses`. It serves callers of these APIs in their own words. */
  also?: string[];
  /** The name; the URL's host and port if it is empty, and with `command` the first of `models` or the program. */
  name?: string;
  /** The models to offer. Empty: the models that the server's `/models` lists. */
  models?: string[];
  /** Names under which clients ask for its models, each with the upstream's own name. */
  aliases?: Record<string, string>;
  /** Tasks at a time. Default 32. Shrinks by itself on 429 and 503, and grows back. */
  maxConcurrency?: number;
  /** Its share among equals, 1 to 100. Default 1. */
  weight?: number;
  /** The key that the server wants. It is better kept in a variable: see `api_key_env`. */
  apiKey?: string;
  /** The environment variable that holds the key. */
  apiKeyEnv?: string;
  /** A file of certificates (PEM): the authorities to believe for its TLS, instead of the public ones. */
  caFile?: string;
  /** The person or company that runs it. */
  owner?: string;
  /** Milliseconds to connect, and for the answer to a probe. Default 5000. */
  connectTimeoutMs?: number;
  /** Milliseconds between two probes. Default 10000. A server that is down is asked sooner: after 250 milliseconds, then after twice as long each time. */
  probeIntervalMs?: number;
  /** Failed probes in a row that take it out, and good ones that bring it back. Default 2. A new server is in after its first good probe. */
  probeThreshold?: number;
  /** Milliseconds that a connection to it may lie idle before it is closed. Default 60000. */
  idleTimeoutMs?: number;
  /** Bytes of its list of models that are read. Default 8 MiB. */
  maxModelsBytes?: number;
  /** Further pages of its list of models that are read; 0: only the first page. Default 32. */
  maxModelPages?: number;
  /** Bytes of an answer with an error status that are read and passed on. Default 64 KiB. */
  maxErrorBytes?: number;
  /** Header lines of an answer that are read. Default 256. */
  maxAnswerHeaders?: number;
  /** Bytes of the head of an answer that are read, with those of the heads before it that only announce it (status 1xx), and of the lines within and after a body in chunks. Default 400 KiB. */
  maxAnswerHeadBytes?: number;
  /** Whether streams carry `stream_options` with `include_usage`, which tells the router how many tokens they had: `on`, `off`, or `auto`, which leaves it out after the upstream has refused it. Default `auto`. */
  streamUsage?: string;
  /** The most tokens to generate for a request that gives no limit, at a server with the `anthropic` API, whose requests need one. Default 4096. */
  defaultMaxTokens?: number;
  /** Whether the server makes embeddings. Default `true`; only a server with the `openai` API does. */
  embeddings?: boolean;
  /** Whether the server continues a last message of the assistant (vLLM, llama.cpp) and so can finish an answer that another miner began. Default `false`. */
  continues?: boolean;
  /** Whether it is a dedicated miner (sessions of mode 1 and 2) rather than an ephemeral one. Default `false`. */
  dedicated?: boolean;
  /** The command that starts the server: a program and its arguments, without a shell. The router starts, watches and stops it. `{port}` stands for a free port, which the router chooses at each start; the server must listen there on 127.0.0.1. On Unix alone; a program that embeds the router needs `runtime.supervisor`. */
  command?: string[];
  /** Further environment variables of the command, in which `{port}` stands for the port, too. The command gets all variables of the router but those whose names begin with `CORTENSOR_`. */
  env?: Record<string, string>;
  /** The group of the server: only one server of a group runs at a time, because their models do not fit the machine together. Needs `command` and `models`. */
  group?: string;
  /** Milliseconds without a task after which the router stops the server of `command`. The next task for its models starts it again. Needs `models`. Default 0: it is not stopped for that. */
  idleStopMs?: number;
  /** Milliseconds for which a server of a group at least stays after it got ready, although tasks wait for another of its group. While it has tasks, it also stays for as long as its start took. Default 5000. */
  minStayMs?: number;
  /** The path that says whether the server of `command` is ready: with a status from 200 to 299 it is. A server without the path (404) is ready once it lists its models. Default `/health`. */
  healthPath?: string;
  /** Milliseconds for which the server of `command` may take to get ready; then it is stopped, and its start has failed. Default 300000. */
  startTimeoutMs?: number;
  /** Milliseconds from SIGTERM to SIGKILL when the server of `command` is stopped. Default 5000. */
  stopTimeoutMs?: number;
  /** Milliseconds until the server of `command` is started again after it ended by itself or failed to start. Each further failure doubles them, up to a minute. Default 1000. */
  restartBackoffMs?: number;
  /** Bytes of a line of the command's output that the log shows. Default 4096. */
  maxOutputLineBytes?: number;
}
