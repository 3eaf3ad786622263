// Compiled with `tsc --strict` and never run: the types accept what is right and refuse what is wrong.

import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Completion, ErrorKind, Job, LogRecord, Middleware, TaskEvent } from 'cortensor-router';
import api, { Router, RouterError, llama, runMiner, version } from 'cortensor-router';
import express from 'express';

const same: typeof Router = api.Router;
const text: string = version;

const router: Router = await Router.open(
  { limits: { maxQueuedTasks: 5 }, upstream: [{ url: 'http://127.0.0.1:8080/v1', aliases: { a: 'b' } }] },
  { log: ({ level, message, time }: LogRecord) => console.log(level, message, time.getTime()) },
);

router.miner('a', (job) => job.prompt);
router.miner('b', { models: ['tiny'], capacity: 4 }, async function* (job: Job, { signal }) {
  signal.throwIfAborted();
  yield job.prompt;
  yield new Uint8Array();
  return { usage: { promptTokens: 1, completionTokens: 2 }, finishReason: 'stop' };
});
router.miner('c', async (job) => {
  if (!(await job.emit('x'))) return;
  job.finish({ text: '' });
});
router.miner('d', function* () {
  yield 'x';
}).setCapacity(3);

router.miner('tools', async function* () {
  yield { reasoning: 'hm' };
  yield { toolCalls: [{ function: { name: 'f', arguments: { a: 1 } } }] };
  return { toolCalls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }], embedding: new Float32Array(3) };
});
await router.complete('x', { maxTokens: 5, tools: [], extra: { grammar: 'g' } });
const vectors: number[][] = (await router.embed(['a', 'b'], { model: 'e', timeout: 5 })).vectors;

const session = await router.createSession({ name: 'chat', model: 'tiny', priority: 5 });
const task = await session.submit('Hello', { maxTokens: 5, signal: AbortSignal.timeout(5), temperature: 0.5, tools: [] });
for await (const token of task) token.toUpperCase();
for await (const event of task.events({ after: 2 })) show(event);
const done: Completion = await task.result();
const name: string | undefined = done.toolCalls[0]?.function.name ?? done.reasoning;
const count: number = (name ?? '').length + done.usage.total_tokens + done.choices[0]!.text.length + done.text.length;
const web: ReadableStream<Uint8Array> = task.toReadableStream();
new Response(web);
task.toReadable().pipe(process.stdout);

function show(event: TaskEvent): string {
  switch (event.type) {
    case 'token':
      return event.text;
    case 'restart':
      return String(event.seq);
    case 'end':
      return event.completion ? event.completion.text : event.error.message;
  }
}

try {
  router.session(9);
} catch (error) {
  if (error instanceof RouterError) {
    const kind: ErrorKind = error.kind;
    const code: string = error.code;
    const param: string | null | undefined = error.details.param;
    console.log(kind, code, param, error.retryable);
  }
}

const middleware: Middleware = router.middleware({ basePath: '/ai' });
express().use(middleware).use('/ai', router.handler({ token: [{ value: 'x', scopes: ['read'] }] }).middleware());
const plain: (request: IncomingMessage, response: ServerResponse) => void = middleware;
const response: Response = await router.fetch(new Request('http://x/healthz'), { peer: '127.0.0.1' });

const listener = (await router.listen({ port: 0 })).unref();
const miner = runMiner({ router: [listener.url], name: 'far', token: 'x' }, (job) => job.prompt);
const connected: boolean = miner.stats().connected;
await using closing = router;
await Promise.all([miner.close({ timeoutMs: 5 }), listener.stop(), closing.drain()]);

// @ts-expect-error a setting of the wrong type
new Router({ limits: { maxQueuedTasks: 'many' } });
// @ts-expect-error a miner is a function
router.miner('e', { capacity: 1 }, 'work');
// @ts-expect-error a miner gives text or bytes
router.miner('f', function* () { yield 7; });
// @ts-expect-error a mistyped option of a request
await router.submit('x', { maxToken: 5 });
// @ts-expect-error a mistyped option beside the right ones
await session.complete({ prompt: 'x', maxTokens: 5, temprature: 1 });
// @ts-expect-error a mistyped option of a session
await router.createSession({ name: 'x', modle: 'tiny' });
// @ts-expect-error a mistyped option of a miner
router.miner('h', { model: 'tiny' }, () => '');
// @ts-expect-error a mistyped setting
new Router({ limits: { maxQueuedTask: 5 } });
// @ts-expect-error a setting in the wrong place
new Router({ maxQueue: 5 });
// @ts-expect-error a mistyped setting of an upstream
router.addUpstream({ url: 'http://127.0.0.1:1/v1', maxConcurency: 5 });
// @ts-expect-error a mistyped setting of the listener
await router.listen({ prot: 0 });
// @ts-expect-error an upstream without its URL
router.addUpstream({ name: 'x' });
// @ts-expect-error a mistyped part of an answer
router.miner('i', () => ({ toolCall: [] }));
// @ts-expect-error no such code
router.miner('g', (job) => job.fail('odd'));
// @ts-expect-error tokens are read only
task.gid = 7;
// @ts-expect-error a prompt or a request
await router.submit(7);
// @ts-expect-error only the router makes a task
new api.Task();

// Records have the fields of the schema and no others.
const [row, record] = [(await session.tasks()).tasks[0]!, await task.record()];
const texts: string[] = row.results.concat(record.results.data);
const queue: number = router.status().queued_tasks + router.info().node_stats.total_count + (record.queue_position ?? 0);
// @ts-expect-error 1: a mistyped field of the status
router.status().queue_tasks;
// @ts-expect-error 2: a mistyped field of the router's record
router.info().total_session;
// @ts-expect-error 3: a mistyped field of a miner
router.miners().miners[0]!.inflight;
// @ts-expect-error 4: a mistyped field of a task
record.finishReason;
// @ts-expect-error 5: the answers of a list are texts
row.results.data;
// @ts-expect-error 6: a mistyped field of a session
session.record.minNumOfNodes;
// @ts-expect-error 7: a word that is no policy
await router.createSession({ name: 'x', validationPolicy: 'quorom' });
// @ts-expect-error 8: a member that cannot be changed later
await session.update({ owner: 'me' });
// @ts-expect-error 9: a mistyped field of an answer
done.choices[0]!.finishReason;
// @ts-expect-error 10: a kind that there is not
if (new RouterError({ kind: 'closed', code: 'closed', message: '' }).kind === 'no_miner') text.trim();
// @ts-expect-error a mistyped field of what a job's caller sent
router.miner('j', (job) => String(job.request.max_token));
// @ts-expect-error a mistyped field of what a miner has done
miner.stats().comitted;

const local = await llama('model.gguf', { capacity: 2, getLlama: { gpu: false } });
router.miner('local', local.options, local);
// @ts-expect-error a mistyped option of a model
await llama('model.gguf', { capcity: 2 });

export { queue, texts, connected, count, vectors, plain, response, same, text };
