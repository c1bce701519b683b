import { cachedFetch, purgeRequests, softPurge, type CachedFetchOptions } from '../../../src/http/index.js';
import { setup, told, type HttpParts, type HttpSuite } from './setup.js';

/** What operators make stale or unusable, by hand and by request. */
export function purges(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const windows = 'max-age=60, stale-while-revalidate=60, stale-if-error=600';
  const tagged = (body: string, more: Record<string, string> = {}): object => ({
    headers: { 'cache-control': 'max-age=60', 'cache-tag': 'post:1, all', etag: `"${body}"`, ...more },
    body,
  });

  async function stored(steps: readonly object[], options: CachedFetchOptions): Promise<HttpParts> {
    const parts = await setup(suite, steps, options);
    await (await parts.fetch(parts.origin.url())).text();
    return parts;
  }

  const ends = async (response: Response): Promise<unknown[]> => [
    response.status,
    await response.text(),
    told(response, 'hit') === true ? 'hit' : told(response, 'fwd'),
    told(response, 'detail'),
  ];

  describe('what was made stale by its tag', () => {
    const use = [softPurge()];

    test('is validated before it is reused, and fresh again when confirmed', async () => {
      const { fetch, origin } = await stored([tagged('a'), { status: 304, headers: { etag: '"a"' } }], { use });

      await fetch.cache.invalidateTags('post:1', { mode: 'expire' });

      expect(await ends(await fetch(origin.url()))).toEqual([200, 'a', 'stale', undefined]);
      expect((await origin.seen())[1]!.headers['if-none-match']).toBe('"a"');
    });

    test('is served while it is renewed where the origin allows that, once', async () => {
      const { fetch, origin } = await stored(
        [tagged('a', { 'cache-control': windows }), tagged('b', { 'cache-control': windows })],
        { use },
      );
      await fetch.cache.invalidateTags('post:1', { mode: 'expire' });

      expect(await ends(await fetch(origin.url()))).toEqual([200, 'a', 'hit', 'stale-while-revalidate']);
      await fetch.cache.idle();
      expect(await ends(await fetch(origin.url()))).toEqual([200, 'b', 'hit', undefined]);
      expect(await origin.seen()).toHaveLength(2);
    });

    test('stands in for a failing origin, which what was invalidated does not', async () => {
      const steps = [tagged('a', { 'cache-control': 'max-age=60, stale-if-error=600' }), { status: 503 }];
      const soft = await stored(steps, { use });
      await soft.fetch.cache.invalidateTags('all', { mode: 'expire' });
      const hard = await stored(steps, { use });
      await hard.fetch.invalidateTags('all');

      expect(await ends(await soft.fetch(soft.origin.url()))).toEqual([200, 'a', 'stale', 'stale-if-error']);
      expect((await hard.fetch(hard.origin.url())).status).toBe(503);
    });

    test('is not taken for fresh because it is `immutable`, and others stay as they are', async () => {
      const { fetch, origin } = await stored([tagged('a', { 'cache-control': 'max-age=60, immutable' }), tagged('b')], {
        use,
      });
      await fetch.cache.invalidateTags('another', { mode: 'expire' });
      expect(await ends(await fetch(origin.url()))).toEqual([200, 'a', 'hit', undefined]);

      await fetch.cache.invalidateTags('post:1', { mode: 'expire' });

      const init = { headers: { 'cache-control': 'max-age=0' } };
      expect((await ends(await fetch(origin.url(), init)))[1]).toBe('b');
    });
  });

  describe('a `PURGE`', () => {
    const token = 'secret';
    const use = [
      purgeRequests({ authorize: async ({ headers, method }) => method === 'PURGE' && headers.get('token') === token }),
    ];
    const purge = (fetch: HttpParts['fetch'], url: string, headers: Record<string, string>): Promise<Response> =>
      fetch(url, { method: 'PURGE', headers });

    test('of a URL makes it unusable with all its variants, and does not reach the origin', async () => {
      const varied = { vary: 'accept-language' };
      const { fetch, origin } = await setup(suite, [tagged('a', varied), tagged('b', varied), tagged('c', varied)], {
        use,
      });
      for (const language of ['en', 'de'])
        await (await fetch(origin.url(), { headers: { 'accept-language': language } })).text();

      const purged = await purge(fetch, origin.url(), { token });

      expect([purged.status, await purged.text()]).toEqual([204, '']);
      for (const language of ['en', 'de'])
        expect(told(await fetch(origin.url(), { headers: { 'accept-language': language } }), 'hit')).toBeUndefined();
      expect((await origin.seen()).map(({ method }) => method)).toEqual(['GET', 'GET', 'GET', 'GET']);
    });

    test.for([
      ['Cache-Tag', 'post:1'],
      ['Surrogate-Key', 'other post:1'],
    ] as const)('with `%s` reaches what has the tag, wherever it is', async ([field, tags]) => {
      const { fetch, origin } = await stored([tagged('a'), tagged('b')], { use });

      expect((await purge(fetch, origin.url('/elsewhere'), { token, [field]: tags })).status).toBe(204);

      expect(await ends(await fetch(origin.url()))).toEqual([200, 'b', 'uri-miss', undefined]);
    });

    test('that is soft makes it stale, by tags alone', async () => {
      const { fetch, origin } = await stored(
        [tagged('a', { 'cache-control': windows }), tagged('b', { 'cache-control': windows })],
        { use },
      );

      expect((await purge(fetch, origin.url(), { token, 'soft-purge': '1' })).status).toBe(400);
      expect((await ends(await fetch(origin.url())))[3]).toBeUndefined();
      expect((await purge(fetch, origin.url(), { token, 'soft-purge': '1', 'cache-tag': 'all' })).status).toBe(204);

      expect(await ends(await fetch(origin.url()))).toEqual([200, 'a', 'hit', 'stale-while-revalidate']);
      await fetch.cache.idle();
    });

    test.for([
      ['a wrong token', { token: 'guess' }, async (): Promise<boolean> => false],
      ['none', {}, async (): Promise<boolean> => false],
      ['an answer that is not `true`', { token }, (() => 'yes') as never],
    ] as const)('with %s changes nothing', async ([, headers, authorize]) => {
      const { fetch, origin } = await stored([tagged('a'), tagged('b')], { use: [purgeRequests({ authorize })] });

      const refused = await purge(fetch, origin.url(), { ...headers, 'cache-tag': 'all' });

      expect([refused.status, told(refused, 'fwd')]).toEqual([403, undefined]);
      expect(await ends(await fetch(origin.url()))).toEqual([200, 'a', 'hit', undefined]);
      expect(await origin.seen()).toHaveLength(1);
    });

    test('fails where the question fails, and changes nothing', async () => {
      const { fetch, origin } = await stored([tagged('a'), tagged('b')], {
        use: [purgeRequests({ authorize: () => Promise.reject(new Error('no answer')) })],
      });

      await expect(purge(fetch, origin.url(), {})).rejects.toThrow('no answer');
      expect((await ends(await fetch(origin.url())))[2]).toBe('hit');
    });

    test('can not be had without saying who may', async () => {
      expect(() => purgeRequests(undefined as never)).toThrow('Expected `options` to be an object');
      expect(() => purgeRequests({} as never)).toThrow('Expected `authorize` to be a function: anybody could');
      expect(() => purgeRequests({ authorise: () => true } as never)).toThrow('unknown names');
      expect(cachedFetch({ use }).cache).toBeDefined();
    });
  });
}
