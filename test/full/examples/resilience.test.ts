import { describe, expect, test } from 'vitest';

import { get, getAll, startExample } from '../../examples/start-example.js';
import type { Answer } from '../../examples/start-example.js';

async function start(variables: Record<string, string>) {
  const { url, stop } = await startExample('resilience/server.ts', variables);
  return {
    stop,
    post: (id: number, init?: RequestInit) => get(`${url}/posts/${id}`, init),
    crowd: (id: number, count: number) => getAll(`${url}/posts/${id}`, count),
    stats: async () => (await get(`${url}/stats`)).body,
    database: (state: 'up' | 'down' | 'hanging') => get(`${url}/database/${state}`, { method: 'POST' }),
  };
}

const storyOf = ({ status, headers }: Answer) => `${status} ${headers.get('cache-status')?.split('; ttl')[0]}`;

// A ttl of nothing: each read wants a load, and what is stored is only a fallback.
const NEVER_FRESH = { QUERY_MS: '1', TTL_MS: '0' };
const LOADED = '200 soloflight; fwd=miss; stored';
const FALLBACK = '200 soloflight; fwd=stale';

describe('the resilience example', () => {
  test('makes one attempt for 300 requests at the same time', async () => {
    const { crowd, stats, stop } = await start({ QUERY_MS: '500', TIMEOUT_MS: '10000', TTL_MS: '60000' });

    const answers = await crowd(1, 300);

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body)))).toEqual(new Set(['{"id":"1","title":"Post 1"}']));
    expect(await stats()).toMatchObject({ attempts: 1, breaker: 'Closed' });
    expect(await stop()).toEqual({ code: 0, stderr: '' });
  });

  test('retries, opens the breaker, answers what it has, and recovers', async () => {
    const { post, crowd, stats, database, stop } = await start({ ...NEVER_FRESH, HALF_OPEN_MS: '8000' });
    expect([await post(1), await post(2)].map(storyOf)).toEqual([LOADED, LOADED]);

    await database('down');
    const retried = await crowd(1, 300);
    // Who comes after the attempts have failed gets the fallback at once, and on a busy machine that may be all but one.
    for (const story of new Set(retried.map(storyOf))) expect([FALLBACK, `${FALLBACK}; collapsed`]).toContain(story);
    expect(retried[0]?.headers.get('cache-status')).toContain('detail=stale-if-error');
    expect(await stats()).toMatchObject({ attempts: 2 + 3, breaker: 'Open', fallbacks: 300 });

    const refused = await post(2);
    const unknown = await post(3);
    expect(storyOf(refused)).toBe(FALLBACK);
    expect(refused.body).toEqual({ id: '2', title: 'Post 2' });
    expect(unknown).toMatchObject({ status: 503, body: { error: 'Unavailable, try again later' } });
    expect(await stats()).toMatchObject({ attempts: 2 + 3, breaker: 'Open' });

    await database('up');
    await expect.poll(async () => storyOf(await post(1))).toBe(LOADED);
    expect(await stats()).toMatchObject({ breaker: 'Closed' });

    const { code, stderr } = await stop();
    expect(code).toBe(0);
    expect(stderr).toContain('Could not load post 1: Error: connect ECONNREFUSED\n');
    expect(stderr).toContain('Could not load post 2: Error: Execution prevented because the circuit breaker is open\n');
  });

  test('gives up attempts that hang', async () => {
    const { post, stats, database, stop } = await start({ ...NEVER_FRESH, TIMEOUT_MS: '2000' });
    await post(1);

    await database('hanging');
    const answer = await post(1);

    expect(storyOf(answer)).toBe(FALLBACK);
    expect(await stats()).toMatchObject({ attempts: 1 + 3, breaker: 'Open', inFlight: 0 });
    expect(await stop()).toMatchObject({ code: 0 });
  });

  test('takes no visitor who leaves for a failure of the database', async () => {
    const { post, stats, database, stop } = await start({ TIMEOUT_MS: '600000' });
    await database('hanging');

    for (const id of [1, 2, 3, 4]) {
      const visit = new AbortController();
      const answer = post(id, { signal: visit.signal });
      await expect.poll(stats).toMatchObject({ attempts: id, inFlight: 1 });
      visit.abort();
      await expect(answer).rejects.toThrow('aborted');
      await expect.poll(stats).toMatchObject({ attempts: id, inFlight: 0 });
    }

    expect(await stats()).toMatchObject({ attempts: 4, breaker: 'Closed' });
    expect(await stop()).toEqual({ code: 0, stderr: '' });
  });
});
