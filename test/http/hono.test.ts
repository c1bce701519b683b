import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { describe, expect, onTestFinished, test } from 'vitest';

import { honoCache, type HttpCacheOptions } from '../../src/http/index.js';
import { settle } from '../support/setup-cache.js';

/** One run of the route, which waits for the test. */
interface Run {
  readonly visitor: string;
  readonly answer: (text: string) => void;
  readonly fail: (error: unknown) => void;
}

interface Setup {
  readonly app: Hono;
  readonly runs: Run[];
  /** Ends the patience of a visitor's request: the middleware outside answers it with a 504. */
  readonly lose: (visitor: string) => void;
  /** The visitors that have come so far. */
  readonly waiting: () => number;
  readonly visit: (visitor: string) => Promise<Response>;
}

/** Behind a time limit and a middleware that names the visitor, both outside of the cache. */
function setup(options: HttpCacheOptions = {}): Setup {
  const runs: Run[] = [];
  const losing = new Map<string, () => void>();
  const app = new Hono();
  app.use(async (context, next) => {
    const visitor = context.req.header('visitor') ?? '';
    context.header('x-request-id', visitor);
    const late = new Promise<never>((_resolve, reject) => {
      losing.set(visitor, () => reject(new HTTPException(504, { message: 'late' })));
    });
    await Promise.race([next(), late]);
  });
  app.use(honoCache(options));
  app.get('/', async (context) => {
    context.header('cache-control', 'max-age=60');
    const text = await new Promise<string>((answer, fail) => {
      runs.push({ visitor: context.req.header('visitor') ?? '', answer, fail });
    });
    return context.text(text);
  });
  const visit = async (visitor: string): Promise<Response> => app.request('/', { headers: { visitor } });
  return { app, runs, lose: (visitor) => losing.get(visitor)?.(), waiting: () => losing.size, visit };
}

