/**
 * A router for AI inference inside this process.
 *
 * Options are written in camelCase; programs in JavaScript may use the snake_case names of the REST API as well. Records come back as the
 * REST API has them, with its snake_case names. Ids are whole numbers, times are milliseconds where a name ends in `Ms`.
 */

/// <reference types="node" />

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';

import type { ListenOptions, RouterConfig, UpstreamOptions } from './config.js';
import type {
  Answer,
  ApiKey,
  CompletionRecord,
  EmbeddingsRecord,
  ErrorDetails,
  ErrorKind,
  FailCode,
  JobInfo,
  JobRequest,
  KeyOptions,
  MinerClientSettings,
  MinerClientStats,
  MinerInfo,
  MinerOptions,
  ModelInfo,
  NewKey,
  NodeInfo,
  NodeStatus,
  PageQuery,
  PieceParts,
  RequestOptions,
  SessionChanges,
  SessionOptions,
  SessionRecord,
  TaskPage,
  TaskQuery,
  TaskRecord,
  UsageQuery,
  UsageReport,
} from './records.js';

export type * from './config.js';
export type * from './records.js';

/** The version of the product, the same in every language. */
export const version: string;

/** Everything that the router refuses or fails at. */
export class RouterError extends Error {
  constructor(details: ErrorDetails, options?: ErrorOptions);
  readonly name: 'RouterError';
  /** The kind of error, one of sixteen words that are the same in every language. */
  readonly kind: ErrorKind;
  /** The finest code of the error: one below the kind (`no_miner`), or the kind's if there is none. */
  readonly code: string;
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean;
  readonly details: Readonly<ErrorDetails>;
}

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** A line of the log. */
export interface LogRecord {
  time: Date;
  level: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** The module that wrote the line. */
  target: string;
  message: string;
}

export interface RouterOptions {
  /** Gets the router's log lines, from the level `runtime.logLevel` on. */
  log?: (record: LogRecord) => void;
}

/** The time limits of waits. */
export interface TimeoutOptions {
  timeoutMs?: number;
}

export interface SubmitOptions extends RequestOptions {
  /** Aborting it cancels the task, before, while and after it is submitted, until it has ended. */
  signal?: AbortSignal | undefined;
}

/** The input: exactly one of the three. */
export interface TaskRequest extends RequestOptions {
  prompt?: string;
  messages?: ({ role: string } & Record<string, unknown>)[];
  input?: string | string[];
}

/** A call of a tool, as in OpenAI's API. */
export interface ToolCall {
  id: string;
  type: string;
  function: {
    name: string;
    /** JSON text. */
    arguments: string;
  };
}

/** An answer as a message. */
export interface Message {
  role: 'assistant';
  content: string;
  reasoning_content?: string;
  tool_calls?: ToolCall[];
}

/** Vectors of texts, as `POST /v1/embeddings` has them. */
export interface Embeddings extends EmbeddingsRecord {
  /** The numbers alone, in the order of the texts. */
  readonly vectors: number[][];
}

/** How a task ended. */
export interface Completion extends CompletionRecord {
  /** The text of the first choice. */
  readonly text: string;
  /** The tools that the first choice calls. */
  readonly toolCalls: ToolCall[];
  /** The model's reasoning before its answer, if it is known. */
  readonly reasoning: string;
}

/** An event of `Task.events`. */
export type TaskEvent =
  /** A piece of the text. Its number is one more than that of the event before it; the first is 1, and 2**32 more at each later start of the store. */
  | { type: 'token'; seq: number; text: string }
  /** All earlier pieces are void: another miner or a later start begins anew, or `after` is not a number of this text. */
  | { type: 'restart'; seq: number }
  | { type: 'end'; completion: Completion; error?: undefined }
  | { type: 'end'; error: RouterError; completion?: undefined };

/**
 * A submitted task. It runs until it ends, whether it is read or not.
 *
 * Iterating gives its tokens; leaving the loop early cancels it, unless it is detached.
 */
