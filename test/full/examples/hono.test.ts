import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { createApp } from '../../../examples/hono/app.js';
import { get, getAll, startExample } from '../../examples/start-example.js';

const start = (variables: Record<string, string> = {}) => startExample('hono/server.ts', variables);

describe('the Hono example on Node', { timeout: 30_000 }, () => {
  test('asks the database once for 300 requests at the same time', async () => {
    const { url, stop } = await start({ QUERY_MS: '500' });

    const answers = await getAll(`${url}/posts/1`, 300);

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body)))).toEqual(new Set(['{"id":"1","title":"Post 1"}']));
    expect(await get(`${url}/stats`)).toMatchObject({ body: { queries: 1, inFlight: 0 } });
    expect(await stop()).toEqual({ code: 0, stderr: '' });
  });

  test('gives up the query when the last visitor left, and not before', async () => {
    const { url, stop } = await start({ QUERY_MS: '600000' });
    const [first, last] = [new AbortController(), new AbortController()];
    const stats = async (): Promise<unknown> => (await get(`${url}/stats`)).body;

    const visits = [first, last].map(({ signal }) => get(`${url}/posts/1`, { signal }));
    await expect.poll(stats).toEqual({ queries: 1, inFlight: 1 });
    first.abort();
    await expect(visits[0]).rejects.toThrow('aborted');
    expect(await stats()).toEqual({ queries: 1, inFlight: 1 });
    last.abort();

    await expect(visits[1]).rejects.toThrow('aborted');
    await expect.poll(stats).toEqual({ queries: 1, inFlight: 0 });
    expect(await stop()).toMatchObject({ code: 0 });
  });

  test('answers 503 without telling why, and tells the log', async () => {
    const { url, stop } = await start({ QUERY_MS: '1' });

    const answer = await get(`${url}/posts/13`);

    expect(answer).toMatchObject({ status: 503, body: { error: 'Unavailable, try again later' } });
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await stop()).toEqual({ code: 0, stderr: 'Could not load post 13: Error: connect ECONNREFUSED\n' });
  });
});

describe('the Hono example without a server', () => {
  const setup = () => {
    const { app, posts } = createApp(1);
    onTestFinished(() => posts.close());
    return app;
  };

  test('tells by headers where a post comes from', async () => {
    const app = setup();

    const loaded = await app.request('/posts/1');
    const cached = await app.request('/posts/1');

    expect(await loaded.json()).toEqual({ id: '1', title: 'Post 1' });
    expect(loaded.headers.get('cache-status')).toMatch(/^soloflight; fwd=miss; stored; ttl=\d+$/);
    expect(cached.headers.get('cache-status')).toMatch(/^soloflight; hit; ttl=\d+; detail=memory$/);
    expect(cached.headers.get('age')).toBe('0');
  });

  test('answers 404 for what is not there, and remembers that', async () => {
    const app = setup();

    const answers = [await app.request('/posts/100'), await app.request('/posts/100'), await app.request('/elsewhere')];

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(await (await app.request('/stats')).json()).toEqual({ queries: 1, inFlight: 0 });
  });

  test('answers 503 when the database fails', async () => {
    const app = setup();
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    onTestFinished(() => warn.mockRestore());

    const answer = await app.request('/posts/13');

    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ error: 'Unavailable, try again later' });
    expect(warn).toHaveBeenCalledExactlyOnceWith('Could not load post 13: Error: connect ECONNREFUSED');
  });
});
