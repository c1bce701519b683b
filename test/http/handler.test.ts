import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';

import { cachedHandler, honoCache } from '../../src/http/index.js';
import { manualClock } from '../../src/testing/index.js';

const URL = 'http://server/';

function setup(headers: Record<string, string>): {
  readonly handle: ReturnType<typeof cachedHandler>;
  readonly clock: ReturnType<typeof manualClock>;
  readonly calls: Request[];
} {
  const calls: Request[] = [];
  const clock = manualClock();
  const handle = cachedHandler(
    async (request: Request) => {
      calls.push(request);
      return new Response(`answer ${calls.length}`, { headers });
    },
    { clock },
  );
  return { handle, clock, calls };
}

describe('a handler behind a cache', () => {
  test('is called once for concurrent requests, and not at all while its answer is fresh', async () => {
    const { handle, calls } = setup({ 'cache-control': 'max-age=60' });

    const responses = await Promise.all(Array.from({ length: 100 }, () => handle(new Request(URL))));
    const texts = await Promise.all(responses.map((response) => response.text()));
    const later = await handle(new Request(URL));

    expect(new Set(texts)).toEqual(new Set(['answer 1']));
    expect(await later.text()).toBe('answer 1');
    expect(later.headers.get('cache-status')).toMatch(/^soloflight; hit/);
    expect(calls).toHaveLength(1);
  });

  test('is not asked by a client whose copy is the same', async () => {
    const { handle, calls } = setup({ 'cache-control': 'max-age=60', etag: '"1"' });
    await (await handle(new Request(URL))).text();

    const response = await handle(new Request(URL, { headers: { 'if-none-match': '"1"' } }));

    expect([response.status, await response.text(), response.headers.get('etag')]).toEqual([304, '', '"1"']);
    expect(calls).toHaveLength(1);
  });

  test('gets what is not for the cache as it came', async () => {
    const { handle, calls } = setup({});
    const request = new Request(URL, { method: 'POST', body: 'text' });

    await handle(request);

    expect(calls).toEqual([request]);
  });

  test('answers with its own redirects', async () => {
    const handle = cachedHandler(() => Response.redirect('http://elsewhere/', 302));

    const response = await handle(new Request(URL));

    expect([response.status, response.headers.get('location')]).toEqual([302, 'http://elsewhere/']);
  });

  test('fails with its own error', async () => {
    const error = new Error('broken');
    const handle = cachedHandler(() => Promise.reject(error));

    await expect(handle(new Request(URL))).rejects.toBe(error);
  });

  test('renews in the background what is stale, by `waitUntil` where an argument has it', async () => {
    const works: Promise<unknown>[] = [];
    const context = { waitUntil: (work: Promise<unknown>) => void works.push(work) };
    const clock = manualClock();
    const headers = { 'cache-control': 'max-age=1, stale-while-revalidate=60' };
    let calls = 0;
    const handle = cachedHandler(
      (_request: Request, _environment: object, _context: typeof context) =>
        new Response(`answer ${++calls}`, { headers }),
      { clock },
    );
    await (await handle(new Request(URL), {}, context)).text();
    clock.advance(1_000);

    const stale = await (await handle(new Request(URL), {}, context)).text();
    await Promise.all(works);

    expect([stale, works.length > 0]).toEqual(['answer 1', true]);
    expect(await (await handle(new Request(URL), {}, context)).text()).toBe('answer 2');
  });
});

describe('a Hono app behind the middleware', () => {
  function app(headers: Record<string, string>): { readonly app: Hono; readonly calls: string[] } {
    const calls: string[] = [];
    const app = new Hono();
    app.use(honoCache());
    app.get('/', (context) => {
      calls.push(context.req.header('if-none-match') ?? 'plain');
      return context.text(`answer ${calls.length}`, 200, headers);
    });
    app.post('/', (context) => context.text('changed'));
    return { app, calls };
  }

  test('runs its route once for concurrent requests, and not at all while the answer is fresh', async () => {
    const { app: hono, calls } = app({ 'cache-control': 'max-age=60' });

    const responses = await Promise.all(Array.from({ length: 20 }, () => hono.request('/')));

    expect(new Set(await Promise.all(responses.map((response) => response.text())))).toEqual(new Set(['answer 1']));
    const later = await hono.request('/');
    expect([await later.text(), later.headers.get('content-type')]).toEqual(['answer 1', 'text/plain; charset=UTF-8']);
    expect(calls).toHaveLength(1);
  });

  test('keeps its conditions to itself, and answers a client whose copy is the same', async () => {
    const { app: hono, calls } = app({ 'cache-control': 'max-age=60', etag: '"1"' });

    const response = await hono.request('/', { headers: { 'if-none-match': '"1"' } });

    expect([response.status, await response.text(), calls]).toEqual([304, '', ['plain']]);
  });

  test('runs again after a change', async () => {
    const { app: hono } = app({ 'cache-control': 'max-age=60' });
    await (await hono.request('/')).text();
    expect(await (await hono.request('/', { method: 'POST' })).text()).toBe('changed');

    expect(await (await hono.request('/')).text()).toBe('answer 2');
  });

  test('leaves to each client what is not to be shared', async () => {
    const { app: hono } = app({ 'cache-control': 'private' });

    const texts = await Promise.all([1, 2, 3].map(async () => (await hono.request('/')).text()));

    expect(new Set(texts).size).toBe(3);
  });
});