export class Task implements AsyncIterable<string> {
  private constructor();
  readonly sessionId: number;
  /** The task's number in its session. */
  readonly taskId: number;
  /** The task's number among all sessions. */
  readonly gid: number;
  /** Whether an idempotency key led to a task that existed already. */
  readonly joined: boolean;
  /** Waits for the end. Rejects with a `RouterError`, or with the signal's reason. */
  result(): Promise<Completion>;
  /** The present record. */
  record(): Promise<TaskRecord>;
  /** Cancels the task, even if other callers wait for it. */
  cancel(): void;
  /** Detaches the task: from now on, leaving it does not cancel it. */
  detach(): void;
  /** Releases the task. This cancels it if no other caller waits for it and it is not detached. */
  release(): void;
  /** The task's events after number `after`. Leaving early cancels nothing. */
  events(options?: { after?: number }): AsyncIterable<TaskEvent>;
  [Symbol.asyncIterator](): AsyncIterableIterator<string>;
  /** The task's text as UTF-8, fit for a `Response`; cancelling the stream cancels the task. */
  toReadableStream(): ReadableStream<Uint8Array>;
  /** The task's text as UTF-8; destroying the stream cancels the task. */
  toReadable(): Readable;
}

/** An open account for work. Disposing of it closes it. */
export class Session implements AsyncDisposable {
  private constructor();
  readonly id: number;
  readonly name: string;
  /** The record as it was when it was last read. */
  readonly record: SessionRecord;
  /** Submits a task; resolves when it is as durable as `storage.durability` says. */
  submit(input: string | TaskRequest, options?: SubmitOptions): Promise<Task>;
  /** Submits a task and waits for its completion, in one step; the cheapest way if tokens are not read. */
  complete(input: string | TaskRequest, options?: SubmitOptions): Promise<Completion>;
  /** Vectors of a text, or of several, in their order. */
  embed(input: string | string[], options?: SubmitOptions): Promise<Embeddings>;
  tasks(query?: TaskQuery): Promise<TaskPage>;
  task(taskId: number): Promise<TaskRecord>;
  attach(taskId: number): Promise<Task>;
  update(patch: SessionChanges): Promise<SessionRecord>;
  close(): Promise<SessionRecord>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The numbers of an embedding. */
export type Vector = number[] | Float32Array | Float64Array;

/** A piece of an answer: text, or UTF-8 that may end in the middle of a character, or a part that is not text. */
export type Piece = string | Uint8Array | PieceParts;

/** One attempt at a task, in a miner's hands. */
export class Job {
  private constructor();
  /** The whole text that the model is to read. */
  readonly prompt: string;
  /** The model to use, if the caller named one. */
  readonly model: string | null;
  /** The caller's request. */
  readonly request: JobRequest;
  readonly gid: number;
  readonly sessionId: number;
  readonly taskId: number;
  /** Whether a client reads tokens as they come. */
  readonly stream: boolean;
  /** The time after which the answer is not wanted. */
  readonly deadline: Date;
  /** The text that another miner gave before it was lost, if the answer must go on behind it. Only miners that said that they can continue get such work. */
  readonly partial: string | undefined;
  /** The W3C trace context under which the miner's own work belongs, if the caller sent one. */
  readonly traceparent: string | undefined;
  /** The W3C `tracestate` that belongs to `traceparent`. */
  readonly tracestate: string | undefined;
  /** The router's record of the job. */
  readonly info: JobInfo;
  /** Aborted once the work is no longer wanted. */
  readonly signal: AbortSignal;
  /** Whether the work is no longer wanted, or was answered. */
  readonly cancelled: boolean;
  readonly answered: boolean;
  /** Gives a piece; resolves when the reader can take the next one. `false`: stop working. A value that is not a piece fails the task. Never rejects. */
  emit(piece: Piece): Promise<boolean>;
  /** Ends the work with success, as returning from the miner does. */
  finish(answer?: Answer | string): void;
  /** Ends the work with a failure, as throwing in the miner does: the `code` of a thrown error is its code, and any other error counts as `internal`. */
  fail(code: FailCode, message?: string): void;
  /** Gives the job back: another miner is tried, and this one is not blamed. */
  reject(reason?: string): void;
  /** Releases the job without an answer, which counts as a failure. */
  drop(): void;
}

/** The result of a miner's function: pieces, or an answer, or a promise of one. */
export type Work =
  | AsyncIterable<Piece>
  | Iterable<Piece>
  | Promise<Answer | string | void>
  | Answer
  | string
  | void;

/** The function that does the work: an async generator, an async function, a generator or a function. */
export type MinerFunction = (job: Job, context: { readonly signal: AbortSignal }) => Work;

/** A miner of this program. */
export class Miner {
  private constructor();
  readonly name: string;
  /** Stops new tasks for the miner, which finishes those that it has. */
  drain(): void;
  /** Sets how many tasks the miner takes at a time from now on. */
  setCapacity(tasks: number): void;
  /** Ends the miner. Its tasks go to other miners. */
  remove(): void;
}

/** The options of `runMiner`; docs/configuration.md has the rest. */
export interface MinerClientOptions extends MinerClientSettings {
  /** The addresses of the routers: `wss://router.example`. One is connected at a time. */
  router: string | string[];
  /** The threads of the miner. */
  runtime?: RouterConfig['runtime'];
  /** Gets the miner's log lines, from the level `runtime.logLevel` on. */
  log?: (record: LogRecord) => void;
}

/** A miner of this program that works for a distant router. It keeps the process alive until it is closed, unless `unref()` is called. */
export class MinerClient implements AsyncDisposable {
  private constructor();
  /** The miner's counts, and its connection: `connected`, `router`, `last_error`, `in_flight`, `finished` ... */
  stats(): MinerClientStats;
  /** Sets how many tasks the miner takes at a time from now on, at most its first capacity. */
  setCapacity(tasks: number): void;
  /** Takes no new tasks and finishes those that it has. `true`: all were finished in time, and the router has their answers. */
  drain(options?: TimeoutOptions): Promise<boolean>;
  /** Ends the miner's connection and cancels its work. */
  close(options?: TimeoutOptions): Promise<void>;
  ref(): this;
  unref(): this;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Connects to a router and works for it. Reconnects if the connection breaks, and loses no finished answer. */
export function runMiner(options: MinerClientOptions, work: MinerFunction): MinerClient;

/** Options of `llama`. */
export interface LlamaOptions {
  /** The name under which callers ask for the model. Default: that of the file. */
  model?: string;
  /** How many tasks run at a time. Default 1. */
  capacity?: number;
  /** The tokens of each task's context. Default 4096. */
  context?: number;
  /** The threads that compute. Default: node-llama-cpp's choice. */
  threads?: number;
  /** The miner makes embeddings, and answers no prompts. */
  embeddings?: boolean;
  /** Further options of node-llama-cpp's `getLlama`: `{ gpu: false, build: 'never' }`. */
  getLlama?: object;
  /** Further options of its `loadModel`. */
  loadModel?: object;
  /** Further options of its `createContext`, or of `createEmbeddingContext`. */
  createContext?: object;
}

/** A miner around a model in this process. */
export interface LlamaMiner extends MinerFunction {
  /** The name of the model. */
  readonly model: string;
  /** The options for `router.miner`. */
  readonly options: MinerOptions;
  /** Frees the model. The miner must be removed, or its router closed, before. */
  close(): Promise<void>;
}

/**
 * Loads a model in a GGUF file, which llama.cpp runs in this process, and makes a miner of it. It streams, stops when the answer is no
 * longer wanted, applies the model's own chat template, counts tokens, and passes the caller's options on. It needs the package
 * node-llama-cpp (3.22 or newer), an optional peer of this one.
 *
 * @example
 * const qwen = await llama('qwen3-4b.gguf', { capacity: 4 });
 * router.miner('qwen', qwen.options, qwen);
 */
export function llama(path: string, options?: LlamaOptions): Promise<LlamaMiner>;

/** An HTTP listener. It keeps the process alive until it has ended, unless `unref()` is called. Disposing of it stops it. */
export class Listener implements AsyncDisposable {
  private constructor();
  /** `127.0.0.1:5010` */
  readonly address: string;
  readonly port: number;
  /** `http://127.0.0.1:5010` */
  readonly url: string;
  /** Every open surface and how it is protected, a line each. */
  readonly posture: string[];
  /** Resolves when the listener has ended, for any reason. */
  readonly ended: Promise<void>;
  /** Takes no new connections and waits until running requests have ended. */
  stop(): Promise<void>;
  ref(): this;
  unref(): this;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The mount point of the API: the beginning that is removed from each path. */
export interface MountOptions {
  basePath?: string;
}

export interface FetchOptions extends MountOptions {
  /** The client's IP address. The development token is for loopback alone; without an address the client counts as remote. */
  peer?: string;
}

/**
 * A function for Node's `http`, Express, Connect and the like. With a `next` it answers the API's own paths and leaves all
 * others; without one it answers every request.
 */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void;

/** Answers requests as the listener would: the same routes, tokens and limits. */
export class Handler {
  private constructor();
  fetch(request: Request | string | URL, options?: FetchOptions): Promise<Response>;
  middleware(options?: MountOptions): Middleware;
}

/**
 * A router inside this process. The router does not keep the process alive; pending promises and a listener do.
 *
 * Close it when it is not needed any more: an open router is not collected as garbage. Disposing of it closes it.
 */
export class Router implements AsyncDisposable {
  /** Opens a router; blocks while its store is opened. Throws a `RouterError` that names the setting at fault. */
  constructor(config?: RouterConfig, options?: RouterOptions);
  /** Opens a router without blocking. */
  static open(config?: RouterConfig, options?: RouterOptions): Promise<Router>;

