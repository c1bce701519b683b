import { setup, told, type HttpSuite } from './setup.js';

/** What an operator decides instead of the origin and the client. */
export function operator(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const minute = { 'cache-control': 'max-age=60' };

  describe('the option `clientCacheControl`', () => {
    test.for([
      [{ 'cache-control': 'no-cache' }],
      [{ 'cache-control': 'no-store' }],
      [{ 'cache-control': 'max-age=0' }],
      [{ 'cache-control': 'min-fresh=600' }],
      [{ pragma: 'no-cache' }],
    ] as const)("with 'ignore' lets nobody get past what is stored (%j)", async ([headers]) => {
      for (const clientCacheControl of ['ignore', 'respect'] as const) {
        const { fetch, clock, origin } = await setup(suite, [{ headers: minute, body: 'x' }], { clientCacheControl });
        await (await fetch(origin.url(), { headers })).text();
        clock.advance(1_000);

        expect(told(await fetch(origin.url(), { headers }), 'hit') === true).toBe(clientCacheControl === 'ignore');
      }
    });

    test("with 'ignore' also stands against what a client would allow", async () => {
      const { fetch, clock, origin } = await setup(suite, [{ headers: minute, body: 'x' }], {
        clientCacheControl: 'ignore',
      });
      await (await fetch(origin.url())).text();
      clock.advance(61_000);

      const response = await fetch(origin.url(), { headers: { 'cache-control': 'max-stale, only-if-cached' } });

      expect([response.status, told(response, 'fwd')]).toEqual([200, 'stale']);
    });
  });

  describe('the option `lifetime`', () => {
    test('decides by request and response, and leaves to the response what it says nothing of', async () => {
      const asked: string[] = [];
      const { fetch, clock, origin } = await setup(
        suite,
        { '*': [{ headers: { 'cache-control': 'max-age=5', 'x-kind': 'a' }, body: 'x' }], '/bare': [{ body: 'x' }] },
        {
          lifetime: (request, response) => {
            asked.push(`${request.method} ${request.headers.get('accept')} ${response.headers.get('x-kind')}`);
            return request.url.endsWith('/other') ? undefined : request.url.endsWith('/none') ? 0 : '10s';
          },
        },
      );
      const paths = ['/', '/bare', '/other', '/none'];
      for (const path of paths) await (await fetch(origin.url(path), { headers: { accept: 'text/plain' } })).text();
      clock.advance(9_000);

      const hits = [];
      for (const path of paths) hits.push(told(await fetch(origin.url(path)), 'hit') === true);

      expect(hits).toEqual([true, true, false, false]);
      expect(asked[0]).toBe('GET text/plain a');
    });

    test('keeps an error for a while, so that a failing origin is left alone', async () => {
      const { fetch, clock, origin } = await setup(
        suite,
        [
          { status: 503, headers: { 'retry-after': '5' }, body: 'busy' },
          { headers: minute, body: 'well' },
        ],
        {
          lifetime: (_request, { status, headers }) =>
            status >= 500 ? Number(headers.get('retry-after')) * 1_000 : undefined,
        },
      );

      const statuses = [];
      for (const seconds of [0, 4, 1]) {
        clock.advance(seconds * 1_000);
        const response = await fetch(origin.url());
        statuses.push(response.status);
        await response.text();
      }

      expect(statuses).toEqual([503, 503, 200]);
      expect(await origin.seen()).toHaveLength(2);
    });

    test.for([
      ['no-store', { 'cache-control': 'no-store' }, {}],
      ['private', { 'cache-control': 'private' }, {}],
      ['no-cache', { 'cache-control': 'no-cache', etag: '"1"' }, {}],
      ['a cookie', { 'set-cookie': 'a=1' }, {}],
      ['credentials', {}, { headers: { authorization: 'me' } }],
    ] as const)('makes nobody see what is not theirs (%s)', async ([, headers, init]) => {
      const { fetch, origin } = await setup(suite, [{ headers, body: 'x' }], { lifetime: () => '1m' });
      await (await fetch(origin.url(), init)).text();

      expect(told(await fetch(origin.url()), 'hit')).toBeUndefined();
    });
  });
}
