/** A conversation with any model. It lives in the memory of the page alone. */

import { call, events, told } from './api.js';
import { empty, failed, field, select } from './dialog.js';
import { fill, h, say } from './dom.js';
import { markdown } from './markdown.js';
import { duration, plural, rate, visible } from './text.js';

/**
 * @typedef {{ role: 'user' | 'assistant', text: string, thought: string, note: string, task: string, error: string }} Turn
 */

/** The conversation, which stays while the user looks at other views. @type {Turn[]} */
let turns = [];
let kept = { model: '', system: '', plain: false };

/** Forgets the conversation. */
export function forgetChat() {
  turns = [];
  kept = { model: '', system: '', plain: false };
}

/** @type {import('./start.js').View} */
export const chat = {
  name: 'chat',
  title: 'Chat',
  about: 'Ask any model. The conversation is kept in this page alone and is gone when you reload it.',
  needs: 'submit',
  open(root, { caller, signal }) {
    const model = h('select', { 'aria-label': 'Model' });
    const system = h('textarea', { rows: 2, placeholder: 'You are a careful assistant.' }, kept.system);
    const plain = h('input', { type: 'checkbox', checked: kept.plain, onchange: redraw });
    const list = h('div', { class: 'turns', role: 'log', 'aria-label': 'Conversation', 'aria-live': 'off' });
    const status = h('p', { class: 'visually-hidden', role: 'status' });
    const prompt = h('textarea', {
      rows: 3,
      required: true,
      placeholder: 'Write a message',
      'aria-label': 'Message',
      dir: 'auto',
      onkeydown: key,
    });
    const send = h('button', { class: 'primary' }, 'Send');
    const stop = h('button', { type: 'button', hidden: true, onclick: () => running?.abort() }, 'Stop');
    const clear = h('button', { type: 'button', class: 'plain', onclick: forget }, 'New conversation');
    /** @type {AbortController | null} */
    let running = null;
    signal.addEventListener('abort', () => running?.abort());
    root.append(
      h(
        'div',
        { class: 'chat' },
        list,
        h(
          'form',
          { class: 'composer', onsubmit: submit },
          prompt,
          h(
            'div',
            { class: 'row apart' },
            h(
              'div',
              { class: 'row' },
              send,
              stop,
              h('span', { class: 'small soft' }, 'Enter sends, Shift + Enter begins a new line.'),
            ),
            clear,
          ),
          h(
            'div',
            { class: 'filters' },
            field('Model', model),
            h('label', { class: 'check' }, plain, 'Show answers as plain text'),
          ),
          h(
            'details',
            { open: kept.system !== '' },
            h('summary', {}, 'System prompt'),
            field('What the model reads before the conversation', system),
          ),
        ),
        status,
      ),
    );

    async function offer() {
      try {
        const page = await call('v1/models', { signal });
        const ids = page.data.map((/** @type {{ id: string }} */ one) => one.id);
        const options = select([['', 'Any model'], ...ids.map((/** @type {string} */ id) => [id, id])], '');
        fill(model, ...options.children);
        model.value = ids.includes(kept.model) ? kept.model : '';
      } catch (error) {
        if (!signal.aborted) list.append(failed(error));
      }
    }

    function redraw() {
      kept.plain = plain.checked;
      fill(
        list,
        turns.length === 0
          ? empty(
              'Ask something',
              'The router gives your message to the best free miner and shows the answer as it comes.',
            )
          : turns.map((turn) => draw(turn).element),
      );
    }

    function forget() {
      running?.abort();
      turns = [];
      redraw();
      prompt.focus();
    }

    /** @param {KeyboardEvent} event */
    function key(event) {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      prompt.form?.requestSubmit();
    }

    /** @param {Turn} turn */
    function draw(turn) {
      const said = h('div', { class: 'said', dir: 'auto' });
      const thought = h('pre', { class: 'text', dir: 'auto', tabindex: '0' });
      const thoughts = h('details', {}, h('summary', {}, 'Reasoning'), thought);
      const [note, trouble] = [h('p', { class: 'small soft' }), h('div')];
      const element = h(
        'article',
        { class: 'turn', 'data-role': turn.role },
        h('h3', {}, turn.role === 'user' ? 'You' : 'Answer'),
        thoughts,
        said,
        trouble,
        note,
      );
      function show() {
        said.toggleAttribute('data-plain', kept.plain);
        if (turn.role === 'user' || kept.plain) say(said, visible(turn.text));
        else fill(said, markdown(turn.text));
        thoughts.hidden = turn.thought === '';
        say(thought, visible(turn.thought));
        fill(trouble, turn.error !== '' && failed(turn.error));
        fill(
          note,
          turn.note,
          turn.task !== '' &&
            caller.may('read') && [
              turn.note ? ' · ' : '',
              h('a', { href: `#/tasks/${turn.task}` }, `task ${turn.task.replace('/', ' / ')}`),
            ],
        );
      }
      show();
      return { element, show };
    }

    /** @param {Event} event */
    async function submit(event) {
      event.preventDefault();
      const text = prompt.value.trim();
      if (text === '' || running) return;
      kept = { model: model.value, system: system.value, plain: plain.checked };
      if (turns.length === 0) fill(list);
      const asked = turn('user', text);
      turns.push(asked);
      list.append(draw(asked).element);
      prompt.value = '';
      await answer();
    }

    async function answer() {
      const messages = [
        ...(kept.system.trim() === '' ? [] : [{ role: 'system', content: kept.system }]),
        // A turn without a text is one that failed, and no model takes it.
        ...turns.filter(({ text }) => text !== '').map(({ role, text }) => ({ role, content: text })),
      ];
      const given = turn('assistant', '');
      turns.push(given);
      const { element, show } = draw(given);
      list.append(element);
      element.scrollIntoView({ block: 'nearest' });
      running = new AbortController();
      [send.disabled, stop.hidden] = [true, false];
      say(status, 'The answer begins.');
      const begun = performance.now();
      const speed = { first: 0, tokens: 0, model: '' };
      let frame = 0;
      const later = () => {
        frame ||= requestAnimationFrame(() => {
          frame = 0;
          show();
          prompt.form?.scrollIntoView({ block: 'end' });
        });
      };
      try {
        const body = {
          ...(kept.model !== '' && { model: kept.model }),
          messages,
          stream: true,
          stream_options: { include_usage: true },
        };
        const begins = (/** @type {Headers} */ headers) => {
          const [session, task] = [headers.get('x-cortensor-session'), headers.get('x-cortensor-task')];
          if (session && task) given.task = `${session}/${task}`;
        };
        for await (const event of events('v1/chat/completions', {
          method: 'POST',
          body,
          signal: running.signal,
          begun: begins,
        })) {
          if (event.data === '[DONE]') break;
          const said = told(event);
          const delta = said.choices?.[0]?.delta;
          speed.model = said.model ?? speed.model;
          speed.tokens = said.usage?.completion_tokens ?? speed.tokens;
          given.thought += delta?.reasoning_content ?? delta?.reasoning ?? '';
          if (delta?.content) {
            speed.first ||= performance.now();
            given.text += delta.content;
          }
          later();
        }
        say(status, 'The answer is complete.');
      } catch (error) {
        if (running.signal.aborted) given.note = 'stopped';
        else given.error = error instanceof Error ? error.message : String(error);
        say(status, running.signal.aborted ? 'The answer was stopped.' : 'The answer failed.');
      }
      cancelAnimationFrame(frame);
      given.note = [given.note, ...figures(speed, begun)].filter(Boolean).join(' · ');
      show();
      running = null;
      [send.disabled, stop.hidden] = [false, true];
      if (!signal.aborted) prompt.focus();
    }

    redraw();
    offer();
    prompt.focus({ preventScroll: true });
  },
};

/**
 * @param {Turn['role']} role
 * @param {string} text
 * @returns {Turn}
 */
function turn(role, text) {
  return { role, text, thought: '', note: '', task: '', error: '' };
}

/**
 * The model and the speed of an answer, in words.
 * @param {{ first: number, tokens: number, model: string }} speed
 * @param {number} begun
 */
function figures({ first, tokens, model }, begun) {
  const secs = (performance.now() - (first || begun)) / 1_000;
  return [
    visible(model),
    first > 0 && `first token after ${duration(first - begun)}`,
    tokens > 0 && plural(tokens, 'token'),
    tokens > 1 && first > 0 && secs > 0.05 && `${rate((tokens - 1) / secs)} tokens/s`,
  ];
}
