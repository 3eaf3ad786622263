/** One task: request, answers, miners, times; its tokens as they come; its end. */

import { call, events } from './api.js';
import { ask, failed } from './dialog.js';
import { fill, h, say } from './dom.js';
import { watch } from './live.js';
import { taskState } from './tasks.js';
import { duration, exact, foreign, moment, plural, state, visible } from './text.js';
import { webhook } from './webhook.js';

/** @typedef {import('records').TaskRecord} Task */

/** The events between two looks at a message that is on its way. */
const LOOK = 3;

/**
 * A place for a long text of a stranger, which can be scrolled by keys too.
 * @param {string} label
 * @param {string} [text]
 */
function passage(label, text = '') {
  const properties = { class: 'text', dir: 'auto', tabindex: '0', role: 'group', 'aria-label': label };
  return h('pre', properties, visible(text));
}

/**
 * @param {HTMLElement} root
 * @param {import('./start.js').Context} context
 * @param {string} session
 * @param {string} id
 */
export function openTask(root, { caller, signal, title }, session, id) {
  const path = `api/v1/tasks/${encodeURIComponent(session)}/${encodeURIComponent(id)}`;
  const [head, facts, answers, trouble] = [
    h('div', { class: 'row' }),
    h('dl', { class: 'facts' }),
    h('div', { class: 'stack' }),
    h('div', { class: 'maybe' }),
  ];
  const prompt = passage('Request');
  const delivery = webhook();
  let underway = false;
  let beats = 0;
  title(`Task ${session} / ${id}`);
  root.append(
    h(
      'div',
      { class: 'stack' },
      h('div', { class: 'row apart' }, head, h('a', { href: `#/tasks/${session}` }, `All tasks of session ${session}`)),
      trouble,
      h(
        'div',
        { class: 'halves' },
        h(
          'section',
          { class: 'card', 'aria-labelledby': 'task-facts' },
          h('h2', { id: 'task-facts' }, 'Course'),
          facts,
        ),
        h(
          'section',
          { class: 'card', 'aria-labelledby': 'task-prompt' },
          h('h2', { id: 'task-prompt' }, 'Request'),
          prompt,
        ),
      ),
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'task-answer' },
        h('h2', { id: 'task-answer' }, 'Answer'),
        answers,
      ),
      delivery.element,
    ),
  );
  /** @type {Map<string, string>} */
  const names = new Map();

  async function begin() {
    try {
      const page = await call('api/v1/miners', { signal });
      for (const miner of page.miners) names.set(miner.address, miner.id);
      const task = await look();
      if (!task.ended) await follow();
    } catch (error) {
      if (!signal.aborted) fill(trouble, failed(error));
    }
  }

  async function look() {
    const task = /** @type {Task} */ (await call(path, { signal }));
    fill(
      head,
      taskState(task),
      !task.ended &&
        caller.may('submit') &&
        h('button', { type: 'button', class: 'danger', onclick: cancel }, 'Cancel the task'),
    );
    say(prompt, visible(task.prompt));
    course(task);
    hook(task);
    if (task.ended) end(task);
    return task;
  }

  /** Shows the tokens as they come, and the task as it is after them. */
  async function follow() {
    const text = passage('Answer so far');
    text.setAttribute('aria-busy', 'true');
    fill(
      answers,
      h(
        'div',
        { class: 'row' },
        state('live', 'live'),
        h('span', { class: 'small soft' }, 'Tokens appear as the miner sends them.'),
      ),
      text,
    );
    let so_far = '';
    let pieces = 0;
    for await (const event of events(`${path}/stream`, { signal })) {
      if (event.data === '[DONE]') break;
      const said = JSON.parse(event.data);
      if (said.error) break;
      if (said.restart) so_far = '';
      const piece = said.choices?.[0]?.finish_reason ? '' : (said.choices?.[0]?.text ?? '');
      if (piece === '') continue;
      so_far += piece;
      pieces += 1;
      text.append(visible(piece));
      if (said.restart) say(text, visible(so_far));
      // The first token says who works on the task.
      if (pieces === 1) await look();
      text.scrollTop = text.scrollHeight;
    }
    await look();
  }

  async function cancel() {
    await ask(
      `Cancel task ${session} / ${id}?`,
      'Its miner is told to stop, and the task ends without an answer.',
      'Cancel the task',
      async () => {
        await call(path, { method: 'DELETE' });
      },
    );
    if (!signal.aborted) await look().catch(() => {});
  }

  /** @param {Task} task */
  function hook(task) {
    const told = /** @type {import('./webhook.js').Delivery | null | undefined} */ (task.webhook);
    delivery.show(told);
    underway = task.ended && told?.state === 'pending';
  }

  /** Looks after a message that is on its way: the task itself changes no more. */
  async function lookAfter() {
    beats += 1;
    if (!underway || beats % LOOK !== 0) return;
    await call(path, { signal })
      .then(hook)
      .catch(() => {});
  }

  /** @param {Task} task */
  function course(task) {
    const name = (/** @type {string} */ address) => foreign(names.get(address) ?? address);
    const at = (/** @type {number} */ secs) => (secs ? moment(secs) : 'not yet');
    const rows = /** @type {[string, string | Node | null][]} */ ([
      ['Model', foreign(task.model ?? 'any')],
      [
        'Miners',
        task.assigned_miners.length > 0
          ? h(
              'ol',
              {},
              task.assigned_miners.map((address, nth) => h('li', {}, `${nth + 1}. `, name(address))),
            )
          : 'none yet',
      ],
      ['Attempts', exact(task.attempts)],
      ['Submitted', at(task.created_at)],
      [
        'Begun',
        typeof task.queue_position !== 'number'
          ? at(task.started_at)
          : `waits, ${plural(task.queue_position, 'task')} before it`,
      ],
      ['Ended', at(task.finished_at)],
      ['Took', task.ended && task.started_at ? duration(task.execution_time * 1_000) : ''],
      [
        'Tokens',
        task.usage ? `${exact(task.usage.prompt_tokens)} read, ${exact(task.usage.completion_tokens)} written` : '',
      ],
      ['Finish reason', foreign(task.finish_reason ?? '')],
      [
        'Verdict',
        task.verdict
          ? `${task.verdict.verdict}, ${Math.round(task.verdict.score * 100)} % by ${task.verdict.method}`
          : '',
      ],
      ['Key', foreign(task.key_id ?? '')],
      ['Reference', foreign(task.client_reference ?? '')],
    ]);
    const told = rows.filter(([, value]) => (value instanceof Node ? value.textContent : value));
    fill(
      facts,
      told.flatMap(([label, value]) => [h('dt', {}, label), h('dd', {}, value)]),
    );
  }

  /** @param {Task} task */
  function end(task) {
    const texts = task.results.data ?? [];
    fill(
      answers,
      task.failure && h('p', { class: 'note', 'data-tone': 'bad' }, foreign(task.failure)),
      texts.map((text, nth) =>
        h(
          'div',
          {},
          texts.length > 1 &&
            h('h3', {}, foreign(names.get(task.results.miners?.[nth] ?? '') ?? task.results.miners?.[nth] ?? '')),
          passage(texts.length > 1 ? `Answer ${nth + 1}` : 'Answer', text),
        ),
      ),
      texts.length === 0 && !task.failure && h('p', { class: 'soft' }, 'The task has no answer.'),
    );
  }

  begin();
  return watch(lookAfter);
}
