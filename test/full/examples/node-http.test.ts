import { once } from 'node:events';
import { connect } from 'node:net';

import { describe, expect, test } from 'vitest';

import { get, getAll, startExample } from '../../examples/start-example.js';

const start = (variables: Record<string, string> = {}) => startExample('node-http/server.ts', variables);

describe('the node:http example', () => {
  test('asks the database once for a thousand requests at the same time', async () => {
    const { url, stop } = await start({ QUERY_MS: '500' });

    const answers = await getAll(`${url}/posts/1`, 1_000);

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body)))).toEqual(new Set(['{"id":"1","title":"Post 1"}']));
    expect(await get(`${url}/stats`)).toMatchObject({ body: { queries: 1 } });
    expect(await stop()).toEqual({ code: 0, stderr: '' });
  });

  test('tells by headers where a post comes from', async () => {
    const { url } = await start({ QUERY_MS: '1' });

    const loaded = await get(`${url}/posts/1`);
    const cached = await get(`${url}/posts/1`);

    expect(loaded.headers.get('cache-status')).toMatch(/^soloflight; fwd=miss; stored; ttl=\d+$/);
    expect(cached.headers.get('cache-status')).toMatch(/^soloflight; hit; ttl=\d+; detail=memory$/);
    expect(cached.headers.get('age')).toMatch(/^\d$/);
  });

  test('answers 404 for what the database does not have, and remembers that', async () => {
    const { url } = await start({ QUERY_MS: '1' });

    const answers = [await get(`${url}/posts/100`), await get(`${url}/posts/100`), await get(`${url}/elsewhere`)];

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(answers[0]?.body).toEqual({ error: 'No such post' });
    expect(await get(`${url}/stats`)).toMatchObject({ body: { queries: 1 } });
  });

  test('answers 503 without telling why, and tells the log', async () => {
    const { url, stop } = await start({ QUERY_MS: '1' });

    const answer = await get(`${url}/posts/13`);

    expect(answer).toMatchObject({ status: 503, body: { error: 'Unavailable, try again later' } });
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await stop()).toEqual({ code: 0, stderr: 'Could not load post 13: Error: connect ECONNREFUSED\n' });
  });

  test('gives up the query when the last visitor left, and not before', async () => {
    const { url, stop } = await start({ QUERY_MS: '600000' });
    const [first, last] = [new AbortController(), new AbortController()];
    const inFlight = async (): Promise<unknown> => (await get(`${url}/stats`)).body;

    const visits = [first, last].map(({ signal }) => get(`${url}/posts/1`, { signal }));
    await expect.poll(inFlight).toEqual({ queries: 1, inFlight: 1 });
    first.abort();
    await expect(visits[0]).rejects.toThrow('aborted');
    expect(await inFlight()).toEqual({ queries: 1, inFlight: 1 });
    last.abort();

    await expect(visits[1]).rejects.toThrow('aborted');
    await expect.poll(inFlight).toEqual({ queries: 1, inFlight: 0 });
    expect(await stop()).toMatchObject({ code: 0 });
  });

  test('finishes the requests under way when it is told to end, and waits for no connection without one', async () => {
    const { url, stop } = await start({ QUERY_MS: '500' });
    const silent = connect(Number(new URL(url).port), '127.0.0.1');
    await once(silent, 'connect');

    const visit = get(`${url}/posts/1`);
    await expect.poll(async () => (await get(`${url}/stats`)).body).toMatchObject({ queries: 1 });
    const stopped = stop();

    expect(await visit).toMatchObject({ status: 200 });
    expect(await stopped).toEqual({ code: 0, stderr: '' });
  });
});
