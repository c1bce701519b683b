import { errorLifetime, normalize } from '../../../src/http/index.js';
import { setup, told, type HttpSuite } from './setup.js';

/** Policies that come as functions: what varies, and how long errors last. */
export function policies(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const minute = { 'cache-control': 'max-age=60' };

  describe('`normalize()`', () => {
    test.for([
      ['en', 'en'],
      ['en-GB, de;q=0.5', 'en'],
      ['fr, de-CH;q=0.8, en;q=0.2', 'de'],
      ['DE', 'de'],
      ['pt', 'pt-BR'],
      ['*', 'en'],
      ['fr, *;q=0.1', 'en'],
      ['en;q=0.1, de;q=0.9', 'de'],
      ['en;q=0', 'none'],
      ['fr', 'none'],
    ] as const)('makes `Accept-Language: %s` %s, for the origin as well', async ([field, language]) => {
      const step = { headers: { ...minute, vary: 'accept-language' }, echo: 'accept-language' };
      const use = [normalize({ languages: ['en', 'de', 'pt-BR'] })];
      const { fetch, origin } = await setup(suite, [step], { use });
      const init = { headers: { 'accept-language': field } };

      // `fetch` of Node puts `*` where there is none.
      const text = await (await fetch(origin.url(), init)).text();
      expect(text === '*' ? 'none' : text).toBe(language);
      const other = await fetch(origin.url(), { headers: { 'accept-language': `${field}, xx;q=0.01` } });
      expect(told(other, 'hit')).toBe(true);
    });

    test.for([
      ['gzip, deflate, br, zstd', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0, gzip', 'gzip'],
      ['*', 'br'],
      ['zstd', 'identity'],
      ['br;q=0, *;q=0.5', 'gzip'],
    ] as const)('makes `Accept-Encoding: %s` %s', async ([field, encoding]) => {
      const step = { headers: { ...minute, vary: 'accept-encoding' }, body: 'x' };
      const use = [normalize({ encodings: ['br', 'gzip'] })];
      const { fetch, origin } = await setup(suite, [step], { use });
      await (await fetch(origin.url(), { headers: { 'accept-encoding': field } })).text();

      expect(told(await fetch(origin.url(), { headers: { 'accept-encoding': encoding } }), 'hit')).toBe(true);
    });

    test('is refused without names that make sense', () => {
      for (const options of [{ languages: [] }, { languages: 'en' }, { encodings: ['a b'] }, { language: ['en'] }])
        expect(() => normalize(options as never)).toThrow(TypeError);
    });
  });

  describe('`errorLifetime()`', () => {
    const made = 'Tue, 14 Nov 2023 22:13:20 GMT';
    test.for([
      ['seconds', 503, { 'retry-after': '5' }, 5],
      ['a date', 503, { 'retry-after': 'Tue, 14 Nov 2023 22:13:27 GMT', date: made }, 7],
      ['more than `max`', 429, { 'retry-after': '3600' }, 20],
      ['nonsense', 500, { 'retry-after': 'soon' }, 2],
      ['nothing', 502, {}, 2],
      ['something, for no error', 404, { 'retry-after': '5' }, 0],
    ] as const)('with a `Retry-After` that says %s (%s)', async ([, status, headers, seconds]) => {
      const { fetch, clock, origin } = await setup(
        suite,
        [
          { status, headers, body: 'busy' },
          { headers: minute, body: 'well' },
        ],
        { lifetime: errorLifetime({ ttl: '2s', max: '20s' }) },
      );
      const ask = async (): Promise<string> => (await fetch(origin.url())).text();
      await ask();

      clock.advance(Math.max(0, seconds * 1_000 - 1));
      const before = await ask();
      clock.advance(1);

      expect([before, await ask()]).toEqual([seconds === 0 ? 'well' : 'busy', 'well']);
    });

    test('does not keep a stored answer from standing in', async () => {
      const { fetch, clock, origin } = await setup(
        suite,
        [
          { headers: { 'cache-control': 'max-age=1, stale-if-error=600' }, body: 'well' },
          { status: 503, headers: { 'retry-after': '5' } },
        ],
        { lifetime: errorLifetime() },
      );
      await (await fetch(origin.url())).text();
      clock.advance(2_000);

      const response = await fetch(origin.url());

      expect([response.status, told(response, 'detail')]).toEqual([200, 'stale-if-error']);
      expect(() => errorLifetime({ ttl: 'soon' as never })).toThrow(TypeError);
    });
  });
}