  /** The configuration with every default, with its snake_case names and without secrets. */
  config(): Readonly<Record<string, unknown>>;
  /** The router's name, version and features: the record of `GET /api/v1/info`. */
  info(): NodeInfo;
  /** The router's state: the record of `GET /api/v1/status`. */
  status(): NodeStatus;
  /** All metrics in Prometheus' text format. */
  metrics(): string;
  miners(): { count: number; miners: MinerInfo[] };
  models(): { count: number; models: ModelInfo[] };

  /** The usage, by day, key, model, session or miner: the record of `GET /api/v1/usage`. */
  usage(query?: UsageQuery): Promise<UsageReport>;

  /** Makes an API key for listeners. Its token cannot be read again later. */
  createKey(options: KeyOptions): Promise<NewKey>;
  /** The API keys, without their tokens. */
  keys(): Promise<{ count: number; keys: ApiKey[] }>;
  /** Revokes an API key: listeners refuse it from now on and end its open requests. */
  deleteKey(keyId: string): Promise<void>;

  createSession(options: SessionOptions): Promise<Session>;
  /** An existing session. Throws `not_found`. */
  session(sessionId: number): Session;
  sessions(query?: PageQuery): { count: number; sessions: SessionRecord[] };
  updateSession(sessionId: number, patch: SessionChanges): Promise<SessionRecord>;
  closeSession(sessionId: number): Promise<SessionRecord>;

