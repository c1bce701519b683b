import { cachedFetch } from '../../../src/http/index.js';
import { crowd, setup, texts, told, type HttpSuite } from './setup.js';

/** Who may share whose answer. */
export function coalescing(suite: HttpSuite): void {
  const { describe, test, expect } = suite;

  describe('many callers of one cold URL', () => {
    test('are one request to the origin, and each gets a response of its own', async () => {
      const { fetch, origin } = await setup(suite, [
        { headers: { 'cache-control': 'max-age=60', 'x-a': 'b' }, body: 'hello', hold: 'go' },
      ]);

      const callers = crowd(1_000, () => fetch(origin.url('/')));
      await origin.reached(1);
      await origin.open('go');
      const responses = await Promise.all(callers);

      expect(new Set(await texts(callers))).toEqual(new Set(['hello']));
      expect(await origin.seen()).toHaveLength(1);
      expect(new Set(responses).size).toBe(1_000);
      expect(responses.filter((response) => told(response, 'collapsed') === true)).toHaveLength(999);
      for (const response of [responses[0]!, responses[999]!]) {
        expect(response.status).toBe(200);
        expect(response.url).toBe(origin.url('/'));
        expect(response.redirected).toBe(false);
        expect(response.headers.get('x-a')).toBe('b');
      }
    });

    test.for([
      ['private', { 'cache-control': 'private, max-age=60' }],
      ['no-store', { 'cache-control': 'no-store' }],
      ['set-cookie', { 'cache-control': 'max-age=60', 'set-cookie': 'id=1' }],
      ['vary', { 'cache-control': 'max-age=60', vary: '*' }],
      ['no-lifetime', {}],
    ] as const)('of an answer that is %s go forward each on their own, in parallel', async ([why, headers]) => {
      const { fetch, origin } = await setup(suite, [
        { headers, body: 'for ', echo: 'x-caller', hold: 'first' },
        { headers, body: 'for ', echo: 'x-caller', hold: 'others' },
      ]);

      const callers = crowd(5, (index) => fetch(origin.url('/'), { headers: { 'x-caller': String(index) } }));
      await origin.reached(1);
      await origin.open('first');
      await origin.reached(5);
      await origin.open('others');

      expect(await texts(callers)).toEqual(['for 0', 'for 1', 'for 2', 'for 3', 'for 4']);
      expect(told(await callers[0]!, 'detail')).toBe(why);
    });

    test('of an answer that can not be shared do not wait in vain the next time', async () => {
      const { fetch, origin } = await setup(suite, [
        { headers: { 'cache-control': 'private' } },
        { headers: { 'cache-control': 'private' }, hold: 'go' },
      ]);
      await (await fetch(origin.url('/'))).text();

      const callers = crowd(5, () => fetch(origin.url('/')));
      await origin.reached(6);
      await origin.open('go');

      expect(await texts(callers)).toHaveLength(5);
    });

    test.for([
      ['the mode no-cache', { cache: 'no-cache' }],
      ['no-cache', { headers: { 'cache-control': 'no-cache' } }],
      ['Pragma', { headers: { pragma: 'no-cache' } }],
      ['max-age=0', { headers: { 'cache-control': 'max-age=0' } }],
      ['no-cache, with credentials', { headers: { 'cache-control': 'no-cache', authorization: 'a' } }],
    ] as const)(
      'one of whom wants a new answer (%s) does not wait for an older request, nor fail with it',
      async ([, init]) => {
        const { fetch, origin } = await setup(suite, [
          { hold: 'never', then: 'reset' },
          { headers: { 'cache-control': 'public, max-age=60' }, body: 'new' },
        ]);
        const first = fetch(origin.url()).catch(() => 'failed');
        await origin.reached(1);

        const response = await fetch(new Request(origin.url(), init as RequestInit), init as RequestInit);

        expect(await response.text()).toBe('new');
        await origin.open('never');
        expect(await first).toBe('failed');
      },
    );

    test('one of whom wants a new answer does not fail with the request of another face of the same cache', async () => {
      const step = { headers: { 'cache-control': 'public, max-age=60' }, body: 'new' };
      const { fetch, clock, origin } = await setup(suite, [{ hold: 'go', then: 'reset' }, step]);
      const other = cachedFetch({ clock, cache: fetch.cache });
      const first = fetch(origin.url()).catch(() => 'failed');
      await origin.reached(1);

      const second = other(origin.url(), { headers: { 'cache-control': 'no-cache' } });
      await expect.poll(() => fetch.cache.getStats().flights.totalSubscribers).toBe(2);
      await origin.open('go');

      expect(await first).toBe('failed');
      expect(await (await second).text()).toBe('new');
    });

    test('get the variant each of them asked for, and every variant is asked for once', async () => {
      const step = { headers: { 'cache-control': 'max-age=60', vary: 'Accept-Language' }, echo: 'accept-language' };
      const { fetch, origin } = await setup(suite, [{ ...step, hold: 'go' }, step]);
      const languages = ['en', 'de', 'fr', 'de', 'en', 'fr', 'fr'];

      const ask = (language: string): Promise<Response> =>
        fetch(origin.url('/'), { headers: { 'accept-language': language } });
      const callers = languages.map(ask);
      await origin.reached(1);
      await origin.open('go');

      expect(await texts(callers)).toEqual(languages);
      expect(await origin.seen()).toHaveLength(3);
      expect(await texts(languages.map(ask))).toEqual(languages);
      expect(await origin.seen()).toHaveLength(3);
    });

    test('keep their variants when the one that leads to them has expired', async () => {
      const varied = { vary: 'accept-language' };
      const { fetch, clock, origin } = await setup(suite, [
        { headers: { ...varied, 'cache-control': 'max-age=1' }, body: 'en' },
        { headers: { ...varied, 'cache-control': 'max-age=60' }, body: 'de' },
        { headers: { ...varied, 'cache-control': 'max-age=60' }, body: 'en again' },
      ]);
      const ask = (language: string): Promise<Response> =>
        fetch(origin.url(), { headers: { 'accept-language': language } });
      for (const language of ['en', 'de']) await (await ask(language)).text();
      clock.advance(10_000);

      expect(await texts([ask('de'), ask('en'), ask('de')])).toEqual(['de', 'en again', 'de']);
      await fetch.cache.idle();
      expect(await texts([ask('de'), ask('en')])).toEqual(['de', 'en again']);
      expect(await origin.seen()).toHaveLength(3);
    });
  });
}
