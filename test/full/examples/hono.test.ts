import { describe, expect, test } from 'vitest';

import { get, getAll, startExample } from '../../examples/start-example.js';

const start = (variables: Record<string, string> = {}) => startExample('hono/server.ts', variables);

describe('the Hono example on Node', () => {
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
