import { describe, expect, test } from 'vitest';

import { structuredCloneCodec } from '../../src/codecs/index.js';
import { cachedFetch, type CachedFetchOptions, type StoredResponse } from '../../src/http/index.js';
import { mapStorage, TieredCache, type TieredCacheOptions } from '../../src/index.js';
import { sqliteStorage } from '../../src/storage/sqlite.js';
import { manualClock } from '../../src/testing/index.js';

const URL = 'http://origin/';
const MINUTE = { 'cache-control': 'max-age=60' };

/** An origin that answers with a number of its own each time. */
function counting(headers: Record<string, string> = MINUTE): {
  readonly fetch: typeof globalThis.fetch;
  readonly asked: Request[];
} {
  const asked: Request[] = [];
  return {
    asked,
    fetch: async (input, init) => {
      asked.push(new Request(input, init));
      return new Response(String(asked.length), { headers });
    },
  };
}

async function text(response: Promise<Response>): Promise<string> {
  return (await response).text();
}

describe('a storage tier', () => {
  test.for([
    ['by reference', (): CachedFetchOptions['cache'] => ({ storage: mapStorage() })],
    [
      'as bytes',
      (): CachedFetchOptions['cache'] => ({
        storage: sqliteStorage({ database: ':memory:', codec: structuredCloneCodec }),
      }),
    ],
    [
      'with the default codec',
      (): CachedFetchOptions['cache'] => ({ storage: sqliteStorage({ database: ':memory:' }) }),
    ],
  ] as const)('that keeps values %s answers when memory does not', async ([, cache]) => {
    const { fetch: origin, asked } = counting({ ...MINUTE, 'x-a': 'b', etag: 'W/"1"' });
    const tiers = cache() as Partial<TieredCacheOptions<StoredResponse>>;
    await text(cachedFetch({ fetch: origin, cache: { ...tiers, writeBack: 'await' } })(URL));

    const response = await cachedFetch({ fetch: origin, cache: { ...tiers } })(URL);

    expect([await response.text(), response.headers.get('x-a'), response.headers.get('etag')]).toEqual([
      '1',
      'b',
      'W/"1"',
    ]);
    expect(response.headers.get('cache-status')).toMatch(/^soloflight; hit/);
    expect(asked).toHaveLength(1);
  });

  test.for<[string, unknown]>([
    ['another shape', { kind: 'answer.2' }],
    ['another version', { kind: 'answer.0' }],
    ['no object', 'text'],
    ['a body that lost its bytes', { kind: 'answer.2', body: { 0: 1 }, headers: [] }],
  ])('that holds %s is a miss, once', async ([, junk]) => {
    const clock = manualClock();
    const cache = new TieredCache<StoredResponse>({ ttl: '1h', storage: mapStorage(), clock });
    const { fetch: origin, asked } = counting();
    const fetch = cachedFetch({ fetch: origin, cache, clock });
    await cache.set(URL, junk as StoredResponse);

    expect(await text(fetch(URL))).toBe('1');
    expect(await text(fetch(URL))).toBe('1');
    expect(asked).toHaveLength(1);
  });

  test('that holds headers no response can have is a miss', async () => {
    const cache = new TieredCache<StoredResponse>({ ttl: '1h' });
    const { fetch: origin } = counting();
    const fetch = cachedFetch({ fetch: origin, cache });
    await text(fetch(URL));
    const stored = (await cache.getIfCached(URL)) as StoredResponse & { headers: unknown };
    await cache.set(URL, { ...stored, headers: [['bad name', 'x']] } as StoredResponse);

    expect(await text(fetch(URL))).toBe('2');
  });
});

describe('one cache behind several faces', () => {
  test('never gives to many users what it keeps for one', async () => {
    const cache = new TieredCache<StoredResponse>({ ttl: 0 });
    const { fetch: origin } = counting({ 'cache-control': 'private, max-age=60' });
    const mine = cachedFetch({ fetch: origin, cache, shared: false });
    const ours = cachedFetch({ fetch: origin, cache });

    expect([await text(mine(URL)), await text(mine(URL))]).toEqual(['1', '1']);
    expect(await text(ours(URL))).toBe('2');
  });

  test('is invalidated behind their back, also while a request is under way', async () => {
    const cache = new TieredCache<StoredResponse>({ ttl: 0 });
    const { fetch: origin, asked } = counting();
    const fetch = cachedFetch({ fetch: origin, cache });

    const before = fetch(URL);
    while (asked.length === 0) await null;
    await cache.invalidate(URL);

    expect(await text(before)).toBe('1');
    expect(await text(fetch(URL))).toBe('2');
    expect(await text(fetch(URL))).toBe('2');
  });

  test('clones for each caller if it is told to', async () => {
    const { fetch: origin } = counting();
    for (const isolate of ['clone', 'freeze'] as const) {
      const fetch = cachedFetch({ fetch: origin, cache: { isolate } });
      const first = await text(fetch(URL));
      expect(await text(fetch(URL))).toBe(first);
    }
  });

  test('that is closed fails what it should answer, and nothing else', async () => {
    const { fetch: origin } = counting();
    const fetch = cachedFetch({ fetch: origin });
    await fetch.cache.close();

    await expect(fetch(URL)).rejects.toMatchObject({ code: 'SOLOFLIGHT_CACHE_CLOSED' });
    expect((await fetch(URL, { method: 'POST' })).status).toBe(200);
  });
});

