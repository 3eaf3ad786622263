// Measures the cost of a call and a token in JavaScript beside Rust in the same run, and how much 200 streams delay the event loop.
//
//   cargo xtask bench node            or: node bench/overhead.mjs [--reference JSON] [--json FILE] [--quick]

import { writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { Router, version } from '../index.mjs';

const { values: options } = parseArgs({
  options: { reference: { type: 'string' }, json: { type: 'string' }, quick: { type: 'boolean', default: false } },
});

/** The most microseconds that each figure may take. */
const GATES = { call_c1_us: 90, call_c32_us: 30, token_us: 0.6 };

const CALLS = options.quick ? 4_000 : 20_000;
const TOGETHER = 32;
const TOKENS = 200_000;
const STREAMS = 200;
const PACE_MS = 20;
const STREAMS_FOR_MS = options.quick ? 2_000 : 10_000;

const router = new Router({ runtime: { logLevel: 'off' } });
router.miner('tiny', { models: ['tiny'], capacity: 256 }, () => 'x');
router.miner('flood', { models: ['flood'] }, function* () {
  for (let token = 0; token < TOKENS; token++) yield 'tok ';
});
router.miner('paced', { models: ['paced'], capacity: STREAMS }, async function* (_, { signal }) {
  for (;;) {
    yield 'tok ';
    await pause(PACE_MS, undefined, { signal });
  }
});

async function calls(count) {
  for (let n = 0; n < count; n++) await router.complete('hello', { model: 'tiny' });
}

/** Submits and waits in two steps, as programs do that may read tokens. */
async function tasks(count) {
  for (let n = 0; n < count; n++) await (await router.submit('hello', { model: 'tiny' })).result();
}

/** Turns of the event loop that have nothing to do. */
async function turns(count) {
  for (let n = 0; n < count; n++) await new Promise(setImmediate);
}

async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const together = (work) => Promise.all(Array.from({ length: TOGETHER }, () => work(Math.floor(CALLS / TOGETHER))));
const micros = (elapsed, count) => (elapsed * 1e3) / count;

async function flood() {
  let count = 0;
  for await (const _token of await router.submit('go', { model: 'flood' })) count += 1;
  if (count !== TOKENS) throw new Error(`${count} tokens instead of ${TOKENS}`);
}

async function delay() {
  const meter = monitorEventLoopDelay({ resolution: 1 });
  let read = 0;
  const controller = new AbortController();
  const submitted = Array.from({ length: STREAMS }, () => router.submit('go', { model: 'paced', signal: controller.signal }));
  const readers = (await Promise.all(submitted)).map(async (one) => {
    try {
      for await (const _token of one) read += 1;
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    }
  });
  meter.enable();
  await pause(STREAMS_FOR_MS);
  meter.disable();
  controller.abort();
  await Promise.all(readers);
  const ms = (nanoseconds) => nanoseconds / 1e6;
  // The meter counts its own resolution in.
  return {
    streams: STREAMS,
    tokens_per_second: (read * 1e3) / STREAMS_FOR_MS,
    delay_p50_ms: ms(meter.percentile(50)) - 1,
    delay_p99_ms: ms(meter.percentile(99)) - 1,
    delay_max_ms: ms(meter.max) - 1,
  };
}

await calls(CALLS / 10);
const node = {
  turn_us: micros(await timed(() => turns(CALLS)), CALLS),
  call_c1_us: micros(await timed(() => calls(CALLS)), CALLS),
  call_c32_us: micros(await timed(() => together(calls)), CALLS),
  task_c1_us: micros(await timed(() => tasks(CALLS)), CALLS),
  task_c32_us: micros(await timed(() => together(tasks)), CALLS),
  token_us: micros(await timed(flood), TOKENS),
};
const loop = await delay();
await router.close();

const rust = options.reference && JSON.parse(options.reference);
const rounded = (figures) => Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value.toFixed(3))]));
const machine = { cpus: availableParallelism(), load: loadavg()[0], node: process.version, version };
const results = { machine, rust, node: rounded(node), event_loop: rounded(loop) };
console.log(JSON.stringify(results, undefined, 2));
if (rust) {
  for (const name of Object.keys(rust)) {
    console.log(`${name}: ${rust[name]} in Rust, ${node[name].toFixed(2)} in JavaScript, ${(node[name] - rust[name]).toFixed(2)} more`);
  }
}
for (const [name, most] of Object.entries(GATES)) {
  console.log(`gate: ${name} ${node[name].toFixed(2)} <= ${most}: ${node[name] <= most ? 'met' : 'MISSED'}`);
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
