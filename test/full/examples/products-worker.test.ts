import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startWrangler, type RunningWorker } from '../../examples/start-wrangler.js';

/** How the product API answers, and what it was asked. */
let answer: (path: string, response: ServerResponse) => void;
const asked: string[] = [];
const api = createServer(({ url = '' }, response) => {
  asked.push(url);
  answer(url, response);
});
// Else a request may be sent on a connection that is just being closed.
api.keepAliveTimeout = 600_000;
/** Products expire as soon as they are there. */
let worker: RunningWorker;
/** Products are stale as soon as they are there. */
let stale: RunningWorker;
/** Products stay fresh for as long as a test may take on a busy machine. */
let patient: RunningWorker;

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

interface Product {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function get(query: string, init?: RequestInit, { url } = worker): Promise<Product> {
  const response = await fetch(`${url}/products${query}`, init);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

beforeAll(async () => {
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  const PRODUCT_API_BASE = `http://127.0.0.1:${(api.address() as AddressInfo).port}/`;
  const start = (FRESH_TTL_MS: string, STALE_TTL_MS: string): Promise<RunningWorker> =>
    startWrangler('products-worker', { PRODUCT_API_BASE, FRESH_TTL_MS, STALE_TTL_MS });
  worker = await start('0', '0');
  stale = await start('0', '600000');
  patient = await start('600000', '900000');
});

afterAll(async () => {
  for (const started of [worker, stale, patient]) await started?.stop();
  api.closeAllConnections();
  await new Promise((resolve) => api.close(resolve));
});

describe('the products Worker, over HTTP', () => {
  test('asks the API once for 1,000 requests at the same time', async () => {
    let release = (): void => {};
    answer = (path, response) => void (release = () => json(response, 200, { path }));
    const rush = Promise.all(Array.from({ length: 1_000 }, () => get('?productId=SKU-RUSH&fields=name', {}, patient)));
    const waiting = async (): Promise<number> =>
      ((await (await fetch(`${patient.url}/stats?productId=SKU-RUSH`)).json()) as { coalesced: number }).coalesced;
    await expect.poll(waiting).toBe(999);

    release();
    const answers = await rush;

    const bodies = new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`));
    expect(bodies).toEqual(new Set(['200 {"path":"/products/SKU-RUSH?fields=name"}']));
    expect(asked.filter((path) => path.includes('SKU-RUSH'))).toHaveLength(1);
  });

  test('takes fields in any order and form for the same question', async () => {
    answer = (path, response) => json(response, 200, { path });

    const first = await get('?productId=SKU-1&fields=price,name', {}, patient);
    const second = await get('?productId=%20SKU-1&fields=name,%20price%20,,name', {}, patient);
    const all = await get('?productId=SKU-1', {}, patient);

    expect(first.body).toEqual({ path: '/products/SKU-1?fields=name,price' });
    expect(second.body).toEqual(first.body);
    expect(all.body).toEqual({ path: '/products/SKU-1' });
    expect(asked.filter((path) => path.includes('SKU-1'))).toHaveLength(2);
    expect(first.headers.get('cache-status')).toMatch(/^products; fwd=miss; stored/);
    expect(second.headers.get('cache-status')).toMatch(/^products; hit/);
    expect(second.headers.get('cache-control')).toBe('max-age=600, stale-while-revalidate=300');
    expect(second.headers.get('age')).toMatch(/^\d+$/);
  });

  test('answers a stale product at once and reloads it behind', async () => {
    let price = 1;
    answer = (_path, response) => json(response, 200, { price });
    await get('?productId=SKU-2', {}, stale);
    price = 2;

    expect((await get('?productId=SKU-2', {}, stale)).body).toEqual({ price: 1 });

    await expect.poll(async () => (await get('?productId=SKU-2', {}, stale)).body).toEqual({ price: 2 });
  });

  test.each([
    ['5xx', (response: ServerResponse) => json(response, 503, {})],
    ['a failing network', (response: ServerResponse) => response.destroy()],
    ['something that is no JSON', (response: ServerResponse) => response.end('<html>')],
  ])('falls back on the last known good product, and says how old it is: %s', async (what, fail) => {
    const query = `?productId=SKU-3-${encodeURIComponent(what)}`;
    answer = (_path, response) => json(response, 200, { good: true });
    await get(query);
    answer = (_path, response) => fail(response);

    const fallback = await get(query);

    expect([fallback.status, fallback.body]).toEqual([200, { good: true }]);
    expect(fallback.headers.get('cache-status')).toContain('detail=stale-if-error');
    await expect.poll(async () => Number((await get(query)).headers.get('age'))).toBeGreaterThanOrEqual(1);
  });

  test('has 503 for a product of which there never was a good answer', async () => {
    answer = (_path, response) => json(response, 500, { secret: 'database password' });

    const { status, headers, body } = await get('?productId=SKU-4');

    expect([status, headers.get('retry-after'), headers.get('cache-control')]).toEqual([503, '1', 'no-store']);
    expect(body).toEqual({ error: 'The product is not available right now' });
  });

  test('passes 4xx on and does not keep it', async () => {
    answer = (_path, response) => json(response, 404, { reason: 'unknown' });
    const missing = await get('?productId=SKU-5');
    answer = (_path, response) => json(response, 200, { here: 'now' });

    const found = await get('?productId=SKU-5');

    expect([missing.status, missing.body, missing.headers.get('cache-control')]).toEqual([
      404,
      { reason: 'unknown' },
      'no-store',
    ]);
    expect([found.status, found.body]).toEqual([200, { here: 'now' }]);
  });

  test('does not bring a product back that was said to be gone', async () => {
    answer = (_path, response) => json(response, 200, { name: 'old' });
    await get('?productId=SKU-6');
    answer = (_path, response) => json(response, 410, { gone: true });
    expect((await get('?productId=SKU-6')).status).toBe(410);
    answer = (_path, response) => json(response, 500, {});

    expect((await get('?productId=SKU-6')).status).toBe(503);
  });

  test.each([
    ['', 400],
    ['?productId=', 400],
    ['?productId=%20', 400],
    [`?productId=${'x'.repeat(300)}`, 400],
    [`?productId=SKU&fields=${'x'.repeat(300)}`, 400],
    ['?productId=..', 400],
    ['?productId=%2E%2E', 400],
    ['?productId=.', 400],
    ['?productId=SKU&fields=name,secret', 400],
  ])('has a JSON error for %s', async (query, status) => {
    const response = await get(query);

    expect([response.status, Object.keys(response.body as object)]).toEqual([status, ['error']]);
  });

  test('asks the API for no other path than that of a product, whatever the id', async () => {
    answer = (_path, response) => json(response, 200, { here: true });
    asked.length = 0;

    for (const id of ['..', '../admin', 'a/../b', '%2e%2e', './x', '?x', '#x'])
      await get(`?productId=${encodeURIComponent(id)}`);

    expect(asked).toEqual(
      ['..%2Fadmin', 'a%2F..%2Fb', '%252e%252e', '.%2Fx', '%3Fx', '%23x'].map((id) => `/products/${id}`),
    );
  });

  test('takes nothing but GET and HEAD', async () => {
    expect((await get('?productId=SKU-7', { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await fetch(`${patient.url}/products?productId=SKU-1`, { method: 'HEAD' })).status).toBe(200);
  });
});

describe('a variable that is no number', () => {
  test('is named in the answer', async () => {
    const wrong = await startWrangler('products-worker', { FRESH_TTL_MS: '10s' });
    try {
      const { status, body } = await get('?productId=SKU-8', {}, wrong);
      expect([status, body]).toEqual([
        500,
        { error: 'TypeError: Expected FRESH_TTL_MS to be a number of milliseconds, got "10s"' },
      ]);
    } finally {
      await wrong.stop();
    }
  });
});
