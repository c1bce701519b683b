import { describe, expect, test } from 'vitest';

import { get, getAll, startExample } from '../../examples/start-example.js';

const start = (variables: Record<string, string> = {}) => startExample('express/server.ts', variables);

describe('the Express example', () => {
  test('asks the database once for a thousand requests at the same time', async () => {
    const { url, stop } = await start({ QUERY_MS: '500' });

    const answers = await getAll(`${url}/posts/1`, 1_000);

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(await get(`${url}/stats`)).toMatchObject({ body: { queries: 1 } });
    expect(await stop()).toEqual({ code: 0, stderr: '' });
  });

  test('tells how many wait for an answer, until the last of them left', async () => {
    const { url, stop } = await start({ QUERY_MS: '600000' });
    const visit = new AbortController();
    const began = performance.now();
    const metrics = async (): Promise<unknown> => (await get(`${url}/metrics/singleflight`)).body;
    const sinceBegan = (): number => Math.ceil(performance.now() - began);
    const idle = { in_flight_count: 0, total_subscribers: 0, oldest_call_age_ms: null };
    expect(await metrics()).toEqual(idle);

    const visits = Promise.allSettled([
      getAll(`${url}/posts/1`, 200, { signal: visit.signal }),
      getAll(`${url}/posts/2`, 100, { signal: visit.signal }),
    ]);
    await expect
      .poll(metrics)
      .toEqual({ in_flight_count: 2, total_subscribers: 300, oldest_call_age_ms: expect.any(Number) });
    const { oldest_call_age_ms: age } = (await metrics()) as { readonly oldest_call_age_ms: number };
    await expect
      .poll(metrics)
      .toMatchObject({ oldest_call_age_ms: expect.toSatisfy((later: number) => later > age && later <= sinceBegan()) });
    visit.abort();

    expect((await visits).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect.poll(metrics).toEqual(idle);
    expect(await get(`${url}/stats`)).toMatchObject({ body: { queries: 2 } });
    expect(await stop()).toEqual({ code: 0, stderr: '' });
  });

  test('tells by headers where a post comes from, and who waited with others', async () => {
    const { url } = await start({ QUERY_MS: '5000' });

    const loaded = await getAll(`${url}/posts/1`, 20);
    const cached = await get(`${url}/posts/1`);

    const stories = loaded.map(({ headers }) => headers.get('cache-status')?.replace(/; ttl=\d+/, ''));
    expect(new Set(stories)).toEqual(
      new Set(['soloflight; fwd=miss; stored', 'soloflight; fwd=miss; stored; collapsed']),
    );
    expect(stories.filter((story) => !story?.includes('collapsed'))).toHaveLength(1);
    expect(cached.headers.get('cache-status')).toMatch(/^soloflight; hit; ttl=\d+; detail=memory$/);
    expect(cached.headers.get('age')).toMatch(/^\d$/);
  });

  test('shows an invalidated post anew', async () => {
    const { url } = await start({ QUERY_MS: '1' });
    const title = async (): Promise<unknown> => (await get(`${url}/posts/1`)).body;

    const before = [await title(), await title()];
    const invalidation = await get(`${url}/posts/1/invalidate`, { method: 'POST' });
    const after = await title();

    expect(before).toEqual(Array.from({ length: 2 }, () => ({ id: '1', title: 'Post 1, as of query 1' })));
    expect(invalidation).toMatchObject({ status: 200, body: { invalidated: true } });
    expect(after).toEqual({ id: '1', title: 'Post 1, as of query 2' });
  });

  test('lets nobody join a query that began before the invalidation', async () => {
    const { url } = await start({ QUERY_MS: '600' });
    const queries = async (): Promise<unknown> => (await get(`${url}/stats`)).body;

    const early = get(`${url}/posts/1`);
    await expect.poll(queries).toEqual({ queries: 1 });
    await get(`${url}/posts/1/invalidate`, { method: 'POST' });
    const late = get(`${url}/posts/1`);

    await expect.poll(queries).toEqual({ queries: 2 });
    expect((await Promise.all([early, late])).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('answers 404 for what is not there, 400 for what makes no sense, and 503 without telling why', async () => {
    const { url, stop } = await start({ QUERY_MS: '1' });

    expect(await get(`${url}/posts/100`)).toMatchObject({ status: 404, body: { error: 'No such post' } });
    expect(await get(`${url}/elsewhere`)).toMatchObject({ status: 404, body: { error: 'Not found' } });
    expect(await get(`${url}/posts/%E0%A4`)).toMatchObject({ status: 400, body: { error: 'Bad request' } });
    const failed = await get(`${url}/posts/13`);

    expect(failed).toMatchObject({ status: 503, body: { error: 'Unavailable, try again later' } });
    expect(failed.headers.get('retry-after')).toBe('1');
    expect(await stop()).toEqual({ code: 0, stderr: 'Could not answer /posts/13: Error: connect ECONNREFUSED\n' });
  });
});