describe('a body slower than flights may be', () => {
  test('goes on for its own caller; those who waited for it ask for themselves', async () => {
    const clock = manualClock();
    let end = (): void => {};
    let asked = 0;
    const origin = async (): Promise<Response> => {
      asked += 1;
      if (asked > 1) return new Response('own', { headers: MINUTE });
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('slow'));
          end = () => {
            controller.enqueue(new TextEncoder().encode('ly'));
            controller.close();
          };
        },
      });
      return new Response(body, { headers: MINUTE });
    };
    const fetch = cachedFetch({ fetch: origin, clock, cache: { maxDuration: '30s' } });

    const leader = await fetch(URL);
    const follower = fetch(URL);
    await clock.advanceAsync(30_000);

    expect(await text(follower)).toBe('own');
    end();
    expect(await leader.text()).toBe('slowly');
  });

  test.each([
    ['that were never there', undefined],
    ['of a stale answer', 'max-age=0, stale-if-error=86400'],
  ])('with headers later than that is waited for as without a cache: %s', async (_case, stored) => {
    const clock = manualClock();
    const asked: { readonly answer: (text: string) => void; readonly signal: AbortSignal }[] = [];
    const origin = (input: unknown, init?: RequestInit): Promise<Response> =>
      new Promise((resolve) => {
        const answer = (body: string): void => resolve(new Response(body, { headers: MINUTE }));
        asked.push({ answer, signal: init!.signal ?? new AbortController().signal });
        if (stored !== undefined && asked.length === 1)
          resolve(new Response('old', { headers: { 'cache-control': stored, etag: '"1"' } }));
      });
    const fetch = cachedFetch({ fetch: origin, clock });
    if (stored !== undefined) await (await fetch(URL)).text();
    const first = asked.length;

    const [leader, follower] = [fetch(URL), fetch(URL)];
    await clock.advanceAsync(30_000);
    await expect.poll(() => asked.length).toBe(first + 2);
    asked[first]!.answer('late');
    asked[first + 1]!.answer('own');

    expect([await text(leader), await text(follower)]).toEqual(['late', 'own']);
    expect(asked[first]!.signal.aborted).toBe(false);
    expect(asked).toHaveLength(first + 2);
    // The next callers don't wait for one so slow.
    const next = [fetch(URL), fetch(URL)];
    await expect.poll(() => asked.length).toBe(first + 4);
    for (const { answer } of asked) answer('next');
    expect(await Promise.all(next.map((response) => text(response)))).toEqual(['next', 'next']);
  });

  test('ends for the caller who leaves later than that, and with the failure that comes later than that', async () => {
    const clock = manualClock();
    const failing: ((error: unknown) => void)[] = [];
    const origin = (_input: unknown, init?: RequestInit): Promise<Response> =>
      new Promise((_resolve, reject) => {
        failing.push(reject);
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
      });
    const fetch = cachedFetch({ fetch: origin, clock });
    const leaving = new AbortController();
    const left = fetch(URL, { signal: leaving.signal }).catch((error: unknown) => error);
    const failed = fetch('http://origin/other').catch((error: unknown) => error);
    await clock.advanceAsync(30_000);
    leaving.abort('left');
    failing[1]?.('failed');

    expect([await left, await failed]).toEqual(['left', 'failed']);
  });
});

/** Node's types don't know what its `fetch` does. */
const mode = (cache: string): RequestInit => ({ cache }) as RequestInit;

