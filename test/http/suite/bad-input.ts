import type { OriginStep } from '../../support/scripted-origin.js';
import { setup, told, type HttpSuite } from './setup.js';

/** What makes no sense is never cached wrongly, and the caller sees what plain `fetch` would have shown. */
export function badInput(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const date = (offset: number): string => new Date(1_700_000_000_000 + offset * 1_000).toUTCString();

  describe('a response that makes no sense', () => {
    test.for<[string, NonNullable<OriginStep['headers']>, 'hit' | 'not']>([
      ['max-age of no number', { 'cache-control': 'max-age=soon' }, 'not'],
      ['max-age without value', { 'cache-control': 'max-age' }, 'not'],
      ['negative max-age', { 'cache-control': 'max-age=-1' }, 'not'],
      ['fractional max-age', { 'cache-control': 'max-age=1.5' }, 'not'],
      ['max-age with a space', { 'cache-control': 'max-age= 60' }, 'not'],
      ['hexadecimal max-age', { 'cache-control': 'max-age=0x3c' }, 'not'],
      ['max-age beyond all numbers', { 'cache-control': `max-age=${'9'.repeat(400)}` }, 'hit'],
      ['two max-age that differ', { 'cache-control': ['max-age=60', 'max-age=0'] }, 'not'],
      ['two max-age that agree', { 'cache-control': ['max-age=60', 'max-age=60'] }, 'hit'],
      ['a conflict', { 'cache-control': 'max-age=60, no-store' }, 'not'],
      ['a second field that forbids', { 'cache-control': ['max-age=60', 'no-store'] }, 'not'],
      ['no-store after junk', { 'cache-control': 'max-age=60, @@@, ;;no-cache, no-store' }, 'not'],
      ['no-store after a quote never closed', { 'cache-control': 'no-store, x="max-age=60' }, 'not'],
      ['max-age inside a quote', { 'cache-control': 'x="a, max-age=60, b"' }, 'not'],
      ['private with nothing named', { 'cache-control': 'private="", max-age=60' }, 'not'],
      ['commas only', { 'cache-control': ',,,' }, 'not'],
      ['Expires: 0', { expires: '0' }, 'not'],
      ['Expires: -1', { expires: '-1' }, 'not'],
      ['Expires in the local style', { expires: '2099-01-01' }, 'not'],
      ['Expires on no day', { expires: 'Fri, 31 Feb 2090 00:00:00 GMT' }, 'not'],
      ['two Expires', { expires: [date(60), date(60)] }, 'not'],
      ['Expires after a Date that is none', { expires: date(60), date: 'now' }, 'hit'],
      ['negative Age', { 'cache-control': 'max-age=60', age: '-5' }, 'hit'],
      ['Age of no number', { 'cache-control': 'max-age=60', age: 'old' }, 'hit'],
      ['Age beyond all numbers', { 'cache-control': 'max-age=60', age: '9'.repeat(30) }, 'not'],
      ['two Ages', { 'cache-control': 'max-age=60', age: ['100', '0'] }, 'not'],
      ['a Date in the future', { 'cache-control': 'max-age=60', date: date(5_000) }, 'hit'],
      ['Vary: * among others', { 'cache-control': 'max-age=60', vary: 'accept, *' }, 'not'],
      ['Vary of no field name', { 'cache-control': 'max-age=60', vary: 'accept language' }, 'not'],
      ['Vary of commas', { 'cache-control': 'max-age=60', vary: ', ,' }, 'hit'],
      ['an ETag without quotes', { 'cache-control': 'max-age=60', etag: 'abc' }, 'hit'],
      ['a body without end', { 'cache-control': 'max-age=60', 'content-type': 'text/event-stream' }, 'not'],
      [
        'a Connection that names what counts',
        { 'cache-control': 'max-age=60', connection: 'x-secret, keep-alive', 'x-secret': 's' },
        'hit',
      ],
    ])('(%s) is %3$s', async ([, headers, expected]) => {
      const { fetch, origin } = await setup(suite, [{ headers, body: 'body' }]);

      const first = await fetch(origin.url());
      expect([first.status, await first.text()]).toEqual([200, 'body']);
      const next = await fetch(origin.url());

      expect(told(next, 'hit') === true ? 'hit' : 'not').toBe(expected);
      expect(await next.text()).toBe('body');
      if (expected === 'hit') expect(next.headers.get('x-secret')).toBeNull();
    });

    test.for<[string, string]>([
      ['no status line', 'HELLO\r\n\r\n'],
      [
        'two lengths',
        'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      ],
      [
        'a length and chunks',
        'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
      ],
      ['a length of no number', 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: -1\r\n\r\nab'],
      [
        'chunks of no length',
        'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n',
      ],
      [
        'chunks without end',
        'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n',
      ],
      ['a header name with a space', 'HTTP/1.1 200 OK\r\nCache-Control : max-age=60\r\nContent-Length: 2\r\n\r\nab'],
    ])('(%s) ends as with plain fetch, and a failure is not cached', async ([, raw]) => {
      const { fetch, origin } = await setup(suite, [{ raw }]);
      const outcome = async (ask: typeof globalThis.fetch): Promise<unknown> => {
        try {
          const response = await ask(origin.url());
          // The fetch of early Node 22 lets a name through that its own headers refuse: nobody can copy such a response.
          void new Headers(response.headers);
          return [response.status, await response.text()];
        } catch (error) {
          return (error as Error).name;
        }
      };

      const plain = await outcome(globalThis.fetch);

      expect(await outcome(fetch)).toEqual(plain);
      if (typeof plain !== 'string') return;
      const count = (await origin.seen()).length;
      expect(await outcome(fetch)).toEqual(plain);
      expect((await origin.seen()).length).toBeGreaterThan(count);
    });
  });

  describe('a request that makes no sense', () => {
    test.for<[string, (origin: string) => Parameters<typeof fetch>]>([
      ['no URL', () => ['http://']],
      ['a relative URL', () => ['/relative']],
      ['another scheme', () => ['gopher://x']],
      ['a password in the URL', (origin) => [origin.replace('//', '//user:secret@')]],
      ['a bad header', (origin) => [origin, { headers: { 'bad name': 'x' } }]],
      ['a bad method', (origin) => [origin, { method: 'GE T' }]],
      ['a body with GET', (origin) => [origin, { body: 'x' }]],
    ])('(%s) fails as with plain fetch', async ([, args]) => {
      const { fetch, origin } = await setup(suite, [{ headers: { 'cache-control': 'max-age=60' } }]);
      const failure = (ask: typeof globalThis.fetch): Promise<unknown> =>
        ask(...args(origin.url())).then(
          (response) => response.status,
          (error: unknown) => [(error as Error).name, (error as Error).message],
        );

      expect(await failure(fetch)).toEqual(await failure(globalThis.fetch));
    });
  });
}