  /** Submits a task to session `sessionId`, 0 by default. */
  submit(input: string | TaskRequest, options?: SubmitOptions & { sessionId?: number }): Promise<Task>;
  /** Submits a task and waits for its completion, in one step; the cheapest way if tokens are not read. */
  complete(input: string | TaskRequest, options?: SubmitOptions & { sessionId?: number }): Promise<Completion>;
  /** Vectors of a text, or of several, in their order. */
  embed(input: string | string[], options?: SubmitOptions & { sessionId?: number }): Promise<Embeddings>;
  /** Joins a task, running or ended. */
  attach(sessionId: number, taskId: number): Promise<Task>;
  task(sessionId: number, taskId: number): Promise<TaskRecord>;
  tasks(sessionId: number, query?: TaskQuery): Promise<TaskPage>;
  /** Cancels a task. Gives its record once the end is durable. */
  cancel(sessionId: number, taskId: number): Promise<TaskRecord>;

  /** Adds a miner of this program. */
  miner(name: string, work: MinerFunction): Miner;
  miner(name: string, options: MinerOptions, work: MinerFunction): Miner;
  /** Adds an OpenAI-compatible server: its URL, or its settings. */
  addUpstream(upstream: string | UpstreamOptions): void;
  /** Removes a miner of any kind. */
  removeMiner(name: string): void;

  /** Starts the HTTP listener; absent settings are the router's own. */
  listen(options?: ListenOptions): Promise<Listener>;
  /** The REST API for a server of this program, with settings other than the router's. */
  handler(options?: ListenOptions): Handler;
  /** Answers a `Request` as the listener would. */
  fetch(request: Request | string | URL, options?: FetchOptions): Promise<Response>;
  /** The REST API for Node's `http`, Express and the like. */
  middleware(options?: MountOptions): Middleware;

  /** Takes no new tasks and waits until the present ones have ended. `true`: all ended in time. */
  drain(options?: TimeoutOptions): Promise<boolean>;
  /** Ends the router. Rejects with `timeout` if something had not ended in time; a second call waits on. */
  close(options?: TimeoutOptions): Promise<void>;
  /** Pending promises keep the process alive: the default. */
  ref(): this;
  /** Pending promises no longer keep the process alive; listeners still do. */
  unref(): this;
  [Symbol.asyncDispose](): Promise<void>;
}
