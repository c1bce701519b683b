import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { createApp } from '../../examples/hono/app.js';

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
