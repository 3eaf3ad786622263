import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/** Waits until something holds that another thread brings about, at most 10 seconds. */
export async function until(holds, what = 'it') {
  const deadline = performance.now() + 10_000;
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
