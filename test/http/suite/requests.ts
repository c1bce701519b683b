import { setup, told, type HttpSuite } from './setup.js';

/** All the ways of calling `fetch`, and what becomes of redirects. */
export function requests(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const cacheable = { 'cache-control': 'max-age=60' };

  describe('a request', () => {
    test('is the same as a string, a URL and a Request, with any spelling of its URL', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'x' }]);
      const url = origin.url('/a?b=c');
      await (await fetch(url)).text();

      const spelled = url.replace('http:', 'HTTP:').replace('/a?', '/./x/../a?');
      for (const input of [new URL(url), new Request(url), spelled, `${url}#fragment`, new Request(`${url}#`)])
        expect(told(await fetch(input), 'hit')).toBe(true);
      expect(told(await fetch(origin.url('/a?b=d')), 'hit')).toBeUndefined();
    });

    test('of a Request is overridden by `init`', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: { ...cacheable, vary: 'x-a' }, echo: 'x-a' }]);
      const request = new Request(origin.url(), { headers: { 'x-a': 'request' } });

      expect(await (await fetch(request, { headers: { 'x-a': 'init' } })).text()).toBe('init');
      expect(await (await fetch(request)).text()).toBe('request');
      expect(told(await fetch(request, { headers: { 'x-a': 'init' } }), 'hit')).toBe(true);
      expect((await fetch(request, { method: 'POST' })).status).toBe(200);
    });

    test('takes `null` for its options, as fetch does', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'x' }]);

      expect(await (await fetch(origin.url(), null as never)).text()).toBe('x');
      expect(told(await fetch(origin.url(), null as never), 'hit')).toBe(true);
    });

    test('with a body passes on as it is, a stream and a used-up Request included', async () => {
      const { fetch, origin } = await setup(suite, [{ body: 'done' }]);
      const request = new Request(origin.url(), { method: 'POST', body: 'text' });

      expect(await (await fetch(request)).text()).toBe('done');
      expect(request.bodyUsed).toBe(true);
      await expect(fetch(request)).rejects.toThrow(TypeError);
    });

    test('keeps what the caller said when it goes on to the origin', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable }]);

      await (await fetch(new Request(origin.url(), { headers: { 'x-a': 'b', accept: 'text/plain' } }))).text();

      const { headers } = (await origin.seen())[0]!;
      expect([headers['x-a'], headers['accept']]).toEqual(['b', 'text/plain']);
    });

    test('that `key` leaves alone is not cached; others are by what it says', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable }], {
        key: ({ url }) => (url.includes('private') ? undefined : new URL(url).pathname),
      });
      for (const path of ['/private', '/a?utm=1']) await (await fetch(origin.url(path))).text();

      expect(told(await fetch(origin.url('/private')), 'fwd')).toBe('bypass');
      expect(told(await fetch(origin.url('/a?utm=2')), 'hit')).toBe(true);
    });

    test('tells in `Cache-Status` what became of it, under the name it was given', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'x' }], {
        name: 'my cache',
        showKey: true,
      });

      const response = await fetch(origin.url());

      expect(response.headers.get('cache-status')).toBe(
        `"my cache"; fwd=uri-miss; fwd-status=200; stored; ttl=60; key="${origin.url()}"`,
      );
    });

    test('is answered without `Cache-Status` where that is not wanted', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'x' }], { name: false });

      for (const response of [
        await fetch(origin.url()),
        await fetch(origin.url(), { method: 'POST' }),
        await fetch(origin.url()),
      ])
        expect(response.headers.get('cache-status')).toBeNull();
    });

    test('adds its `Cache-Status` behind those of caches nearer to the origin', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: { ...cacheable, 'cache-status': 'near; hit' } }]);
      await (await fetch(origin.url())).text();

      expect((await fetch(origin.url())).headers.get('cache-status')).toMatch(/^near; hit, soloflight; hit/);
    });
  });

  describe('a redirect', () => {
    test('that may not be stored is asked for each time; its target is not', async () => {
      const { fetch, origin } = await setup(suite, {
        '/from': [{ status: 302, headers: { location: 'to#part' } }],
        '/to': [{ headers: cacheable, body: 'there' }],
      });

      for (let times = 0; times < 2; times += 1) {
        const response = await fetch(origin.url('/from'));
        expect([response.status, response.url, response.redirected]).toEqual([200, origin.url('/to'), true]);
        expect(await response.text()).toBe('there');
      }
      expect([(await origin.seen('/from')).length, (await origin.seen('/to')).length]).toEqual([2, 1]);
    });

    test('that may be stored is, and knows where it led', async () => {
      const { fetch, origin } = await setup(suite, {
        '/from': [{ status: 301, headers: { ...cacheable, location: '/elsewhere' } }],
      });
      await fetch(origin.url('/from'), { redirect: 'manual' }).then((response) => response.text());

      const manual = await fetch(origin.url('/from'), { redirect: 'manual' });

      expect([manual.status, manual.headers.get('location'), told(manual, 'hit')]).toEqual([301, '/elsewhere', true]);
    });

    test('to another origin takes no credentials along', async () => {
      const { fetch, origin } = await setup(suite, { '/to': [{ body: 'there' }] });
      const far = new URL(origin.url('/to'));
      far.hostname = 'localhost';
      const there = await setup(suite, { '/from': [{ status: 307, headers: { location: far.href } }] });

      await (await fetch(there.origin.url('/from'), { headers: { authorization: 'me', 'x-a': 'b' } })).text();

      const { headers } = (await origin.seen('/to'))[0]!;
      expect([headers['authorization'], headers['x-a']]).toEqual([undefined, 'b']);
    });

    test('without end fails, and so does one that was not expected', async () => {
      const { fetch, origin } = await setup(suite, { '/': [{ status: 302, headers: { location: './' } }] });

      await expect(fetch(origin.url('/'))).rejects.toThrow(TypeError);
      expect((await origin.seen()).length).toBe(21);
      await expect(fetch(origin.url('/'), { redirect: 'error' })).rejects.toThrow(TypeError);
    });
  });
}
