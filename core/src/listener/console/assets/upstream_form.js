/** The form of a new upstream. The router checks it, and each of its refusals stands at the field that it names. */

import { ApiError, call } from './api.js';
import { dialog, failed, field, refuse, select } from './dialog.js';
import { fill, h } from './dom.js';

const APIS = /** @type {[string, string][]} */ ([
  ['openai', 'OpenAI’s'],
  ['anthropic', 'Anthropic’s Messages'],
  ['responses', 'OpenAI’s Responses'],
]);

/**
 * Shows the form until an upstream is added or the user leaves it.
 * @returns {Promise<boolean>} Whether one was added.
 */
export async function addUpstream() {
  let added = false;
  await dialog('Add an upstream', (close) => {
    const plain = { autocomplete: 'off', spellcheck: 'false' };
    const number = { inputmode: 'numeric', placeholder: 'default', ...plain };
    /** The fields, by the names that the API gives them. */
    const inputs = {
      name: h('input', { required: true, maxlength: 256, ...plain }),
      url: h('input', { required: true, inputmode: 'url', placeholder: 'https://gpu-2.example/v1', ...plain }),
      models: h('input', { placeholder: 'those that it lists', ...plain }),
      api: select(APIS, 'openai'),
      max_concurrency: h('input', number),
      weight: h('input', number),
      api_key: h('input', { type: 'password', autocomplete: 'off' }),
    };
    const trouble = h('div', { class: 'maybe' });
    const submit = h('button', { class: 'primary' }, 'Add it');
    const form = h(
      'form',
      { onsubmit: send },
      field('Name', inputs.name, 'One of its own. Lists and logs show it.'),
      field('Address', inputs.url, 'With the version of its API, as in /v1.'),
      field('Models', inputs.models, 'Names, with commas between them.'),
      h(
        'div',
        { class: 'filters' },
        field('API', inputs.api),
        field('Tasks at a time', inputs.max_concurrency),
        field('Weight', inputs.weight),
      ),
      field('Key of the server', inputs.api_key, 'If it wants one. The router keeps it and never shows it.'),
      trouble,
      h('div', { class: 'row' }, submit, h('button', { type: 'button', onclick: close }, 'Leave')),
    );

    function read() {
      const models = inputs.models.value
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean);
      return {
        name: inputs.name.value.trim(),
        url: inputs.url.value.trim(),
        ...(models.length > 0 && { models }),
        ...(inputs.api.value !== 'openai' && { api: inputs.api.value }),
        ...(inputs.max_concurrency.value.trim() && { max_concurrency: numberOr(inputs.max_concurrency.value) }),
        ...(inputs.weight.value.trim() && { weight: numberOr(inputs.weight.value) }),
        ...(inputs.api_key.value && { api_key: inputs.api_key.value }),
      };
    }

    /** @param {Event} event */
    async function send(event) {
      event.preventDefault();
      submit.disabled = true;
      fill(trouble);
      for (const input of Object.values(inputs)) refuse(input, '');
      try {
        await call('api/v1/upstreams', { method: 'POST', body: read() });
        added = true;
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
  return added;
}

/**
 * The number that a text says, or the text itself, of which the router says why it is none.
 * @param {string} text
 */
function numberOr(text) {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}
