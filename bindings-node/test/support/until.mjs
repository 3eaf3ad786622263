import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/** Waits until something holds that another thread or process brings about. */
export async function until(holds, what = 'it', patienceMs = 30_000) {
  const deadline = performance.now() + patienceMs;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `${what} did not come about`);
    await pause(5);
  }
}

/** Never settles. */
export const never = () => new Promise(() => {});

/** All tokens of a task. */
export async function tokens(task) {
  const all = [];
  for await (const token of task) all.push(token);
  return all;
}
