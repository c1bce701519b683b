import { httpEvents, type HttpEvent } from '../../../src/http/index.js';
import { setup, type HttpSuite } from './setup.js';

/** What an HTTP cache tells of its requests. */
export function events(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const minute = { 'cache-control': 'max-age=60' };
  const short = (event: HttpEvent): string =>
    [
      event.type,
      event.type === 'answered' ? event.outcome : '',
      event.type === 'not-stored' ? event.why : '',
      event.type !== 'answered' && event.background ? 'in the background' : '',
    ]
      .filter((part) => part !== '')
      .join(' ');

  describe('what `httpEvents()` tells', () => {
    test('is one answer per request, and what became of each load', async () => {
      const told: string[] = [];
      const heard = httpEvents((event) => told.push(short(event)));
      const windows = { 'cache-control': 'max-age=10, stale-while-revalidate=10, stale-if-error=600', etag: '"1"' };
      const { fetch, clock, origin } = await setup(
        suite,
        {
          '/a': [
            { headers: windows, body: 'a' },
            { status: 304, headers: windows },
            { status: 304, headers: windows },
            { status: 503 },
          ],
          '/private': [{ headers: { 'cache-control': 'private' } }],
        },
        { use: [heard] },
      );
      const ask = async (path: string, init?: RequestInit): Promise<void> => {
        await (await fetch(origin.url(path), init)).text();
        await fetch.cache.idle();
      };

      await ask('/a');
      await ask('/a');
      clock.advance(11_000);
      await ask('/a');
      clock.advance(21_000);
      await ask('/a');
      clock.advance(100_000);
      await ask('/a');
      await ask('/private');
      await ask('/a', { method: 'POST', body: 'x' });
      await ask('/b', { headers: { 'cache-control': 'only-if-cached' } });

      expect(told).toEqual([
        'answered miss',
        'stored',
        'answered hit',
        'answered stale',
        'revalidated in the background',
        'answered revalidated',
        'revalidated',
        'answered fallback',
        'answered miss',
        'not-stored private',
        'answered bypass',
        'answered refused',
      ]);
      expect(heard.getStats()).toEqual({
        requests: 8,
        answered: { hit: 1, stale: 1, revalidated: 1, shared: 0, miss: 2, fallback: 1, bypass: 1, refused: 1 },
        stored: 1,
        revalidated: 2,
        notStored: { private: 1 },
      });
    });

    test('counts a thousand requests for one answer as a thousand, whatever the cache behind does', async () => {
      const heard = httpEvents();
      const { fetch, origin } = await setup(suite, [{ headers: minute, body: 'x', hold: 'go' }], { use: [heard] });
      const asked = Array.from({ length: 1_000 }, () => fetch(origin.url()));
      await origin.reached(1);
      await origin.open('go');
      await Promise.all(asked.map(async (response) => (await response).text()));

      const { requests, answered, stored } = heard.getStats();
      expect([requests, answered.miss, answered.shared, stored]).toEqual([1_000, 1, 999, 1]);
    });

    test.for([
      ['no-store', { headers: { 'cache-control': 'no-store' } }],
      ['set-cookie', { headers: { ...minute, 'set-cookie': 'a=b' } }],
      ['vary', { headers: { ...minute, vary: '*' } }],
      ['no-lifetime', {}],
      ['too-large', { headers: minute, size: 100, chunked: true }],
    ] as const)('is why a response was not stored (%s)', async ([why, step]) => {
      const told: HttpEvent[] = [];
      const use = [httpEvents((event) => told.push(event))];
      const { fetch, origin } = await setup(suite, [{ body: 'x', ...step }], { use, maxBodySize: 50 });

      await (await fetch(origin.url())).text();

      await expect
        .poll(() => told.at(-1))
        .toEqual({
          type: 'not-stored',
          why,
          method: 'GET',
          url: origin.url(),
          key: origin.url(),
          background: false,
        });
    });

    test('costs no request anything where the listener throws', async () => {
      const use = [
        httpEvents(() => {
          throw new Error('of the listener');
        }),
      ];
      const { fetch, origin } = await setup(suite, [{ headers: minute, body: 'x' }], { use });

      expect([await (await fetch(origin.url())).text(), await (await fetch(origin.url())).text()]).toEqual(['x', 'x']);
      expect(() => httpEvents('log' as never)).toThrow('Expected `listener` to be a function');
    });
  });
}
