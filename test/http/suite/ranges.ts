import { byteRanges, type CachedFetchOptions } from '../../../src/http/index.js';
import type { OriginStep } from '../../support/scripted-origin.js';
import { setup, told, type HttpParts, type HttpSuite } from './setup.js';

const BODY = '0123456789';
const MADE = 'Tue, 14 Nov 2023 22:13:20 GMT';
const EARLIER = 'Tue, 14 Nov 2023 22:13:19 GMT';
const FIELDS = { 'cache-control': 'max-age=60', 'content-type': 'text/plain', etag: '"1"' };

/** Parts of stored bodies (RFC 9110 §14). */
export function ranges(suite: HttpSuite): void {
  const { describe, test, expect } = suite;

  /** A cache that has stored the answer of the first step. */
  async function stored(steps: readonly OriginStep[], options: CachedFetchOptions = {}): Promise<HttpParts> {
    const parts = await setup(suite, steps, { use: [byteRanges()], ...options });
    await (await parts.fetch(parts.origin.url())).text();
    return parts;
  }

  const step = (more: Record<string, string> = {}, rest: OriginStep = {}): OriginStep => ({
    headers: { ...FIELDS, ...more },
    body: BODY,
    ...rest,
  });

  describe('a request for a part of a stored body', () => {
    test.for([
      ['bytes=0-0', '0', 'bytes 0-0/10'],
      ['bytes=2-4', '234', 'bytes 2-4/10'],
      ['bytes=2-', '23456789', 'bytes 2-9/10'],
      ['bytes=8-100', '89', 'bytes 8-9/10'],
      ['bytes=0-999999999999999', BODY, 'bytes 0-9/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
      ['bytes=-30', BODY, 'bytes 0-9/10'],
      ['BYTES = 2-4', '234', 'bytes 2-4/10'],
      ['bytes=2-4,', '234', 'bytes 2-4/10'],
      ['bytes=2-4, 50-60', '234', 'bytes 2-4/10'],
      ['bytes=4-6, 2-4, 7-7', '234567', 'bytes 2-7/10'],
      ['bytes=0-9, 3-4, -1', BODY, 'bytes 0-9/10'],
    ] as const)('%s gets %s, and the origin is not asked', async ([range, text, field]) => {
      const { fetch, origin } = await stored([step()]);

      const response = await fetch(origin.url(), { headers: { range } });

      expect([response.status, response.headers.get('content-range'), told(response, 'hit')]).toEqual([
        206,
        field,
        true,
      ]);
      expect(response.headers.get('content-length')).toBe(String(text.length));
      expect(['content-type', 'etag', 'cache-control'].map((name) => response.headers.get(name))).toEqual([
        'text/plain',
        '"1"',
        'max-age=60',
      ]);
      expect([response.headers.has('date'), response.headers.get('age')]).toEqual([true, '0']);
      expect(await response.text()).toBe(text);
      expect(await (await fetch(origin.url())).text()).toBe(BODY);
      expect(await origin.seen()).toHaveLength(1);
    });

    test.for([['bytes=10-'], ['bytes=10-20'], ['bytes=-0'], ['bytes=10-11, 12-13']] as const)(
      'that it has nothing of gets a 416 with its length (%s)',
      async ([range]) => {
        const { fetch, origin } = await stored([step()]);

        const response = await fetch(origin.url(), { headers: { range } });

        expect([response.status, response.headers.get('content-range')]).toEqual([416, 'bytes */10']);
        expect([await response.text(), response.headers.get('content-length')]).toEqual(['', '0']);
        // A cache in front must not keep it for those who ask for all.
        expect([response.headers.get('cache-control'), response.headers.get('etag')]).toEqual(['no-store', null]);
        expect(await origin.seen()).toHaveLength(1);
      },
    );

    test.for([
      ['of another unit', 'lines=0-1'],
      ['without a unit', '0-1'],
      ['without a range', 'bytes='],
      ['without a range, but with a comma', 'bytes=,'],
      ['that ends before it begins', 'bytes=4-2'],
      ['that is no number', 'bytes=a-b'],
      ['that is negative', 'bytes=--1'],
      ['that has no end at all', 'bytes=-'],
      ['one of which makes no sense', 'bytes=0-1, x'],
      ['beyond what numbers can hold', 'bytes=0-9999999999999999999'],
      ['of several ranges apart', 'bytes=0-1, 5-6'],
    ] as const)('%s gets all of it', async ([, range]) => {
      const { fetch, origin } = await stored([step()]);

      const response = await fetch(origin.url(), { headers: { range } });

      expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([
        200,
        null,
        BODY,
      ]);
      expect(await origin.seen()).toHaveLength(1);
    });

    test.for([
      ['the same ETag', '"1"', {}, 206],
      ['another ETag', '"2"', {}, 200],
      ['a weak ETag, even the same', 'W/"1"', { etag: 'W/"1"' }, 200],
      ['the same date, a second older than the answer', EARLIER, { 'last-modified': EARLIER, date: MADE }, 206],
      ['the same date, but not older than the answer', MADE, { 'last-modified': MADE, date: MADE }, 200],
      ['another date', EARLIER, { 'last-modified': MADE, date: MADE }, 200],
      ['a date, where none is known', EARLIER, {}, 200],
      ['nonsense', 'nonsense', { 'last-modified': 'nonsense' }, 200],
    ] as const)('with `If-Range` of %s', async ([, condition, more, status]) => {
      const { fetch, origin } = await stored([step(more)]);

      const headers = { range: 'bytes=2-4', 'if-range': condition };
      const response = await fetch(origin.url(), { headers });

      expect([response.status, await response.text()]).toEqual([status, status === 206 ? '234' : BODY]);
      expect(await origin.seen()).toHaveLength(1);
    });

    test('with a copy of all of it is told so first, even for what is out of range', async () => {
      const { fetch, origin } = await stored([step()]);

      for (const range of ['bytes=2-4', 'bytes=20-']) {
        const response = await fetch(origin.url(), { headers: { range, 'if-none-match': '"1"' } });
        expect([response.status, response.headers.get('content-range')]).toEqual([304, null]);
      }
      const other = await fetch(origin.url(), { headers: { range: 'bytes=2-4', 'if-none-match': '"2"' } });
      expect(other.status).toBe(206);
    });

    test('by HEAD gets the head of all of it, and `If-Range` without a range means nothing', async () => {
      const { fetch, origin } = await stored([step()]);

      const head = await fetch(origin.url(), { method: 'HEAD', headers: { range: 'bytes=2-4' } });
      const bare = await fetch(origin.url(), { headers: { 'if-range': '"2"' } });

      expect([head.status, head.headers.get('content-range'), told(head, 'hit')]).toEqual([200, null, true]);
      expect([bare.status, told(bare, 'hit'), await bare.text()]).toEqual([200, true, BODY]);
    });

    test.for([
      ['with a `Content-Encoding`, whose bytes these are not', { 'content-encoding': 'identity' }, {}, 200],
      ['that is empty', {}, { body: '' }, 200],
      ['of an error', {}, { status: 404 }, 404],
    ] as const)('%s gets all of it', async ([, more, rest, status]) => {
      const { fetch, origin } = await stored([step(more, rest)]);

      const response = await fetch(origin.url(), { headers: { range: 'bytes=0-1' } });

      expect([response.status, response.headers.get('content-range'), told(response, 'hit')]).toEqual([
        status,
        null,
        true,
      ]);
    });

    test('that is stale is validated first, and the part is of what the origin confirms', async () => {
      const { fetch, clock, origin } = await stored([step(), { status: 304, headers: FIELDS }]);
      clock.advance(61_000);

      const response = await fetch(origin.url(), { headers: { range: 'bytes=2-4', 'if-range': '"1"' } });

      expect([response.status, await response.text()]).toEqual([206, '234']);
      const { headers } = (await origin.seen())[1]!;
      expect([headers['range'], headers['if-range'], headers['if-none-match']]).toEqual([undefined, undefined, '"1"']);
      const again = await fetch(origin.url(), { headers: { range: 'bytes=0-1' } });
      expect([again.status, told(again, 'hit')]).toEqual([206, true]);
    });

    test('that has changed meanwhile gets all of the new body, which is stored', async () => {
      const { fetch, clock, origin } = await stored([step(), step({ etag: '"2"' }, { body: 'changed' })]);
      clock.advance(61_000);

      const response = await fetch(origin.url(), { headers: { range: 'bytes=2-4' } });

      expect([response.status, await response.text()]).toEqual([200, 'changed']);
      const next = await fetch(origin.url(), { headers: { range: 'bytes=2-4' } });
      expect([next.status, await next.text(), told(next, 'hit')]).toEqual([206, 'ang', true]);
    });

    test('that is stale may come from it while it is renewed as a whole, or while the origin fails', async () => {
      const windows = { 'cache-control': 'max-age=1, stale-while-revalidate=60, stale-if-error=600' };
      const { fetch, clock, origin } = await stored([
        step(windows),
        step({ ...windows, etag: '"2"' }, { body: 'abcdefghij' }),
        { status: 503 },
      ]);
      const ask = async (): Promise<[number, string, unknown]> => {
        const response = await fetch(origin.url(), { headers: { range: 'bytes=0-2' } });
        return [response.status, await response.text(), told(response, 'detail')];
      };
      clock.advance(2_000);
      const stale = await ask();
      await fetch.cache.idle();
      const renewed = await ask();
      clock.advance(120_000);
      const failing = await ask();

      expect([stale, renewed, failing]).toEqual([
        [206, '012', 'stale-while-revalidate'],
        [206, 'abc', undefined],
        [206, 'abc', 'stale-if-error'],
      ]);
      expect((await origin.seen()).map(({ headers }) => headers['range'])).toEqual([undefined, undefined, undefined]);
    });

    test('follows the variant of the client', async () => {
      const varied = { ...FIELDS, vary: 'accept-language' };
      const { fetch, origin } = await setup(
        suite,
        [
          { headers: varied, body: 'english' },
          { headers: varied, body: 'deutsch' },
        ],
        { use: [byteRanges()] },
      );
      for (const language of ['en', 'de'])
        await (await fetch(origin.url(), { headers: { 'accept-language': language } })).text();

      const parts = [];
      for (const language of ['en', 'de'])
        parts.push(
          await (await fetch(origin.url(), { headers: { 'accept-language': language, range: 'bytes=0-2' } })).text(),
        );

      expect(parts).toEqual(['eng', 'deu']);
    });
  });

  describe('a request for a part of what is not stored', () => {
    const part: OriginStep = {
      status: 206,
      headers: { ...FIELDS, 'content-range': 'bytes 2-4/10' },
      body: '234',
    };

    test('goes to the origin as it is, and its 206 is not stored', async () => {
      const { fetch, origin } = await setup(suite, [part, step()], { use: [byteRanges()] });
      const headers = { range: 'bytes=2-4', 'if-range': '"1"' };

      const response = await fetch(origin.url(), { headers });

      expect([response.status, await response.text(), told(response, 'fwd')]).toEqual([206, '234', 'uri-miss']);
      expect((await origin.seen())[0]!.headers).toMatchObject(headers);
      const whole = await fetch(origin.url());
      expect([told(whole, 'hit'), await whole.text()]).toEqual([undefined, BODY]);
    });

    test('never gets a part of a body that breaks off', async () => {
      const broken = step({ 'content-length': '10' }, { before: 5, holdBody: 'go', then: 'reset' });
      const { fetch, clock, origin } = await stored([step(), broken, step({ etag: '"2"' })]);
      clock.advance(61_000);
      const leader = (await fetch(origin.url())).text().catch(() => 'broken');
      await origin.reached(2);

      const follower = fetch(origin.url(), { headers: { range: 'bytes=-3' } });
      await origin.open('go');

      expect(await leader).toBe('broken');
      // All of it, as far as it got: a part would be one of a body with another length.
      const { status, headers } = await follower;
      expect([status, headers.get('content-range')]).toEqual([200, null]);
    });

    test('stays away from the origin where only what is cached is wanted', async () => {
      const { fetch, origin } = await setup(suite, [step()], { use: [byteRanges()] });

      const response = await fetch(origin.url(), {
        headers: { range: 'bytes=2-4', 'cache-control': 'only-if-cached' },
      });

      expect([response.status, await origin.seen()]).toEqual([504, []]);
    });
  });

  describe('without `byteRanges()`', () => {
    test.for([
      ['the option', { onlyIfCached: true }, {}],
      ['the request', {}, { 'cache-control': 'only-if-cached' }],
    ] as const)('no part comes from the origin where %s wants only what is cached', async ([, options, headers]) => {
      const { fetch, origin } = await setup(suite, [step()], options);

      const response = await fetch(origin.url(), { headers: { range: 'bytes=2-4', ...headers } });

      expect([response.status, told(response, 'detail'), await origin.seen()]).toEqual([504, 'only-if-cached', []]);
    });
  });
}
