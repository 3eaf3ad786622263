'use strict';

/** Makes node-llama-cpp's chats and options of OpenAI's requests. */

/** A failure of a job, with one of the words that say whose fault it is. */
const failure = (word, message) => Object.assign(new Error(message), { code: word });

const refused = (message) => failure('invalid', message);

/** The text of a message's content, which is a text or a list of parts. */
function text(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw refused('the content of a message must be a text or a list of parts');
  return content.map(part).join('');
}

function part(one) {
  if (one?.type === 'text' && typeof one.text === 'string') return one.text;
  throw refused(`the model reads texts alone, and a part of a message is ${JSON.stringify(one?.type)}`);
}

/** The history of a chat. Results of tools stand with the calls that they answer. */
function history(messages) {
  const out = [];
  const calls = new Map();
  for (const message of messages) {
    switch (message.role) {
      case 'system':
      case 'developer':
        out.push({ type: 'system', text: text(message.content) });
        break;
      case 'assistant': {
        const response = message.content ? [text(message.content)] : [];
        for (const call of message.tool_calls ?? []) {
          const made = { type: 'functionCall', name: call.function.name, params: parsed(call.function.arguments), result: '' };
          calls.set(call.id, made);
          response.push(made);
        }
        out.push({ type: 'model', response });
        break;
      }
      case 'tool': {
        const call = calls.get(message.tool_call_id);
        if (!call) throw refused(`no call of a tool has the id ${JSON.stringify(message.tool_call_id)}`);
        call.result = text(message.content);
        break;
      }
      case 'user':
        out.push({ type: 'user', text: text(message.content) });
        break;
      default:
        throw refused(`a message has the role ${JSON.stringify(message.role)}`);
    }
  }
  return out;
}

function parsed(given) {
  if (typeof given !== 'string') return given;
  try {
    return JSON.parse(given || '{}');
  } catch {
    throw refused('the arguments of a call are no JSON');
  }
}

/** The functions that the model may call; none if there are none, or it must not. */
function functions(request) {
  if (!request.tools?.length || request.tool_choice === 'none') return undefined;
  const known = {};
  for (const { function: one } of request.tools) known[one.name] = { description: one.description, params: one.parameters };
  return known;
}

/** The options of a generation. */
function limits(request) {
  const { frequency_penalty: frequencyPenalty, presence_penalty: presencePenalty, repetition_penalty: penalty } = request;
  const punishes = [frequencyPenalty, presencePenalty, penalty].some((value) => value !== undefined && value !== null);
  const stop = typeof request.stop === 'string' ? [request.stop] : request.stop;
  const all = {
    maxTokens: request.max_completion_tokens ?? request.max_tokens,
    temperature: request.temperature,
    topP: request.top_p,
    topK: request.top_k,
    minP: request.min_p,
    seed: request.seed,
    customStopTriggers: stop?.length ? stop : undefined,
    repeatPenalty: punishes ? { penalty: penalty ?? 1, frequencyPenalty, presencePenalty } : false,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null));
}

/** The texts, or the lists of tokens, whose vectors are wanted. */
function texts(job) {
  const { input } = job.request;
  if (input === undefined || input === null) return [job.prompt];
  if (!Array.isArray(input)) return [input];
  return typeof input[0] === 'number' ? [input] : input;
}

module.exports = { failure, functions, history, limits, texts };
