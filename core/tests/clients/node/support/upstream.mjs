// An OpenAI-compatible server under the tests' control: `slow` streams until the caller hangs up, `hold` never answers,
// `status N` refuses, `tools` calls a tool, an object is answered with itself, and anything else with `You said: ` and
// the prompt.

import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

export const MODEL = "mock-1";
/** The routes with one answer each: its type and its bytes. */
export const SMALL = {
  "/v1/audio/transcriptions": ["application/json", '{"text":"Hello there."}'],
  "/v1/audio/speech": ["audio/mpeg", Buffer.from(Array.from({ length: 256 }, (_, index) => index))],
  "/v1/images/generations": ["application/json", '{"created":1,"data":[{"b64_json":"iVBORw0KGgo="}]}'],
  "/v1/moderations": ["application/json", '{"id":"modr-1","model":"mock-1","results":[{"flagged":true}]}'],
};

export async function startUpstream() {
  const received = [];
  const hangUps = [];
  let noticed = () => {};
  const hungUp = () => {
    hangUps.push(performance.now());
    noticed();
  };
  const server = createServer(async (request, response) => {
    if (request.method === "GET")
      return json(response, 200, { object: "list", data: [{ id: MODEL, object: "model" }] });
    const raw = Buffer.concat(await request.toArray());
    const isForm = request.headers["content-type"]?.startsWith("multipart/");
    const body = isForm ? {} : JSON.parse(raw.toString());
    received.push({ path: request.url, body, raw });
    if (request.url in SMALL) {
      const [kind, bytes] = SMALL[request.url];
      response.writeHead(200, { "Content-Type": kind });
      return response.end(bytes);
    }
    if (request.url === "/v1/embeddings") return json(response, 200, embeddings(body));
    const chat = request.url === "/v1/chat/completions";
    const prompt = chat ? body.messages.at(-1).content : String(body.prompt);
    if (prompt.startsWith("status ")) {
      const error = { message: "refused on purpose", type: "invalid_request_error", code: "odd", param: null };
      return json(response, Number(prompt.slice(7)), { error });
    }
    response.on("close", () => response.writableEnded || hungUp());
    if (prompt === "hold") return;
    const pieces = (prompt.startsWith("{") ? prompt : `You said: ${prompt}`).split(/(?= )/);
    const usage = { prompt_tokens: 2, completion_tokens: pieces.length, total_tokens: 2 + pieces.length };
    const calls = chat && prompt === "tools" ? [call] : undefined;
    if (!body.stream) return json(response, 200, answer(chat, pieces.join(""), usage, calls));
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const event = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
    if (chat)
      event({ ...chunk(chat, "", null), choices: [{ index: 0, finish_reason: null, delta: { role: "assistant" } }] });
    if (calls) {
      event(chunk(chat, "", null, { tool_calls: calls.map((one, index) => ({ index, ...one })) }));
      event(chunk(chat, "", "tool_calls"));
    } else if (prompt === "slow") {
      for (let index = 0; !response.destroyed && index < 3000; index++) {
        event(chunk(chat, `t${index} `, null));
        await pause(20);
      }
    } else {
      for (const piece of pieces) event(chunk(chat, piece, null));
      event(chunk(chat, "", "stop"));
      if (body.stream_options?.include_usage) event({ ...chunk(chat, "", null), choices: [], usage });
    }
    response.end("data: [DONE]\n\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    received,
    url: `http://127.0.0.1:${server.address().port}/v1`,
    forget() {
      received.length = 0;
      hangUps.length = 0;
    },
    /** Waits until a caller hangs up; gives the moment. The test's own time limit bounds the wait. */
    async hungUp() {
      if (hangUps.length === 0) {
        await new Promise((resolve) => {
          noticed = resolve;
        });
      }
      return hangUps.shift();
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function json(response, status, value) {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(value));
}

function embeddings(body) {
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  const data = inputs.map((_, index) => ({ object: "embedding", index, embedding: [0.5, -0.25] }));
  return { object: "list", model: MODEL, data, usage: { prompt_tokens: inputs.length, total_tokens: inputs.length } };
}

const call = { id: "call_1", type: "function", function: { name: "add", arguments: '{"a":1}' } };

function answer(chat, text, usage, calls) {
  const message = { role: "assistant", content: calls ? null : text, ...(calls && { tool_calls: calls }) };
  const said = chat ? { message } : { text };
  const choice = { index: 0, finish_reason: calls ? "tool_calls" : "stop", logprobs: null, ...said };
  const object = chat ? "chat.completion" : "text_completion";
  return { id: "upstream-1", object, created: 1700000000, model: MODEL, choices: [choice], usage };
}

function chunk(chat, piece, finish, delta = piece ? { content: piece } : {}) {
  const said = chat ? { delta } : { text: piece };
  const object = chat ? "chat.completion.chunk" : "text_completion";
  const choices = [{ index: 0, finish_reason: finish, ...said }];
  return { id: "upstream-1", object, created: 1700000000, model: MODEL, choices };
}
