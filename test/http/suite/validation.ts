import { crowd, setup, texts, told, type HttpSuite } from './setup.js';

/** Asking whether what is stored still holds, and standing in for an origin that fails (RFC 9111 §4.3, RFC 5861 §4). */
export function validation(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const modified = new Date(1_600_000_000_000).toUTCString();

  describe('a stale response', () => {
    test('is validated, and a 304 renews it: headers merged, body kept', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        {
          headers: {
            'cache-control': 'max-age=10',
            etag: '"1"',
            'last-modified': modified,
            'x-old': 'o',
            'x-both': '1',
          },
          body: 'kept',
        },
        {
          status: 304,
          headers: {
            'cache-control': 'max-age=20',
            etag: '"1"',
            'x-both': '2',
            'content-length': '0',
            'content-encoding': 'gzip',
          },
        },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);

      const renewed = await fetch(origin.url());
      clock.advance(19_000);
      const next = await fetch(origin.url());

      const [, second] = await origin.seen();
      expect([second!.headers['if-none-match'], second!.headers['if-modified-since']]).toEqual(['"1"', modified]);
      expect([told(renewed, 'fwd'), told(renewed, 'fwd-status'), told(renewed, 'stored')]).toEqual([
        'stale',
        '304',
        true,
      ]);
      for (const response of [renewed, next]) {
        expect([response.status, await response.text()]).toEqual([200, 'kept']);
        expect([response.headers.get('x-old'), response.headers.get('x-both')]).toEqual(['o', '2']);
        expect([response.headers.get('content-encoding'), response.headers.get('content-length')]).toEqual([null, '4']);
      }
      expect(told(next, 'hit')).toBe(true);
    });

    test('is validated once for all who wait', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=10', etag: '"1"' }, body: 'kept' },
        { status: 304, headers: { etag: '"1"' }, hold: 'go' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);

      const callers = crowd(20, () => fetch(origin.url()));
      await origin.reached(2);
      await origin.open('go');

      expect(new Set(await texts(callers))).toEqual(new Set(['kept']));
      expect(await origin.seen()).toHaveLength(2);
    });

    test('gives way to a new one', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=10', etag: '"1"' }, body: 'old' },
        { headers: { 'cache-control': 'max-age=10', etag: '"2"' }, body: 'new' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);

      expect(await (await fetch(origin.url())).text()).toBe('new');
      expect(await (await fetch(origin.url())).text()).toBe('new');
      expect(await origin.seen()).toHaveLength(2);
    });

    test('is not renewed by a 304 about another one: the origin is asked again, without conditions', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=10', etag: '"1"' }, body: 'old' },
        { status: 304, headers: { etag: '"2"' } },
        { headers: { 'cache-control': 'max-age=10', etag: '"2"' }, body: 'new' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);

      expect(await (await fetch(origin.url())).text()).toBe('new');
      expect((await origin.seen())[2]!.headers['if-none-match']).toBeUndefined();
    });

    test('without a usable validator is simply fetched again', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=10', etag: 'unquoted', 'last-modified': 'yesterday' }, body: 'x' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);
      await (await fetch(origin.url())).text();

      const { headers } = (await origin.seen())[1]!;
      expect([headers['if-none-match'], headers['if-modified-since']]).toEqual([undefined, undefined]);
    });

    test('stays out of the cache when the 304 says so', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=10', etag: '"1"' }, body: 'kept' },
        { status: 304, headers: { etag: '"1"', 'cache-control': 'no-store' } },
        { headers: { 'cache-control': 'no-store' }, body: 'new' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);

      expect(await (await fetch(origin.url())).text()).toBe('kept');
      expect(await (await fetch(origin.url())).text()).toBe('new');
      expect((await origin.seen())[2]!.headers['if-none-match']).toBeUndefined();
    });
  });

  describe('a caller with a copy of its own (RFC 9111 §4.3.2)', () => {
    const headers = { 'cache-control': 'max-age=60', etag: 'W/"1"', 'last-modified': modified };

    test.for<[string, Record<string, string>, number]>([
      ['the same one', { 'if-none-match': '"0", "1"' }, 304],
      ['another one', { 'if-none-match': '"2"' }, 200],
      ['any one', { 'if-none-match': '*' }, 304],
      ['as new', { 'if-modified-since': modified }, 304],
      ['an older one', { 'if-modified-since': new Date(1_500_000_000_000).toUTCString() }, 200],
      ['another one, though as new', { 'if-none-match': '"2"', 'if-modified-since': modified }, 200],
      ['one from no date', { 'if-modified-since': 'now' }, 200],
    ])('that is %s is told so, from the cache and by the first request alike', async ([, condition, status]) => {
      const { fetch, origin } = await setup(suite, [{ headers, body: 'x' }]);

      const first = await fetch(origin.url(), { headers: condition });
      await fetch.cache.idle();
      const next = await fetch(origin.url(), { headers: condition });

      expect([first.status, next.status]).toEqual([status, status]);
      expect(await next.text()).toBe(status === 304 ? '' : 'x');
      expect(next.headers.get('etag')).toBe('W/"1"');
      expect(await origin.seen()).toHaveLength(1);
      expect((await origin.seen())[0]!.headers['if-none-match']).toBeUndefined();
    });
  });

  test('a caller whose copy is newer than the `Date` of a response without `Last-Modified` is told so', async () => {
    const { fetch, clock, origin } = await setup(suite, [{ headers: { 'cache-control': 'max-age=60' }, body: 'x' }]);
    await (await fetch(origin.url())).text();
    const since = (ms: number): Promise<Response> =>
      fetch(origin.url(), { headers: { 'if-modified-since': new Date(clock.now() + ms).toUTCString() } });

    const statuses = [(await since(-1_000)).status, (await since(0)).status, (await since(5_000)).status];

    expect(statuses).toEqual([200, 304, 304]);
    expect(await origin.seen()).toHaveLength(1);
  });

  describe('a caller with a copy of what is not stored', () => {
    const copy = { 'if-none-match': '"1"' };
    const unchanged = (control: string): object => ({
      status: 304,
      headers: { 'cache-control': control, etag: '"1"' },
    });

    test.for([
      ['private', 'private, max-age=60'],
      ['no-store', 'no-store'],
      ['too large', 'max-age=60'],
    ] as const)('that is %s: the origin can say that it is unchanged', async ([, control]) => {
      const { fetch, origin } = await setup(
        suite,
        [{ headers: { 'cache-control': control, etag: '"1"' }, size: 100_000, chunked: true }, unchanged(control)],
        { maxBodySize: 50_000 },
      );
      await (await fetch(origin.url())).text();

      for (const headers of [copy, { 'if-modified-since': new Date(1e12).toUTCString() }])
        expect((await fetch(origin.url(), { headers })).status).toBe(304);
      expect((await origin.seen()).map(({ headers }) => headers['if-none-match'])).toEqual([
        undefined,
        '"1"',
        undefined,
      ]);
      expect((await origin.seen())[2]?.headers['if-modified-since']).toBeDefined();
    });

    test('with credentials: from the first request on', async () => {
      const { fetch, origin } = await setup(suite, [unchanged('max-age=60')]);

      const response = await fetch(origin.url(), { headers: { ...copy, authorization: 'me' } });

      expect([response.status, response.headers.get('etag')]).toEqual([304, '"1"']);
      expect(await origin.seen()).toHaveLength(1);
    });

    test('many at once: each by its own condition', async () => {
      const { fetch, origin } = await setup(suite, [
        { headers: { 'cache-control': 'private', etag: '"1"' }, body: 'x' },
        { ...unchanged('private'), hold: 'go' },
      ]);
      await (await fetch(origin.url())).text();

      const callers = crowd(3, (index) => fetch(origin.url(), { headers: { 'if-none-match': `"${index}"` } }));
      await origin.reached(4);
      await origin.open('go');

      expect((await Promise.all(callers)).map(({ status }) => status)).toEqual([304, 304, 304]);
      const asked = (await origin.seen()).map(({ headers }) => headers['if-none-match']);
      expect(new Set(asked.slice(1))).toEqual(new Set(['"0"', '"1"', '"2"']));
    });

    test('is no reason never to store what has become storable', async () => {
      const { fetch, origin } = await setup(suite, [
        { headers: { 'cache-control': 'private', etag: '"1"' }, body: 'mine' },
        unchanged('max-age=60'),
        { headers: { 'cache-control': 'max-age=60', etag: '"1"' }, body: 'ours' },
      ]);
      await (await fetch(origin.url())).text();

      expect((await fetch(origin.url(), { headers: copy })).status).toBe(304);
      await fetch.cache.idle();
      const next = await fetch(origin.url());

      expect([told(next, 'hit'), await next.text()]).toEqual([true, 'ours']);
    });
  });

  describe('an origin that fails (RFC 5861 §4)', () => {
    const lasting = { 'cache-control': 'max-age=10, stale-if-error=100' };

    test.for([[500], [502], [503], [504]])('with %s: what is stored stands in, within its window', async ([status]) => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: lasting, body: 'old' },
        { status: status!, body: 'error' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(109_000);

      const inside = await fetch(origin.url());
      clock.advance(1_000);
      const after = await fetch(origin.url());

      expect([inside.status, await inside.text(), told(inside, 'detail')]).toEqual([200, 'old', 'stale-if-error']);
      expect([after.status, await after.text()]).toEqual([status, 'error']);
    });

    test('by breaking the connection: the same, and it is not asked again at once', async () => {
      const { fetch, clock, origin } = await setup(suite, [{ headers: lasting, body: 'old' }, { then: 'reset' }]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);

      for (let times = 0; times < 5; times += 1) expect(await (await fetch(origin.url())).text()).toBe('old');

      expect((await origin.seen()).length).toBeLessThanOrEqual(3);
    });

    test.for([['must-revalidate'], ['no-cache'], ['proxy-revalidate']])(
      'is not hidden against %s',
      async ([directive]) => {
        const { fetch, clock, origin } = await setup(suite, [
          { headers: { 'cache-control': `max-age=10, stale-if-error=100, ${directive}`, etag: '"1"' }, body: 'old' },
          { status: 503, body: 'error' },
        ]);
        await (await fetch(origin.url())).text();
        clock.advance(10_000);

        for (const response of [await fetch(origin.url()), await fetch(origin.url())])
          expect([response.status, await response.text()]).toEqual([503, 'error']);
      },
    );

    test.for([
      ['says nothing', undefined, 200, 'old'],
      ['states a lifetime', 'max-age=10', 200, 'old'],
      ['states a shorter window', 'max-age=10, stale-if-error=5', 503, ''],
      ['states none', 'max-age=10, stale-if-error=0', 503, ''],
      ['states nonsense', 'max-age=10, stale-if-error=x', 503, ''],
      ['says must-revalidate', 'max-age=10, must-revalidate', 503, ''],
      ['says no-cache', 'no-cache', 503, ''],
      ['says no-store', 'no-store', 503, ''],
      ['says s-maxage', 's-maxage=10', 503, ''],
      ['says private', 'private, max-age=10', 503, ''],
    ] as const)('with `defaultStaleIfError`: what an origin sent that %s', async ([, control, status, body]) => {
      const headers = control === undefined ? {} : { 'cache-control': control };
      const { fetch, clock, origin } = await setup(suite, [{ headers, body: 'old' }, { status: 503 }], {
        defaultStaleIfError: '1m',
      });
      await (await fetch(origin.url())).text();
      clock.advance(50_000);

      for (const response of [await fetch(origin.url()), await fetch(origin.url())])
        expect([response.status, await response.text()]).toEqual([status, body]);
      clock.advance(61_000);
      expect((await fetch(origin.url())).status).toBe(503);
    });

    test('with `defaultStaleIfError`: an error that may be cached is not kept for longer, nor is a refusal hidden', async () => {
      const { fetch, clock, origin } = await setup(
        suite,
        {
          '/error': [{ status: 500, headers: { 'cache-control': 'max-age=10' }, body: 'first' }, { status: 503 }],
          '/refusal': [{ headers: { 'cache-control': 'max-age=10' }, body: 'old' }, { status: 403 }],
        },
        { defaultStaleIfError: '1m', defaultStaleWhileRevalidate: '5s' },
      );
      for (const path of ['/error', '/refusal']) await (await fetch(origin.url(path))).text();
      clock.advance(11_000);

      expect((await fetch(origin.url('/error'))).status).toBe(503);
      clock.advance(10_000);
      expect((await fetch(origin.url('/refusal'))).status).toBe(403);
    });

    test('is asked again for a later request that nothing may stand in for', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=10, must-revalidate', etag: '"1"' }, body: 'old' },
        { then: 'reset' },
        { then: 'reset' },
        { headers: { 'cache-control': 'max-age=10' }, body: 'new' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(10_000);

      await expect(fetch(origin.url())).rejects.toThrow();
      clock.advance(1);
      // Node's fetch may itself try once more on a connection that was kept alive.
      await fetch(origin.url()).then(
        (response) => response.text(),
        () => {},
      );
      clock.advance(1);

      expect(await (await fetch(origin.url())).text()).toBe('new');
    });

    test('fails all who wait with the very error that fetch gives', async () => {
      const { fetch, origin } = await setup(suite, [{ then: 'reset' }]);

      const plain = await globalThis.fetch(origin.url()).catch((error: unknown) => error as Error);
      const outcomes = await Promise.allSettled(crowd(10, () => fetch(origin.url())));

      for (const outcome of outcomes) {
        const { name, message } = (outcome as PromiseRejectedResult).reason as Error;
        expect({ name, message }).toEqual({ name: (plain as Error).name, message: (plain as Error).message });
      }
    });

    test('with an answer that is not to be stored, for one caller after another', async () => {
      const { fetch, origin } = await setup(suite, [
        { status: 500, body: 'one' },
        { status: 500, body: 'two' },
      ]);

      expect(await (await fetch(origin.url())).text()).toBe('one');
      expect(await (await fetch(origin.url())).text()).toBe('two');
    });
  });
}
