import type { OriginStep } from '../../support/scripted-origin.js';
import { setup, told, type HttpSuite } from './setup.js';

type Fields = NonNullable<OriginStep['headers']>;

/** What may be stored, and how long what is stored answers (RFC 9111 §3 to §5, RFC 5861 §3). */
export function reuse(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const date = (offset: number): string => new Date(1_700_000_000_000 + offset * 1_000).toUTCString();

  /** What the second of two requests, `seconds` after the first, is told: `'hit'`, or why it went forward. */
  async function second(headers: Fields, seconds: number, more: More = {}): Promise<string> {
    const step = { headers, body: 'x', ...(more.status === undefined ? {} : { status: more.status }) };
    const { fetch, clock, origin } = await setup(suite, [step], more.options);
    await (await fetch(origin.url(), more.first)).text();
    clock.advance(seconds * 1_000);
    const response = await fetch(origin.url(), { ...more.second, ...(more.mode && { cache: more.mode }) });
    await response.text();
    return told(response, 'hit') === true ? 'hit' : String(told(response, 'fwd'));
  }

  describe('a stored response (RFC 9111 §4.2)', () => {
    test.for<[string, Fields, number, string, More?]>([
      ['max-age', { 'cache-control': 'max-age=60' }, 59, 'hit'],
      ['max-age, over', { 'cache-control': 'max-age=60' }, 60, 'stale'],
      ['s-maxage before max-age', { 'cache-control': 'max-age=60, s-maxage=10' }, 11, 'stale'],
      [
        's-maxage in a private cache',
        { 'cache-control': 'max-age=60, s-maxage=10' },
        11,
        'hit',
        { options: { shared: false } },
      ],
      [
        'private in a private cache',
        { 'cache-control': 'private, max-age=60' },
        1,
        'hit',
        { options: { shared: false } },
      ],
      ['Expires', { expires: date(60), date: date(0) }, 59, 'hit'],
      ['Expires, over', { expires: date(60), date: date(0) }, 60, 'stale'],
      ['max-age before Expires', { 'cache-control': 'max-age=10', expires: date(60), date: date(0) }, 11, 'stale'],
      ['Age counts', { 'cache-control': 'max-age=60', age: '50' }, 10, 'stale'],
      ['an old Date counts', { 'cache-control': 'max-age=60', date: date(-50) }, 10, 'stale'],
      ['no lifetime', { etag: '"1"' }, 0, 'stale'],
      ['defaultTtl', {}, 9, 'hit', { options: { defaultTtl: '10s' } }],
      [
        'defaultTtl does not override',
        { 'cache-control': 'max-age=0' },
        1,
        'uri-miss',
        { options: { defaultTtl: '10s' } },
      ],
      ['heuristics', { 'last-modified': date(-100), date: date(0) }, 9, 'hit', { options: { heuristic: true } }],
      [
        'heuristics, over',
        { 'last-modified': date(-100), date: date(0) },
        10,
        'stale',
        { options: { heuristic: true } },
      ],
      [
        'a status without heuristics',
        { 'last-modified': date(-100) },
        1,
        'uri-miss',
        { options: { heuristic: true }, status: 403 },
      ],
      ['no-cache', { 'cache-control': 'no-cache, max-age=60', etag: '"1"' }, 0, 'stale'],
      ['no-store', { 'cache-control': 'no-store, max-age=60' }, 0, 'uri-miss'],
      ['must-understand', { 'cache-control': 'no-store, must-understand, max-age=60' }, 0, 'hit'],
      [
        'must-understand, not understood',
        { 'cache-control': 'must-understand, max-age=60' },
        0,
        'uri-miss',
        { status: 299 },
      ],
      ['404 with max-age', { 'cache-control': 'max-age=60' }, 1, 'hit', { status: 404 }],
      ['500 with max-age', { 'cache-control': 'max-age=60' }, 1, 'hit', { status: 500 }],
      ['an upper-case directive', { 'cache-control': 'MAX-AGE=60' }, 1, 'hit'],
      ['a quoted number', { 'cache-control': 'max-age="60"' }, 1, 'hit'],
      ['unknown directives', { 'cache-control': 'community="UCI, max-age=0", max-age=60' }, 1, 'hit'],
      [
        'immutable',
        { 'cache-control': 'max-age=60, immutable' },
        1,
        'hit',
        { second: { headers: { 'cache-control': 'max-age=0' } } },
      ],
      [
        'immutable and no-cache',
        { 'cache-control': 'max-age=60, immutable' },
        1,
        'request',
        { second: { headers: { 'cache-control': 'no-cache' } } },
      ],
      [
        'CDN-Cache-Control when asked for',
        { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=60' },
        1,
        'hit',
        { options: { targeted: true } },
      ],
      ['CDN-Cache-Control when not', { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=60' }, 1, 'uri-miss'],
      ...['max-age="10000"', 'max-age=1.5', 'max-age=abc', 'max-age', 's-maxage="9", max-age=60'].map(
        (field): [string, Fields, number, string, More] => [
          `CDN-Cache-Control with a value of another type (${field})`,
          { 'cache-control': 'no-store', 'cdn-cache-control': field },
          0,
          'uri-miss',
          { options: { targeted: true } },
        ],
      ),
      [
        'CDN-Cache-Control that is none',
        { 'cache-control': 'max-age=60', 'cdn-cache-control': 'max-age=' },
        1,
        'hit',
        { options: { targeted: true } },
      ],
    ])('by %s: %j, %d s later', async ([, headers, seconds, expected, more]) => {
      expect(await second(headers, seconds, more)).toBe(expected);
    });

    test('tells its age, when it was made, and how much longer it is fresh', async () => {
      const { fetch, clock, origin } = await setup(suite, [{ headers: { 'cache-control': 'max-age=60', age: '5' } }]);
      await (await fetch(origin.url())).text();
      clock.advance(10_900);

      const response = await fetch(origin.url());

      expect(response.headers.get('age')).toBe('15');
      expect(response.headers.get('date')).toBe(date(0));
      expect(told(response, 'ttl')).toBe('44');
      expect(told(response, 'hit')).toBe(true);
    });
  });

  describe('a request (RFC 9111 §5.2.1)', () => {
    const minute: Fields = { 'cache-control': 'max-age=60' };
    const asks = (value: string): More => ({ second: { headers: { 'cache-control': value } } });

    test.for<[string, Fields, number, string, More]>([
      ['no-cache', minute, 0, 'request', asks('no-cache')],
      ['Pragma: no-cache', minute, 0, 'request', { second: { headers: { pragma: 'no-cache' } } }],
      [
        'Pragma beside Cache-Control',
        minute,
        0,
        'hit',
        { second: { headers: { pragma: 'no-cache', 'cache-control': 'max-age=9' } } },
      ],
      ['max-age, young enough', minute, 10, 'hit', asks('max-age=10')],
      ['max-age, too old', minute, 11, 'request', asks('max-age=10')],
      ['min-fresh', minute, 10, 'hit', asks('min-fresh=50')],
      ['min-fresh, not long enough', minute, 11, 'request', asks('min-fresh=50')],
      ['max-stale', { ...minute, etag: '"1"' }, 65, 'hit', asks('max-stale=10')],
      ['max-stale, without a validator', minute, 65, 'hit', asks('max-stale=10')],
      ['the mode force-cache, long after', minute, 5_000, 'hit', { mode: 'force-cache' }],
      ['max-stale, beyond `retention`', minute, 90_000, 'uri-miss', asks('max-stale')],
      ['max-stale, without `retention`', minute, 65, 'uri-miss', { ...asks('max-stale'), options: { retention: 0 } }],
      ['max-stale, too stale', { ...minute, etag: '"1"' }, 71, 'stale', asks('max-stale=10')],
      ['max-stale without end', { ...minute, etag: '"1"' }, 5_000, 'hit', asks('max-stale')],
      [
        'max-stale against must-revalidate',
        { 'cache-control': 'max-age=60, must-revalidate', etag: '"1"' },
        61,
        'stale',
        asks('max-stale'),
      ],
      [
        'max-stale against proxy-revalidate',
        { 'cache-control': 'max-age=60, proxy-revalidate', etag: '"1"' },
        61,
        'stale',
        asks('max-stale'),
      ],
      ['max-stale against s-maxage', { 'cache-control': 's-maxage=60', etag: '"1"' }, 61, 'stale', asks('max-stale')],
      ['no-store, stored before', minute, 1, 'hit', asks('no-store')],
      ['no-store', minute, 1, 'uri-miss', { first: { headers: { 'cache-control': 'no-store' } } }],
    ])('that says %s', async ([, headers, seconds, expected, more]) => {
      expect(await second(headers, seconds, more)).toBe(expected);
    });

    test('that wants only what is cached gets it or a 504, and the origin is not asked', async () => {
      const { fetch, clock, origin } = await setup(suite, [{ headers: { ...minute, etag: '"1"' }, body: 'x' }]);
      const only = { headers: { 'cache-control': 'only-if-cached' } };

      const none = await fetch(origin.url(), only);
      await (await fetch(origin.url())).text();
      const fresh = await fetch(origin.url(), only);
      clock.advance(60_000);
      const stale = await fetch(origin.url(), only);

      expect([none.status, fresh.status, stale.status]).toEqual([504, 200, 504]);
      for (const response of [none, stale])
        expect(response.headers.get('cache-status')).toBe('soloflight; detail=only-if-cached');
      expect(await origin.seen()).toHaveLength(1);
    });

    test('with credentials shares only what is meant to be shared (§3.5)', async () => {
      const mine = { headers: { authorization: 'Bearer me' } };
      const withCookie = { headers: { cookie: 'id=1' } };
      for (const first of [mine, withCookie]) {
        expect(await second(minute, 0, { first })).toBe('uri-miss');
        expect(await second({ 'cache-control': 'public, max-age=60' }, 0, { first })).toBe('hit');
        expect(await second({ 'cache-control': 's-maxage=60' }, 0, { first })).toBe('hit');
        expect(await second({ 'cache-control': 'max-age=60, must-revalidate' }, 0, { first })).toBe('hit');
        expect(await second(minute, 0, { first, second: first, options: { shared: false } })).toBe('hit');
      }
    });

    test('for a part of the response passes through', async () => {
      const { fetch, origin } = await setup(suite, [
        { status: 206, headers: { ...minute, 'content-range': 'bytes 0-0/3' }, body: 'a' },
        { headers: minute, body: 'abc' },
      ]);

      const part = await fetch(origin.url(), { headers: { range: 'bytes=0-0' } });
      const whole = await fetch(origin.url());

      expect([part.status, await part.text()]).toEqual([206, 'a']);
      expect(told(part, 'fwd')).toBe('bypass');
      expect([whole.status, await whole.text()]).toEqual([200, 'abc']);
    });
  });

  describe('cookies', () => {
    test('are set for the caller who asked, never again, in a shared and in a private cache', async () => {
      const headers = { 'cache-control': 'max-age=60', 'set-cookie': ['a=1', 'b=2'] };
      const { fetch, origin } = await setup(suite, [{ headers }], { shared: false });

      const first = await fetch(origin.url());
      await first.text();
      const next = await fetch(origin.url());

      expect(first.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
      expect(told(next, 'hit')).toBe(true);
      expect(next.headers.getSetCookie()).toEqual([]);
    });

    test("that `private` or `no-cache` sets apart don't keep the rest from being shared", async () => {
      const { fetch, origin } = await setup(suite, [
        {
          headers: {
            'cache-control': 'max-age=60, private="Set-Cookie, X-Mine"',
            'set-cookie': 'a=1',
            'x-mine': 'm',
            'x-ours': 'o',
          },
        },
      ]);

      await (await fetch(origin.url())).text();
      const next = await fetch(origin.url());

      expect(told(next, 'hit')).toBe(true);
      expect([next.headers.get('set-cookie'), next.headers.get('x-mine'), next.headers.get('x-ours')]).toEqual([
        null,
        null,
        'o',
      ]);
    });
  });

  describe('stale-while-revalidate (RFC 5861 §3)', () => {
    test('answers at once and asks the origin in the background, once', async () => {
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=10, stale-while-revalidate=20' }, body: 'old' },
        { headers: { 'cache-control': 'max-age=10' }, body: 'new', hold: 'go' },
      ]);
      await (await fetch(origin.url())).text();
      clock.advance(29_000);

      const stale = await Promise.all([fetch(origin.url()), fetch(origin.url()), fetch(origin.url())]);
      await origin.open('go');
      await fetch.cache.idle();

      expect(stale.map((response) => told(response, 'detail'))).toEqual(Array(3).fill('stale-while-revalidate'));
      expect(await stale[0].text()).toBe('old');
      expect(await (await fetch(origin.url())).text()).toBe('new');
      expect(await origin.seen()).toHaveLength(2);
    });

    test.for([
      ['after its window', 'max-age=10, stale-while-revalidate=20', 30],
      ['with must-revalidate', 'max-age=10, stale-while-revalidate=20, must-revalidate', 11],
      ['with no-cache', 'no-cache, stale-while-revalidate=20', 1],
    ] as const)('does not answer %s', async ([, control, seconds]) => {
      expect(await second({ 'cache-control': control, etag: '"1"' }, seconds)).toBe('stale');
    });

    test.for([
      ['max-age=10', 12, 'hit'],
      ['max-age=10', 16, 'stale'],
      ['max-age=10, stale-while-revalidate=1', 12, 'stale'],
      ['max-age=10, must-revalidate', 12, 'stale'],
      ['s-maxage=10', 12, 'stale'],
    ] as const)(
      'comes from `defaultStaleWhileRevalidate` where it is not stated: %s, %d s later',
      async ([control, seconds, expected]) => {
        const options = { defaultStaleWhileRevalidate: '5s' } as const;
        expect(await second({ 'cache-control': control }, seconds, { options })).toBe(expected);
      },
    );

    test('holds beside s-maxage too', async () => {
      expect(await second({ 'cache-control': 's-maxage=10, stale-while-revalidate=20' }, 11)).toBe('hit');
    });
  });

  interface More {
    readonly options?: Parameters<typeof setup>[2];
    readonly status?: number;
    readonly mode?: 'force-cache';
    readonly first?: Init;
    readonly second?: Init;
  }
  type Init = { readonly headers: Record<string, string> };
}
