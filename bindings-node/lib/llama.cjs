'use strict';

const { existsSync } = require('node:fs');
const { basename, extname } = require('node:path');

const { invalid } = require('./error.cjs');
const { Shelf } = require('./shelf.cjs');
const { failure, functions, history, limits, texts } = require('./chat.cjs');

/** The options of `llama`. */
const OPTIONS = new Set(['model', 'capacity', 'context', 'threads', 'embeddings', 'getLlama', 'loadModel', 'createContext']);
/** The reasons for the end of an answer, by node-llama-cpp's words. */
const FINISHES = { maxTokens: 'length', functionCalls: 'tool_calls' };

/**
 * Loads a model in a GGUF file, which llama.cpp runs in this process, and makes a miner of it. The package node-llama-cpp does the work;
 * it is a peer of this one, and is loaded only here.
 */
async function llama(path, options = {}) {
  const given = checked(options);
  if (typeof path !== 'string' || !existsSync(path)) throw invalid('path', `there is no model file ${path}`);
  const library = await imported();
  const host = await library.getLlama(given.getLlama);
  const model = await host.loadModel({ ...given.loadModel, modelPath: path });
  const { capacity = 1, context: contextSize = 4096, threads } = given;
  const common = { ...(threads === undefined ? {} : { threads }), ...given.createContext };
  const made = given.embeddings
    ? await embedding(model, { contextSize, ...common })
    : await answering(library, host, model, { contextSize, sequences: capacity, ...common });
  const work = made.work;
  Object.defineProperties(work, {
    model: { value: given.model ?? basename(path, extname(path)), enumerable: true },
    options: {
      get: () => ({ models: [work.model], capacity, ...(given.embeddings ? { embeddings: true } : {}) }),
      enumerable: true,
    },
    close: {
      value: async () => {
        await made.context.dispose();
        await model.dispose();
      },
    },
  });
  return work;
}

/** The options, by their names in camelCase; one that is not known is refused. */
function checked(options) {
  const given = {};
  for (const [name, value] of Object.entries(options)) {
    const known = name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
    if (!OPTIONS.has(known)) throw invalid(name, `llama has no option ${name}: there are ${[...OPTIONS].join(', ')}`);
    given[known] = value;
  }
  return given;
}

async function imported() {
  try {
    return await import('node-llama-cpp');
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error('llama() needs the package node-llama-cpp: npm install node-llama-cpp', { cause: error });
  }
}

/** A miner of prompts and chats. */
async function answering(library, host, model, options) {
  const context = await model.createContext(options);
  // A sequence is the memory of one conversation; what it has read of a prompt's beginning is not read again.
  const shelf = new Shelf(Array.from({ length: options.sequences }, () => context.getSequence()));
  const work = async function* llama(job, { signal }) {
    const sequence = await shelf.take();
    try {
      return yield* answer(library, host, model, sequence, job, signal);
    } finally {
      shelf.put(sequence);
    }
  };
  return { context, work };
}

async function* answer(library, host, model, sequence, job, signal) {
  const { request } = job;
  const controller = new AbortController();
  const stop = () => controller.abort();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const before = sequence.tokenMeter.getState();
  const pieces = new Pieces();
  const options = {
    ...limits(request),
    grammar: await grammar(host, request),
    signal: controller.signal,
    stopOnAbortSignal: true,
  };
  const run = request.prompt_type === 1 ? completed : chatted;
  const { prompt, done } = run(library, model, sequence, job, options, pieces);
  if (prompt >= sequence.contextSize) {
    throw failure('context', `the prompt has ${prompt} tokens, and the context has room for ${sequence.contextSize}`);
  }
  const over = done().finally(() => pieces.end());
  // A failure is thrown below, when the pieces before it were given.
  over.catch(() => {});
  try {
    for await (const piece of pieces) yield piece;
    const { metadata, functionCalls } = await over;
    const used = sequence.tokenMeter.diff(before);
    return {
      finishReason: FINISHES[metadata.stopReason] ?? 'stop',
      usage: { promptTokens: prompt, completionTokens: used.usedOutputTokens },
      ...(functionCalls?.length ? { toolCalls: functionCalls.map(called) } : {}),
    };
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
    // The sequence must be at rest before the next job takes it.
    await over.catch(() => {});
  }
}

/** The answer to a chat, by the model's own template. */
function chatted(library, model, sequence, job, options, pieces) {
  const chat = new library.LlamaChat({ contextSequence: sequence });
  const messages = job.request.messages?.length ? job.request.messages : [{ role: 'user', content: job.prompt }];
  const said = history(messages);
  const known = options.grammar ? undefined : functions(job.request);
  const state = chat.chatWrapper.generateContextState({ chatHistory: [...said, { type: 'model', response: [] }], availableFunctions: known });
  const onResponseChunk = (chunk) => pieces.give(chunk.segmentType === 'thought' ? { reasoning: chunk.text } : chunk.text);
  const done = async () => {
    try {
      return await chat.generateResponse(said, { ...options, functions: known, onResponseChunk });
    } finally {
      chat.dispose({ disposeSequence: false });
    }
  };
  return { prompt: state.contextText.tokenize(model.tokenizer).length, done };
}

/** The continuation of a raw text. */
function completed(library, model, sequence, job, options, pieces) {
  const completion = new library.LlamaCompletion({ contextSequence: sequence, autoDisposeSequence: false });
  const tokens = model.tokenize(job.prompt);
  const done = async () => {
    try {
      return await completion.generateCompletionWithMeta(tokens, { ...options, onTextChunk: (text) => pieces.give(text) });
    } finally {
      completion.dispose({ disposeSequence: false });
    }
  };
  return { prompt: tokens.length, done };
}

/** The grammar of an answer that must be JSON. */
async function grammar(host, request) {
  const format = request.response_format;
  if (format?.type === 'json_schema') return host.createGrammarForJsonSchema(format.json_schema?.schema ?? {});
  return format?.type === 'json_object' ? host.getGrammarFor('json') : undefined;
}

const called = ({ functionName, params }) => ({ type: 'function', function: { name: functionName, arguments: JSON.stringify(params ?? {}) } });

/** A miner of vectors. */
async function embedding(model, options) {
  const context = await model.createEmbeddingContext(options);
  const work = async function llama(job, { signal }) {
    const vectors = [];
    let promptTokens = 0;
    for (const text of texts(job)) {
      signal.throwIfAborted();
      promptTokens += context.calculateInputLength(text);
      const { vector } = await context.getEmbeddingFor(text);
      vectors.push(unit(vector));
    }
    return { embedding: vectors, usage: { promptTokens } };
  };
  return { context, work };
}

/** A vector of the length one, as other servers give them. */
function unit(vector) {
  const length = Math.hypot(...vector) || 1;
  return vector.map((number) => number / length);
}

/** Pieces that come when they like, for a reader that waits. */
class Pieces {
  #kept = [];
  #isOver = false;
  #wake = () => {};

  give(piece) {
    if (piece === '' || piece.reasoning === '') return;
    this.#kept.push(piece);
    this.#wake();
  }

  end() {
    this.#isOver = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      yield* this.#kept.splice(0);
      if (this.#kept.length > 0) continue;
      if (this.#isOver) return;
      await new Promise((wake) => (this.#wake = wake));
    }
  }
}

module.exports = { llama };
