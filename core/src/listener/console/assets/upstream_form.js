/** The form of an upstream. The router checks it, and each of its refusals stands at the field that it names. */

import { ApiError, call } from './api.js';
import { dialog, failed, field, refuse, select } from './dialog.js';
import { fill, h } from './dom.js';
import { visible } from './text.js';

const APIS = /** @type {[string, string][]} */ ([
  ['openai', 'OpenAI’s'],
  ['anthropic', 'Anthropic’s Messages'],
  ['responses', 'OpenAI’s Responses'],
]);
/** The words at the fields of a new upstream. */
const NEW = {
  name: 'One of its own. Lists and logs show it.',
  url: 'With the version of its API, as in /v1.',
  api_key: 'If it wants one. The router keeps it and never shows it.',
};
/** Those of an upstream that is there. The API shows neither its key nor the query of its address. */
const KNOWN = {
  name: 'It stays: add another upstream to use another name.',
  url: 'Without the query, if it has one: that stays while you leave the address as it is.',
  api_key: 'Empty: the key that it has stays.',
};

/** @typedef {import('./upstream_card.js').Upstream} Upstream */

/**
 * Shows the form of a new upstream until it is added or the user leaves it.
 * @returns {Promise<boolean>} Whether one was added.
 */
export function addUpstream() {
  return show(null);
}

/**
 * Shows the form of a managed upstream until it is changed or the user leaves it.
 * @param {Upstream} upstream
 * @returns {Promise<boolean>} Whether it was changed.
 */
export function editUpstream(upstream) {
  return show(upstream);
}

/** @param {Upstream | null} before */
async function show(before) {
  let done = false;
  await dialog(before ? `Change ${visible(before.name)}` : 'Add an upstream', (close) => {
    const plain = { autocomplete: 'off', spellcheck: 'false' };
    const number = { inputmode: 'numeric', placeholder: 'default', ...plain };
    /** The fields, by the names that the API gives them. */
    const inputs = {
      name: h('input', { required: true, maxlength: 256, readonly: before !== null, ...plain }),
      url: h('input', { required: true, inputmode: 'url', placeholder: 'https://gpu-2.example/v1', ...plain }),
      models: h('input', { placeholder: 'those that it lists', ...plain }),
      api: select(APIS, before?.api ?? 'openai'),
      max_concurrency: h('input', number),
      weight: h('input', number),
      api_key: h('input', { type: 'password', autocomplete: 'off' }),
    };
    const drop = h('input', { type: 'checkbox' });
    if (before) {
      inputs.name.value = before.name;
      inputs.url.value = before.url ?? '';
      inputs.models.value = before.models.join(', ');
      inputs.max_concurrency.value = String(before.max_concurrency);
      inputs.weight.value = String(before.weight ?? '');
    }
    const hints = before ? { ...KNOWN, ...(!before.has_api_key && { api_key: NEW.api_key }) } : NEW;
    const trouble = h('div', { class: 'maybe' });
    const submit = h('button', { class: 'primary' }, before ? 'Change it' : 'Add it');
    const form = h(
      'form',
      { onsubmit: send },
      field('Name', inputs.name, hints.name),
      field('Address', inputs.url, hints.url),
      field('Models', inputs.models, 'Names, with commas between them. Empty: those that it lists.'),
      h(
        'div',
        { class: 'filters' },
        field('API', inputs.api),
        field('Tasks at a time', inputs.max_concurrency),
        field('Weight', inputs.weight),
      ),
      field('Key of the server', inputs.api_key, hints.api_key),
      before?.has_api_key && h('label', { class: 'row' }, drop, h('span', {}, 'Forget the key that it has')),
      trouble,
      h('div', { class: 'row' }, submit, h('button', { type: 'button', onclick: close }, 'Leave')),
    );

    /** The values of the fields; of an upstream that is there, only those that differ. */
    function read() {
      const text = {
        url: inputs.url.value.trim(),
        api: inputs.api.value,
        max_concurrency: inputs.max_concurrency.value.trim(),
        weight: inputs.weight.value.trim(),
      };
      const models = names(inputs.models.value);
      /** @type {Record<string, unknown>} */
      const fields = before ? {} : { name: inputs.name.value.trim() };
      for (const [name, value] of Object.entries(text)) {
        const old = before?.[/** @type {keyof typeof text} */ (name)];
        if (before ? value === String(old ?? '') : value === '') continue;
        const counts = name === 'max_concurrency' || name === 'weight';
        fields[name] = value === '' ? null : counts ? numberOr(value) : value;
      }
      if (before ? inputs.models.value !== before.models.join(', ') : models.length > 0)
        fields.models = models.length > 0 ? models : null;
      if (inputs.api_key.value) fields.api_key = inputs.api_key.value;
      else if (drop.checked) fields.api_key = null;
      return fields;
    }

    /** @param {Event} event */
    async function send(event) {
      event.preventDefault();
      submit.disabled = true;
      fill(trouble);
      for (const input of Object.values(inputs)) refuse(input, '');
      try {
        const path = before ? `api/v1/upstreams/${encodeURIComponent(before.name)}` : 'api/v1/upstreams';
        await call(path, { method: before ? 'PATCH' : 'POST', body: read() });
        done = true;
        close();
      } catch (error) {
        const at = error instanceof ApiError ? error.param.split(/[.[]/)[0] : '';
        if (at in inputs) refuse(inputs[/** @type {keyof typeof inputs} */ (at)], /** @type {Error} */ (error).message);
        else fill(trouble, failed(error));
        submit.disabled = false;
      }
    }
    return [form];
  });
  return done;
}

/**
 * The names in a list with commas.
 * @param {string} text
 */
function names(text) {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

/**
 * The number that a text says, or the text itself, of which the router says why it is none.
 * @param {string} text
 */
function numberOr(text) {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}