describe('the mode of a request (`cache`)', () => {
  test.for<[string, number, string, (string | null)?]>([
    ['default', 0, '1'],
    ['default', 60, '2', '"1"'],
    ['force-cache', 60, '1'],
    ['no-cache', 0, '2', '"1"'],
    ['reload', 0, '2', null],
    ['no-store', 0, '2', null],
  ])('%s, %d s later, is answered with %s', async ([cache, seconds, expected, condition]) => {
    const clock = manualClock();
    const { fetch: origin, asked } = counting({ ...MINUTE, etag: '"1"' });
    const fetch = cachedFetch({ fetch: origin, clock });
    await text(fetch(URL));
    clock.advance(seconds * 1_000);

    expect(await text(fetch(URL, mode(cache)))).toBe(expected);
    expect(asked[1]?.headers.get('if-none-match')).toBe(condition);
    expect(await text(fetch(URL, mode('force-cache')))).toBe(cache === 'no-store' ? '1' : expected);
  });

  test('only-if-cached never asks', async () => {
    const { fetch: origin, asked } = counting();

    expect((await cachedFetch({ fetch: origin })(URL, mode('only-if-cached'))).status).toBe(504);
    expect((await cachedFetch({ fetch: origin, onlyIfCached: true })(URL)).status).toBe(504);
    expect(asked).toHaveLength(0);
  });
});

describe('many callers who all refuse what is stored', () => {
  test('go forward in parallel, and the first of them renews it for the rest', async () => {
    const open: (() => void)[] = [];
    let asked = 0;
    const origin = async (): Promise<Response> => {
      const number = (asked += 1);
      if (number > 1) await new Promise<void>((resolve) => open.push(resolve));
      return new Response(String(number), { headers: MINUTE });
    };
    const fetch = cachedFetch({ fetch: origin });
    await text(fetch(URL));

    const callers = [1, 2, 3].map(() => text(fetch(URL, { headers: { 'cache-control': 'no-cache' } })));
    while (open.length < 3) await null;
    for (const go of open) go();

    expect((await Promise.all(callers)).toSorted()).toEqual(['2', '3', '4']);
    expect(await text(fetch(URL))).toBe('2');
  });
});

describe('a response that is not what it seems', () => {
  test('with the wrong length is handed on and not kept', async () => {
    let asked = 0;
    const origin = async (): Promise<Response> => {
      asked += 1;
      return new Response('four', { headers: { ...MINUTE, 'content-length': '5' } });
    };
    const fetch = cachedFetch({ fetch: origin });

    expect([await text(fetch(URL)), await text(fetch(URL))]).toEqual(['four', 'four']);
    expect(asked).toBe(2);
  });

  test('an opaque one is handed on as it is', async () => {
    const opaque = Response.error();
    const fetch = cachedFetch({ fetch: async () => opaque });

    expect(await fetch(URL)).toBe(opaque);
  });

  test('one whose chunks are no bytes fails as it does by itself', async () => {
    const origin = async (): Promise<Response> =>
      new Response(
        new ReadableStream({ start: (controller) => (controller.enqueue('text' as never), controller.close()) }),
        {
          headers: MINUTE,
        },
      );
    const fetch = cachedFetch({ fetch: origin });

    await expect(text(fetch(URL))).rejects.toThrow(TypeError);
    await fetch.cache.idle();
  });

  test('one already redirected by the given `fetch` is not kept under the first URL', async () => {
    let asked = 0;
    const origin = async (): Promise<Response> => {
      asked += 1;
      return Object.defineProperties(new Response('there', { headers: MINUTE }), {
        redirected: { value: true },
        url: { value: 'http://elsewhere/' },
      });
    };
    const fetch = cachedFetch({ fetch: origin });

    for (let times = 1; times <= 2; times += 1) {
      const response = await fetch(URL);
      expect([response.url, response.redirected]).toEqual(['http://elsewhere/', true]);
      await response.text();
    }
    expect(asked).toBe(2);
  });
});

describe('a reason phrase beyond latin-1', () => {
  test('rejects nobody: leader, follower, hit and uncached caller see it', async () => {
    const phrase = 'Все хорошо ✓';
    const origin = async (input: unknown): Promise<Response> => {
      const headers = String(input).endsWith('own') ? { 'cache-control': 'no-store' } : MINUTE;
      return Object.defineProperty(new Response('body', { headers }), 'statusText', { value: phrase });
    };
    const fetch = cachedFetch({ fetch: origin });
    const responses = await Promise.all([fetch(URL), fetch(URL)]);
    responses.push(await fetch(URL), await fetch(`${URL}own`), (await fetch(URL)).clone());

    expect(responses.map(({ status, statusText }) => [status, statusText])).toEqual(responses.map(() => [200, phrase]));
    expect(await Promise.all(responses.map((response) => response.text()))).toEqual(responses.map(() => 'body'));
  });
});