/** `app` over real sockets. */
async function serve({ app }: Pick<Setup, 'app'>): Promise<string> {
  const listener = getRequestListener((request) => app.fetch(request));
  const server: Server = createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('a leader that loses its patience', () => {
  test.each([
    ['over sockets, where its error page is read', true],
    ['where nobody reads its error page', false],
  ])('fails alone: a follower runs its own route, and no error page is stored: %s', async (_case, isRead) => {
    const hono = setup();
    const url = isRead ? await serve(hono) : '';
    const visit = isRead
      ? (visitor: string): Promise<Response> => fetch(url, { headers: { visitor } })
      : (visitor: string): Promise<Response> => hono.visit(visitor);
    const leader = visit('leader');
    await expect.poll(() => hono.runs.length).toBe(1);
    const follower = visit('follower');
    await expect.poll(() => hono.waiting()).toBe(2);

    hono.lose('leader');
    const late = await leader;
    const early = isRead ? await late.text() : undefined;
    hono.runs[0]?.answer('by the leader');
    await expect.poll(() => hono.runs.length).toBe(2);
    hono.runs[1]?.answer('by the follower');

    const answered = await follower;
    expect([late.status, answered.status, await answered.text()]).toEqual([504, 200, 'by the follower']);
    const next = visit('next');
    await expect.poll(() => hono.runs.length).toBe(3);
    hono.runs[2]?.answer('by the next');
    expect([(await next).status, await (await next).text()]).toEqual([200, 'by the next']);
    // The page was not taken from whoever reads it late.
    expect(early ?? (await late.text())).toBe('late');
  });

  test('keeps its error page also where the request goes around the cache', async () => {
    const { app, lose } = setup();
    const gate = Promise.withResolvers<void>();
    app.post('/', async (context) => {
      await gate.promise;
      return context.text('changed');
    });
    const posted = Promise.resolve(app.request('/', { method: 'POST', headers: { visitor: 'ann' } }));
    await settle();
    lose('ann');
    const late = await posted;
    gate.resolve();
    await settle();

    expect([late.status, await late.text()]).toEqual([504, 'late']);
  });

  test('does not let its follower begin in vain that has lost its own patience', async () => {
    const { runs, lose, visit } = setup();
    const [leader, follower] = [visit('leader'), visit('follower')];
    await expect.poll(() => runs.length).toBe(1);
    lose('leader');
    lose('follower');
    const pages = await Promise.all([leader, follower]);
    runs[0]?.answer('too late');
    await settle();

    expect(runs).toHaveLength(1);
    expect(await Promise.all(pages.map((page) => page.text()))).toEqual(['late', 'late']);
  });
});

describe('a route that fails', () => {
  test.each([
    ['an error', new Error('broken'), 500],
    ['an answer that is thrown', new HTTPException(404, { message: 'none' }), 404],
  ])(
    'fails for the leader alone, and its page is not stored though it looks fresh: %s',
    async (_case, error, status) => {
      const { app, runs, visit } = setup();
      app.onError((thrown, context) =>
        context.text('the page of an error', thrown instanceof HTTPException ? thrown.status : 500),
      );
      const [leader, follower] = [visit('leader'), visit('follower')];
      await expect.poll(() => runs.length).toBe(1);
      runs[0]?.fail(error);
      await expect.poll(() => runs.length).toBe(2);
      runs[1]?.answer('by the follower');

      expect([(await leader).status, await (await leader).text()]).toEqual([status, 'the page of an error']);
      expect([(await follower).status, await (await follower).text()]).toEqual([200, 'by the follower']);
    },
  );

  test('with what is no error fails for the leader alone, too', async () => {
    const { runs, visit } = setup();
    const leader = visit('leader').catch((error: unknown) => error);
    const follower = visit('follower');
    await expect.poll(() => runs.length).toBe(1);
    runs[0]?.fail('no error');
    await expect.poll(() => runs.length).toBe(2);
    runs[1]?.answer('by the follower');

    expect([await leader, await (await follower).text()]).toEqual(['no error', 'by the follower']);
  });

  test('leaves a stale answer that may stand in for it', async () => {
    const app = new Hono();
    app.use(honoCache());
    let calls = 0;
    app.get('/', (context) => {
      if ((calls += 1) > 1) throw new Error('broken');
      return context.text('stale', 200, { 'cache-control': 'max-age=0, stale-if-error=60' });
    });
    await (await app.request('/')).text();

    const answered = await app.request('/');

    expect([calls, answered.status, await answered.text()]).toEqual([2, 200, 'stale']);
  });

  test('with a 5xx of its own is not cached', async () => {
    const app = new Hono();
    app.use(honoCache());
    let calls = 0;
    app.get('/', (context) => context.text(`failure ${(calls += 1)}`, 503, { 'cache-control': 'max-age=60' }));
    const first = await app.request('/');
    const second = await app.request('/');

    expect([await first.text(), await second.text()]).toEqual(['failure 1', 'failure 2']);
  });
});

describe('headers that a middleware outside sets for one visitor', () => {
  test('reach this visitor, and neither followers nor later ones', async () => {
    const { runs, visit } = setup();
    const [leader, follower] = [visit('leader'), visit('follower')];
    await expect.poll(() => runs.length).toBe(1);
    runs[0]?.answer('shared');
    const responses = [await leader, await follower, await visit('late')];

    expect(responses.map(({ headers }) => headers.get('x-request-id'))).toEqual(['leader', 'follower', 'late']);
    expect(await Promise.all(responses.map((response) => response.text()))).toEqual(['shared', 'shared', 'shared']);
    expect(runs).toHaveLength(1);
    expect(responses[2]?.headers.get('cache-control')).toBe('max-age=60');
  });

  test('are not in storage, whatever way they were set', async () => {
    const app = new Hono();
    const cache = honoCache();
    app.use(async (context, next) => {
      context.res.headers.set('access-control-allow-origin', 'https://one.example');
      context.header('x-user', 'ann');
      await next();
    });
    app.use(cache);
    app.get('/', (context) => context.text('shared', 200, { 'cache-control': 'max-age=60', 'x-route': 'kept' }));
    const response = await app.request('/');
    await response.text();

    const stored = JSON.stringify(await cache.cache.getIfCached('http://localhost/'));

    expect(stored).toContain('x-route');
    expect(stored).not.toMatch(/x-user|access-control/);
    expect(response.headers.get('x-user')).toBe('ann');
    expect(response.headers.get('access-control-allow-origin')).toBe('https://one.example');
  });

  test('are stored where the route itself gives them another value', async () => {
    const app = new Hono();
    app.use(async (context, next) => {
      context.header('x-theme', context.req.header('theme') ?? 'none');
      await next();
    });
    app.use(honoCache());
    app.get('/', (context) => context.text('page', 200, { 'cache-control': 'max-age=60', 'x-theme': 'of the route' }));
    await (await app.request('/', { headers: { theme: 'dark' } })).text();

    const hit = await app.request('/', { headers: { theme: 'light' } });

    expect(hit.headers.get('x-theme')).toBe('of the route');
  });

  test('are not stored with what the route appends to them', async () => {
    const app = new Hono();
    app.use(async (context, next) => {
      context.header('server-timing', `visitor;desc="${context.req.header('visitor')}"`);
      await next();
    });
    app.use(honoCache());
    app.get('/', (context) => {
      context.header('cache-control', 'max-age=60');
      context.header('server-timing', 'db;dur=5', { append: true });
      return context.text('page');
    });
    const first = await app.request('/', { headers: { visitor: 'ann' } });
    await first.text();

    const hit = await app.request('/', { headers: { visitor: 'bob' } });

    expect(await hit.text()).toBe('page');
    expect(hit.headers.get('server-timing')).not.toContain('ann');
    expect(hit.headers.get('server-timing')).toContain('db;dur=5');
  });

  test('that say who may keep the response count as before', async () => {
    const app = new Hono();
    app.use(async (context, next) => {
      context.header('cache-control', 'private');
      context.header('set-cookie', 'session=1');
      await next();
    });
    app.use(honoCache());
    let calls = 0;
    app.get('/', (context) => context.text(`answer ${(calls += 1)}`));
    await (await app.request('/')).text();

    expect(await (await app.request('/')).text()).toBe('answer 2');
  });
});
