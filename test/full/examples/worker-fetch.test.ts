import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startWrangler, type RunningWorker } from '../../examples/start-wrangler.js';
import { startOrigin } from '../../support/http-origin.js';
import { scriptOrigin } from '../../support/scripted-origin.js';

let base: Awaited<ReturnType<typeof startOrigin>>;
let worker: RunningWorker;
beforeAll(async () => {
  base = await startOrigin();
  worker = await startWrangler('worker-fetch', { API: base.url });
});
afterAll(async () => {
  await worker?.stop();
  await base.close();
});

describe('the Worker in front of an API', () => {
  test('asks it once for fifty clients at the same time, also when the first of them leaves', async () => {
    const api = await scriptOrigin(base.url, {
      '*': [{ headers: { 'cache-control': 'max-age=60' }, body: 'hello', hold: 'go' }],
    });
    const url = `${worker.url}${new URL(api.url('/')).pathname}`;
    const first = new AbortController();

    const leaver = fetch(url, { signal: first.signal });
    leaver.catch(() => {});
    await api.reached(1);
    const others = Array.from({ length: 50 }, async () => (await fetch(url)).text());
    first.abort();
    await api.open('go');

    expect(new Set(await Promise.all(others))).toEqual(new Set(['hello']));
    expect((await fetch(url)).headers.get('cache-status')).toMatch(/^worker-fetch; hit/);
    expect(await api.seen()).toHaveLength(1);
  });

  test('passes on what is for one client, and changes', async () => {
    const api = await scriptOrigin(base.url, {
      '*': [{ headers: { 'cache-control': 'private' }, body: 'for ', echo: 'x-client' }],
    });
    const url = `${worker.url}${new URL(api.url('/')).pathname}`;

    const clients = ['a', 'b', 'c'].map(async (name) => (await fetch(url, { headers: { 'x-client': name } })).text());
    const posted = await fetch(url, { method: 'POST', body: 'text' });

    expect(await Promise.all(clients)).toEqual(['for a', 'for b', 'for c']);
    expect([posted.status, (await api.seen()).filter(({ method }) => method === 'POST').length]).toEqual([200, 1]);
  });
});
