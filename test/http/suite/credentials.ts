import { setup, texts, told, type HttpSuite } from './setup.js';

type Init = { readonly headers?: Record<string, string> };

const NOBODY: Init = {};
const TOKEN: Init = { headers: { authorization: 'Bearer one' } };
const OTHER: Init = { headers: { authorization: 'Bearer two' } };
const COOKIE: Init = { headers: { cookie: 'id=1' } };
const OTHER_COOKIE: Init = { headers: { cookie: 'id=2' } };
const BOTH: Init = { headers: { authorization: 'Bearer one', cookie: 'id=1' } };
const EMPTY: Init = { headers: { authorization: '' } };

/** A private cache serves one user, who may have several accounts. */
export function credentials(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const minute = { 'cache-control': 'max-age=60' };
  const pairs = [
    ['one token, then another', TOKEN, OTHER],
    ['a token, then none', TOKEN, NOBODY],
    ['none, then a token', NOBODY, TOKEN],
    ['one cookie, then another', COOKIE, OTHER_COOKIE],
    ['a cookie, then none', COOKIE, NOBODY],
    ['none, then a cookie', NOBODY, COOKIE],
    ['a token, then a cookie', TOKEN, COOKIE],
    ['both, then only the token', BOTH, TOKEN],
    ['both, then only the cookie', BOTH, COOKIE],
    ['a token, then both', TOKEN, BOTH],
    ['none, then an empty one', NOBODY, EMPTY],
  ] as const;

  describe("with `shared: false`, one account's answer is never another's", () => {
    test.for(pairs)('%s: from the cache', async ([, one, other]) => {
      for (const control of ['max-age=60', 'private, max-age=60', 'public, max-age=60, s-maxage=60']) {
        const headers = { 'cache-control': control };
        const { fetch, origin } = await setup(
          suite,
          [
            { headers, body: 'a' },
            { headers, body: 'b' },
          ],
          PRIVATE,
        );

        expect(await (await fetch(origin.url(), one)).text()).toBe('a');
        const second = await fetch(origin.url(), other);

        expect([await second.text(), told(second, 'fwd')]).toEqual(['b', 'vary-miss']);
        const again = [await fetch(origin.url(), one), await fetch(origin.url(), other)];
        expect(again.map((response) => told(response, 'hit'))).toEqual([true, true]);
        expect(await Promise.all(again.map((response) => response.text()))).toEqual(['a', 'b']);
      }
    });

    test.for(pairs)('%s: from a request under way', async ([, one, other]) => {
      const { fetch, origin } = await setup(
        suite,
        [
          { headers: minute, body: 'a', hold: 'go' },
          { headers: minute, body: 'b' },
        ],
        PRIVATE,
      );

      const first = fetch(origin.url(), one);
      await origin.reached(1);
      const callers = [first, fetch(origin.url(), other), fetch(origin.url(), one)];
      await origin.open('go');

      expect(await texts(callers)).toEqual(['a', 'b', 'a']);
      expect(await origin.seen()).toHaveLength(2);
    });

    test.for(pairs)('%s: while the origin fails, or breaks off', async ([, one, other]) => {
      const lasting = { headers: { 'cache-control': 'max-age=1, stale-if-error=600' }, body: 'secret' };
      const { fetch, clock, origin } = await setup(
        suite,
        { '/failing': [lasting, { status: 503 }], '/broken': [{ ...lasting, then: 'reset' as const, before: 3 }] },
        PRIVATE,
      );
      await (await fetch(origin.url('/failing'), one)).text();
      clock.advance(10_000);

      expect((await fetch(origin.url('/failing'), other)).status).toBe(503);
      const read = fetch(origin.url('/broken'), one).then((response) => response.text());
      await expect(read).rejects.toThrow(Error);
      await expect(fetch(origin.url('/broken'), other).then((response) => response.text())).rejects.toThrow(Error);
      expect((await origin.seen('/broken')).length).toBeGreaterThan(1);
    });

    test('a HEAD, a validation and the answer `only-if-cached` keep to it as well', async () => {
      const headers = { ...minute, etag: '"1"' };
      const { fetch, clock, origin } = await setup(
        suite,
        [
          { headers, body: 'a' },
          { headers, body: 'b' },
        ],
        PRIVATE,
      );
      await (await fetch(origin.url(), TOKEN)).text();

      const only = { headers: { ...OTHER.headers, 'cache-control': 'only-if-cached' } };
      expect((await fetch(origin.url(), only)).status).toBe(504);
      expect(told(await fetch(origin.url(), { ...OTHER, method: 'HEAD' }), 'hit')).toBeUndefined();
      clock.advance(61_000);
      await (await fetch(origin.url(), OTHER)).text();
      expect((await origin.seen()).at(-1)?.headers['if-none-match']).toBeUndefined();
    });

    test('an invalidation reaches the answers of all accounts', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: minute }], PRIVATE);
      for (const init of [NOBODY, TOKEN, COOKIE]) await (await fetch(origin.url(), init)).text();

      await fetch.invalidate(origin.url());

      for (const init of [NOBODY, TOKEN, COOKIE]) expect(told(await fetch(origin.url(), init), 'hit')).toBeUndefined();
    });

    test('no credential is part of a key, nor of what is stored', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: { ...minute, vary: 'authorization' }, body: 'x' }], {
        ...PRIVATE,
        showKey: true,
      });
      const secret = { headers: { authorization: 'Bearer hunter2', cookie: 'session=hunter2' } };
      await (await fetch(origin.url())).text();

      const response = await fetch(origin.url(), secret);
      await response.text();

      expect(told(response, 'stored')).toBe(true);
      const found = await fetch.cache.getIfCached(origin.url());
      expect(response.headers.get('cache-status')).not.toContain('hunter2');
      expect(JSON.stringify(found)).not.toContain('hunter2');
    });
  });
}

const PRIVATE = { shared: false } as const;
