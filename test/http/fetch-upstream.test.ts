import { describe, expect, test } from 'vitest';

import { fetchUpstream } from '../../src/http/index.js';
import { TieredCache } from '../../src/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';

function setup(...answers: Response[]): {
  readonly cache: TieredCache<unknown>;
  readonly clock: ManualClock;
  readonly asked: Request[];
} {
  const clock = manualClock();
  const asked: Request[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    asked.push(new Request(input, init));
    return answers.shift()!;
  };
  const upstream = fetchUpstream({ url: (key) => `http://origin/${key}`, fetch, clock });
  return { cache: new TieredCache<unknown>({ ttl: '10s', staleIfError: '1m', upstream, clock }), clock, asked };
}

describe('a value from HTTP', () => {
  test('lives as long as its response says, Age and all', async () => {
    const { cache, clock } = setup(
      Response.json(1, { headers: { 'cache-control': 'max-age=60', age: '20' } }),
      Response.json(2),
    );

    expect((await cache.lookup('a')).freshFor).toBe(40_000);
    clock.advance(40_000);
    expect((await cache.lookup('a')).value).toBe(2);
  });

  test('lives as long as the cache says where its response does not', async () => {
    const { cache } = setup(Response.json(1));

    expect((await cache.lookup('a')).freshFor).toBe(10_000);
  });

  test('is asked for again on condition, and a 304 renews it', async () => {
    const { cache, clock, asked } = setup(
      Response.json({ a: 1 }, { headers: { etag: '"1"' } }),
      new Response(null, { status: 304, headers: { 'cache-control': 'max-age=5' } }),
    );
    const first = await cache.get('a');
    clock.advance(10_000);

    const renewed = await cache.lookup('a');

    expect(asked[1]!.headers.get('if-none-match')).toBe('"1"');
    expect(renewed.value).toBe(first);
    expect(renewed.freshFor).toBe(5_000);
    expect(renewed.meta).toEqual({ etag: '"1"' });
  });

  test('is not stored where its response forbids it', async () => {
    const { cache } = setup(Response.json(1, { headers: { 'cache-control': 'no-store' } }));

    expect((await cache.lookup('a')).stored).toBe(false);
  });

  test.for([[404], [410]])('that is not there (%s) is absent', async ([status]) => {
    const { cache } = setup(new Response('none', { status: status! }));

    expect(await cache.get('a')).toBeUndefined();
  });

  test('stands in for a source that fails, unless its response forbids that', async () => {
    const broken = (): Response => new Response('', { status: 503 });
    const lasting = setup(Response.json(1), broken());
    const strict = setup(Response.json(1, { headers: { 'cache-control': 'max-age=10, must-revalidate' } }), broken());
    for (const { cache, clock } of [lasting, strict]) {
      await cache.get('a');
      clock.advance(10_000);
    }

    expect((await lasting.cache.lookup('a')).status).toBe('fallback');
    await expect(strict.cache.get('a')).rejects.toMatchObject({
      code: 'SOLOFLIGHT_HTTP_STATUS',
      status: 503,
      key: 'a',
    });
  });
});
