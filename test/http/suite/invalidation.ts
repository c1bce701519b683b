import { setup, told, type HttpSuite } from './setup.js';

/** What makes a stored response unusable, and what a HEAD does to it (RFC 9111 §4.3.5, §4.4). */
export function invalidation(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const cacheable = { 'cache-control': 'max-age=60' };

  describe('an unsafe request', () => {
    test.for([['POST'], ['PUT'], ['DELETE'], ['PATCH']])(
      '(%s) that succeeds makes its target unusable',
      async ([method]) => {
        const { fetch, origin } = await setup(suite, [
          { headers: cacheable, body: 'old' },
          { status: 204 },
          { headers: cacheable, body: 'new' },
        ]);
        await (await fetch(origin.url())).text();

        const change = await fetch(origin.url(), { method: method!, body: 'x' });

        expect([change.status, told(change, 'fwd')]).toEqual([204, 'method']);
        expect(await (await fetch(origin.url())).text()).toBe('new');
      },
    );

    test('that fails changes nothing', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'old' }, { status: 400 }]);
      await (await fetch(origin.url())).text();
      await (await fetch(origin.url(), { method: 'POST' })).text();

      expect(told(await fetch(origin.url()), 'hit')).toBe(true);
    });

    test('makes unusable what it points at on its own origin, and nothing elsewhere', async () => {
      const elsewhere = 'http://elsewhere.invalid/near';
      const { fetch, origin } = await setup(suite, {
        '/': [{ status: 201, headers: { location: './near', 'content-location': elsewhere } }],
        '/near': [{ headers: cacheable, body: 'near' }],
        '/far': [{ headers: cacheable, body: 'far' }],
      });
      await (await fetch(origin.url('/near'))).text();
      await (await fetch(origin.url('/far'))).text();
      await (await fetch(origin.url('/'), { method: 'POST' })).text();

      expect(told(await fetch(origin.url('/near')), 'hit')).toBeUndefined();
      expect(told(await fetch(origin.url('/far')), 'hit')).toBe(true);
    });

    test('during a GET: its answer reaches who asked before, and is not kept', async () => {
      const { fetch, origin } = await setup(suite, [
        { headers: cacheable, body: 'old', hold: 'go' },
        { status: 204 },
        { headers: cacheable, body: 'new' },
      ]);

      const before = fetch(origin.url());
      await origin.reached(1);
      await fetch(origin.url(), { method: 'POST' });
      const after = fetch(origin.url());
      await origin.open('go');

      expect(await (await before).text()).toBe('old');
      expect(await (await after).text()).toBe('new');
      expect(await (await fetch(origin.url())).text()).toBe('new');
    });

    test('makes all variants unusable', async () => {
      const step = { headers: { ...cacheable, vary: 'x-v' }, echo: 'x-v' };
      const { fetch, origin } = await setup(suite, [step]);
      const ask = (variant: string): Promise<Response> => fetch(origin.url(), { headers: { 'x-v': variant } });
      for (const variant of ['a', 'b', 'c']) await (await ask(variant)).text();
      expect(told(await ask('c'), 'hit')).toBe(true);
      await (await fetch(origin.url(), { method: 'DELETE' })).text();

      for (const variant of ['c', 'b', 'a']) {
        const response = await ask(variant);
        expect([told(response, 'hit'), await response.text()]).toEqual([undefined, variant]);
      }
    });
  });

  describe('an invalidation by hand', () => {
    test('by URL, whatever its fragment', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable }]);
      await (await fetch(origin.url('/#a'))).text();
      expect(told(await fetch(origin.url('/#b')), 'hit')).toBe(true);

      await fetch.invalidate(origin.url('/#c'));

      expect(told(await fetch(origin.url()), 'hit')).toBeUndefined();
    });

    test.for([
      ['cache-tag', 'a, post:1'],
      ['surrogate-key', 'a post:1'],
    ] as const)('by the tags in %s', async ([name, tags]) => {
      const { fetch, clock, origin } = await setup(suite, {
        '/tagged': [{ headers: { ...cacheable, [name]: tags } }],
        '/other': [{ headers: { ...cacheable, [name]: 'post:11' } }],
      });
      for (const path of ['/tagged', '/other']) await (await fetch(origin.url(path))).text();

      clock.advance(1);
      await fetch.invalidateTags('post:1');

      expect(told(await fetch(origin.url('/tagged')), 'hit')).toBeUndefined();
      expect(told(await fetch(origin.url('/other')), 'hit')).toBe(true);
    });

    test('by the beginning of the path', async () => {
      const { fetch, clock, origin } = await setup(suite, [{ headers: cacheable }], { prefixTags: true });
      for (const path of ['/a/b/c', '/a/b', '/b']) await (await fetch(origin.url(path))).text();

      clock.advance(1);
      await fetch.invalidatePrefix(origin.url('/a/'));

      const hits = await Promise.all(
        ['/a/b/c', '/a/b', '/b'].map(async (path) => told(await fetch(origin.url(path)), 'hit')),
      );
      expect(hits).toEqual([undefined, undefined, true]);
    });
  });

  describe('a HEAD', () => {
    test('is answered from what a GET left, without its body', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello' }]);
      await (await fetch(origin.url())).text();

      const head = await fetch(origin.url(), { method: 'HEAD' });

      expect([told(head, 'hit'), head.headers.get('content-length'), await head.text()]).toEqual([true, '5', '']);
    });

    test('is kept by itself, and never answers a GET', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello' }]);
      const heads = [await fetch(origin.url(), { method: 'HEAD' }), await fetch(origin.url(), { method: 'head' })];

      const get = await fetch(origin.url());

      expect(heads.map((response) => response.headers.get('content-length'))).toEqual(['5', '5']);
      expect(await get.text()).toBe('hello');
      expect((await origin.seen()).map(({ method }) => method)).toEqual(['HEAD', 'GET']);
    });

    test('brings a stale GET up to date when it is the same still', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { ...cacheable, etag: '"1"' }, body: 'hello' },
        { headers: { ...cacheable, etag: '"1"', 'content-length': '5', 'x-new': 'n' } },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(60_000);
      await fetch(origin.url(), { method: 'HEAD' });

      const get = await fetch(origin.url());

      expect([told(get, 'hit'), get.headers.get('x-new'), await get.text()]).toEqual([true, 'n', 'hello']);
    });

    test('brings one without a validator up to date by its length, and no other', async () => {
      for (const length of ['5', '6'])
        for (const chunked of [true, false]) {
          const { fetch, clock, origin } = await setup(suite, [
            { headers: cacheable, body: 'hello', chunked },
            { headers: { ...cacheable, 'content-length': length } },
          ]);
          await (await fetch(origin.url())).text();
          clock.advance(60_000);
          await fetch(origin.url(), { method: 'HEAD' });

          const only = { headers: { 'cache-control': 'only-if-cached' } };
          expect((await fetch(origin.url(), only)).status).toBe(length === '5' ? 200 : 504);
        }
    });

    test('makes a stored GET unusable when it is not', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { ...cacheable, etag: '"1"' }, body: 'hello' },
        { headers: { ...cacheable, etag: '"2"', 'content-length': '3' } },
        { headers: { ...cacheable, etag: '"2"' }, body: 'new' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(60_000);
      const head = await fetch(origin.url(), { method: 'HEAD' });
      const get = await fetch(origin.url());

      expect(head.headers.get('etag')).toBe('"2"');
      expect(await get.text()).toBe('new');
      expect((await origin.seen())[2]!.headers['if-none-match']).toBeUndefined();
    });
  });
}
