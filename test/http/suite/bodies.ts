import { crowd, setup, texts, told, type HttpSuite } from './setup.js';

/** How bodies reach their callers, whole or not, and what an abort of one does to the others: nothing. */
export function bodies(suite: HttpSuite): void {
  const { describe, test, expect } = suite;
  const cacheable = { 'cache-control': 'max-age=60' };

  describe('a body on its way', () => {
    test('streams to the first caller before its end; followers get all of it', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello', before: 2, holdBody: 'go' }]);

      const leader = await fetch(origin.url());
      const follower = fetch(origin.url());
      const reader = leader.body!.getReader();
      const { value } = await reader.read();
      expect(new TextDecoder().decode(value)).toBe('he');
      await origin.open('go');

      expect(new TextDecoder().decode((await reader.read()).value)).toBe('llo');
      expect(await (await follower).text()).toBe('hello');
      expect(await origin.seen()).toHaveLength(1);
    });

    test.for([
      ['stored', { headers: cacheable }],
      ['in chunks', { headers: cacheable, chunked: true }],
      ['too large to be stored', { headers: cacheable, size: 3_000, chunked: true }],
      ['private', { headers: { 'cache-control': 'private' } }],
    ] as const)('can be read with a buffer of the caller (%s)', async ([, step]) => {
      const { fetch, origin } = await setup(suite, [{ body: 'hello', ...step }], { maxBodySize: 2_000 });
      const { signal } = new AbortController();
      const length = 'size' in step ? step.size : 5;

      for (const init of [{}, { signal }, {}]) {
        const reader = (await fetch(origin.url(), init)).body!.getReader({ mode: 'byob' });
        let size = 0;
        for (
          let chunk = await reader.read(new Uint8Array(3));
          !chunk.done;
          chunk = await reader.read(new Uint8Array(3))
        )
          size += chunk.value.byteLength;
        expect(size).toBe(length);
      }
    });

    test('is not called stored before its size is known', async () => {
      const { fetch, origin } = await setup(
        suite,
        {
          '/large': [{ headers: cacheable, size: 3_000, chunked: true }],
          '/sized': [{ headers: cacheable, body: 'x' }],
        },
        { maxBodySize: 2_000 },
      );

      expect(told(await fetch(origin.url('/large')), 'stored')).toBeUndefined();
      expect(told(await fetch(origin.url('/sized')), 'stored')).toBe(true);
    });

    test('belongs to each caller alone: what one writes into, the others do not see', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'abc' }]);
      await (await fetch(origin.url())).text();

      const mine = new Uint8Array(await (await fetch(origin.url())).arrayBuffer());
      mine.fill(0);

      expect(await (await fetch(origin.url())).text()).toBe('abc');
    });

    test('is cached also when its caller never reads it, or cancels it', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'abc', chunked: true }]);

      const unread = await fetch(origin.url('/unread'));
      const cancelled = await fetch(origin.url('/cancelled'));
      await cancelled.body!.cancel();
      await fetch.cache.idle();

      expect(told(await fetch(origin.url('/unread')), 'hit')).toBe(true);
      expect(told(await fetch(origin.url('/cancelled')), 'hit')).toBe(true);
      expect(await unread.text()).toBe('abc');
    });

    test.for([[false], [true]])(
      'larger than `maxBodySize` reaches everybody and is not kept (chunked: %s)',
      async ([chunked]) => {
        const { fetch, origin } = await setup(suite, [{ headers: cacheable, size: 2_000, chunked: chunked! }], {
          maxBodySize: 1_999,
        });

        const lengths = (await texts(crowd(3, () => fetch(origin.url())))).map(({ length }) => length);
        const next = await fetch(origin.url());

        expect(lengths).toEqual([2_000, 2_000, 2_000]);
        expect(told(next, 'hit')).toBeUndefined();
        expect((await next.text()).length).toBe(2_000);
      },
    );

    test('of exactly `maxBodySize` is kept', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, size: 2_000 }], { maxBodySize: 2_000 });
      await (await fetch(origin.url())).text();

      expect(told(await fetch(origin.url()), 'hit')).toBe(true);
    });

    test('that breaks off breaks off for every caller as it does with plain fetch, and is not cached', async () => {
      const { fetch, origin } = await setup(suite, [
        { headers: { ...cacheable, 'content-length': '5' }, body: 'hello', before: 2, holdBody: 'go', then: 'reset' },
        { headers: cacheable, body: 'whole' },
      ]);

      const leader = await fetch(origin.url());
      const follower = fetch(origin.url());
      const read = leader.text();
      read.catch(() => {});
      await origin.open('go');
      const followed = await follower;

      expect(followed.status).toBe(200);
      const [mine, theirs] = await Promise.allSettled([read, followed.text()]);
      expect([mine.status, theirs.status]).toEqual(['rejected', 'rejected']);
      expect(await (await fetch(origin.url())).text()).toBe('whole');
      expect(await origin.seen()).toHaveLength(2);
    });

    test('shorter than its Content-Length fails and is not cached', async () => {
      const raw = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nshort';
      const { fetch, origin } = await setup(suite, [{ raw }, { headers: cacheable, body: 'whole' }]);

      await expect(fetch(origin.url()).then((response) => response.text())).rejects.toThrow();

      expect(await (await fetch(origin.url())).text()).toBe('whole');
    });
  });

  describe('a caller who aborts', () => {
    test('while all wait for the headers: the others get their answer from the same request', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello', hold: 'go' }]);
      const controller = new AbortController();

      const leader = fetch(origin.url(), { signal: controller.signal });
      const follower = fetch(origin.url());
      await origin.reached(1);
      controller.abort(new Error('left'));
      await expect(leader).rejects.toThrow('left');
      await origin.open('go');

      expect(await (await follower).text()).toBe('hello');
      expect(await origin.seen()).toHaveLength(1);
    });

    test('while its body streams: that body ends with the reason, the others are served', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello', holdBody: 'go' }]);
      const controller = new AbortController();

      const leader = await fetch(origin.url(), { signal: controller.signal });
      const follower = fetch(origin.url());
      const reading = leader.text();
      reading.catch(() => {});
      await origin.reached(1);
      controller.abort(new Error('left'));
      await expect(reading).rejects.toThrow('left');
      await origin.open('go');

      expect(await (await follower).text()).toBe('hello');
      expect(await origin.seen()).toHaveLength(1);
    });

    test('as the only one ends the request to the origin', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello', holdBody: 'go' }]);
      const controller = new AbortController();

      const response = await fetch(origin.url(), { signal: controller.signal });
      controller.abort(new Error('left'));

      await expect(response.text()).rejects.toThrow('left');
      while (!(await origin.seen())[0]!.aborted);
    });

    test('before the call asks nothing, not even of the cache', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello' }]);
      await (await fetch(origin.url())).text();

      await expect(fetch(origin.url(), { signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left');
    });
  });

  describe('a clone', () => {
    test('knows where it came from, as the response does', async () => {
      const { fetch, origin } = await setup(suite, [{ headers: cacheable, body: 'hello' }]);

      for (const response of [await fetch(origin.url()), await fetch(origin.url())]) {
        const clone = response.clone();
        expect(clone.url).toBe(origin.url());
        expect(await clone.text()).toBe(await response.text());
      }
    });
  });
}
