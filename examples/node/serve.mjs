// A router that serves the REST and OpenAI APIs until Ctrl-C, with its tasks on disk and a model behind it.
//
//   node serve.mjs [URL of an OpenAI-compatible server]
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Router } from 'cortensor-router';

const upstream = process.argv[2];
const router = await Router.open({
  echo: !upstream,
  storage: { dataDir: process.env.DATA_DIR ?? join(tmpdir(), `cortensor-router-example-${process.pid}`) },
});
if (upstream) router.addUpstream(upstream);

const listener = await router.listen({ port: Number(process.env.PORT ?? 5010) });
console.log(listener.url);
for (const line of listener.posture) console.log(`  ${line}`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await router.drain({ timeoutMs: 30_000 });
    await router.close();
  });
}
