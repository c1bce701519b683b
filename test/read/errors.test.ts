import { AsyncLocalStorage } from 'node:async_hooks';

import { describe, expect, test } from 'vitest';

import {
  FlightTimeoutError,
  isSoloflightError,
  loaded,
  mapStorage,
  notModified,
  ReentrantFlightError,
} from '../../src/index.js';
import { overridden } from '../support/overridden.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('a failing load without a fallback', () => {
  test.each([new Error('down'), undefined, null, 0, 'text'])('reaches all subscribers as it is: %s', async (reason) => {
    const { cache, upstream } = setupCache();

    const callers = [cache.get('k'), cache.get('k'), cache.lookup('k').then(({ value }) => value)];
    upstream.calls[0]!.reject(reason);

    for (const outcome of await Promise.allSettled(callers)) expect(outcome).toEqual({ status: 'rejected', reason });
    expect(upstream.count).toBe(1);
  });

  test('a thousand callers cost one call, and are not served one after another', async () => {
    const { cache, upstream } = setupCache();

    const callers = Array.from({ length: 1_000 }, () => cache.get('k'));
    upstream.calls[0]!.reject(new Error('down'));
    await Promise.allSettled(callers);

    expect(upstream.count).toBe(1);
  });

  test('a synchronous throw of the upstream is a failed load like any other', async () => {
    const error = new Error('at once');
    const { cache } = setupCache({
      upstream: () => {
        throw error;
      },
    });

    await expect(cache.get('k')).rejects.toBe(error);
    await expect(cache.get('k')).rejects.toBe(error);
  });

  test('is not remembered by default: the next caller tries again', async () => {
    const { cache, upstream } = setupCache();
    const first = cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await expect(first).rejects.toThrow('down');

    const second = cache.get('k');
    upstream.calls[1]!.resolve('v');

    expect(await second).toBe('v');
  });

  test('is remembered for `errorTtl`, the same instance', async () => {
    const { cache, clock, upstream } = setupCache({ errorTtl: '5s' });
    const error = new Error('down');
    const first = cache.get('k');
    upstream.calls[0]!.reject(error);
    await expect(first).rejects.toBe(error);

    clock.advance(4_999);
    await expect(cache.get('k')).rejects.toBe(error);
    await expect(cache.lookup('k')).rejects.toBe(error);
    expect(upstream.count).toBe(1);
    clock.advance(1);
    void cache.get('k');

    expect(upstream.count).toBe(2);
  });

  test('`errorTtl` may depend on the error; if it throws, the error is not remembered and an event tells', async () => {
    const { cache, upstream } = setupCache({
      errorTtl: (error) => {
        if ((error as Error).message === 'gone') return '1h';
        throw new Error('broken errorTtl');
      },
    });
    const events: unknown[] = [];
    cache.on('error', (event) => events.push(event));

    const gone = cache.get('a');
    upstream.calls[0]!.reject(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    await expect(cache.get('a')).rejects.toThrow('gone');
    const other = cache.get('b');
    upstream.calls[1]!.reject(new Error('other'));
    await expect(other).rejects.toThrow('other');
    void cache.get('b');

    expect(upstream.count).toBe(3);
    expect(events).toMatchObject([{ source: 'errorTtl', key: 'b' }]);
  });

  test.each(['AbortError', 'TimeoutError'])('an %s of the upstream is never remembered', async (name) => {
    const { cache, upstream } = setupCache({ errorTtl: '1h' });
    const first = cache.get('k');
    upstream.calls[0]!.reject(Object.assign(new Error('no'), { name }));
    await expect(first).rejects.toThrow('no');

    void cache.get('k');

    expect(upstream.count).toBe(2);
  });

  test('`set` and `invalidate` end the memory of a failure', async () => {
    const { cache, upstream } = setupCache({ errorTtl: '1h' });
    const first = cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await expect(first).rejects.toThrow('down');

    await cache.invalidate('k');
    const second = cache.get('k');
    upstream.calls[1]!.resolve('v');

    expect(await second).toBe('v');
  });
});

describe('a failing load with a fallback', () => {
  test('answers the stored value, and says so', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(120_000);
    const error = new Error('down');

    const answer = cache.lookup('k');
    upstream.calls[0]!.reject(error);

    expect(await answer).toMatchObject({
      value: 'old',
      status: 'fallback',
      tier: 'memory',
      error,
      age: 120_000,
      freshFor: -119_000,
    });
  });

  test('not from the very instant its window ends', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(600_999);
    const last = cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    expect(await last).toBe('old');

    clock.advance(30_001);
    const over = cache.get('k');
    upstream.calls[1]!.reject(new Error('down'));

    await expect(over).rejects.toThrow('down');
  });

  test('blocking readers of a dead upstream cost one call per backoff too', async () => {
    const { cache, clock, upstream } = setupCache();
    await cache.set('k', 'old');
    clock.advance(120_000);
    const first = cache.get('k');
    upstream.calls[0]!.reject(new Error('down'));
    await first;

    for (let read = 0; read < 1_000; read += 1) expect(await cache.get('k')).toBe('old');
    expect(await cache.lookup('k')).toMatchObject({ status: 'fallback', role: 'none' });
    await expect(cache.get('k', { maxStale: 0 })).rejects.toThrow('down');

    expect(upstream.count).toBe(1);
  });

  test('a hung upstream is a failed one: at `maxDuration` the stored value answers', async () => {
    const { cache, clock, upstream } = setupCache({ maxDuration: '5s' });
    await cache.set('k', 'old');
    clock.advance(120_000);

    const answer = cache.lookup('k');
    clock.advance(5_000);

    expect(await answer).toMatchObject({ value: 'old', status: 'fallback' });
    expect(isSoloflightError((await answer).error, 'SOLOFLIGHT_FLIGHT_TIMEOUT')).toBe(true);
    expect(upstream.calls[0]!.signal.aborted).toBe(true);
    expect(await cache.get('k')).toBe('old');
    expect(upstream.count).toBe(1);
  });
});

describe('a load that hangs with nothing to fall back on', () => {
  test('times out without any new caller, and its late result is dropped', async () => {
    const { cache, clock, upstream } = setupCache({ maxDuration: '5s' });

    const answer = cache.get('k');
    clock.advance(5_000);
    await expect(answer).rejects.toBeInstanceOf(FlightTimeoutError);
    upstream.calls[0]!.resolve('late');
    await settle();

    expect(cache.peek('k')).toBeUndefined();
    expect(cache.getStats()).toMatchObject({ inFlight: 0, loadFailures: 1 });
  });

  test('a late failure after the timeout is not counted twice', async () => {
    const { cache, clock, upstream } = setupCache({ maxDuration: '5s' });

    const answer = cache.get('k');
    clock.advance(5_000);
    await expect(answer).rejects.toBeInstanceOf(FlightTimeoutError);
    upstream.calls[0]!.reject(new Error('late'));
    await settle();

    expect(cache.getStats().loadFailures).toBe(1);
  });

  test('a load that waits for its own key is an error at once', async () => {
    const { cache } = setupCache({ upstream: (key, load) => load.execute(key, () => 'inner') });

    await expect(cache.get('k')).rejects.toBeInstanceOf(ReentrantFlightError);
  });

  test('a load that waits for itself through another key is an error at once', async () => {
    const { cache } = setupCache({
      upstream: async (key, load) => {
        await null;
        return load.execute(key === 'a' ? 'b' : 'a', async (_inner, nested) => nested.execute('a', () => 'never'));
      },
    });

    await expect(cache.get('a')).rejects.toBeInstanceOf(ReentrantFlightError);
  });

  test('nested loads of other keys are cached like any other', async () => {
    const { cache } = setupCache({
      upstream: (key, load) => (key === 'part' ? 'p' : load.execute('part', () => 'part')),
    });

    expect(await cache.get('whole')).toBe('part');
    expect(cache.peek('part')).toBe('part');
  });
});

describe('soft timeout', () => {
  test('with `maxStale: 0` never rejects with SOFT_TIMEOUT, also where what it found has just become stale', async () => {
    const storage = mapStorage();
    const { cache, clock, upstream } = setupCache({ storage, memory: false, refreshAhead: 0.1 });
    await cache.set('k', 'old');
    clock.advance(500);
    await cache.get('k');
    await settle();
    expect(upstream.count).toBe(1);

    const read = cache.lookup('k', { maxStale: 0, softTimeout: 100, timeout: 5_000 });
    const plain = cache.get('k', { maxStale: 0, softTimeout: 100 });
    await settle();
    clock.advance(100);
    // It was fresh when the time was up, and is stale when the caller is told.
    clock.advance(1_000);
    await settle();
    upstream.resolveAll('new');

    expect(await read).toMatchObject({ value: 'new' });
    expect(await plain).toBe('new');
  });

  test('a blocking load slower than that answers the stored value and goes on; its result is stored', async () => {
    const { cache, clock, upstream } = setupCache({ softTimeout: '200ms' });
    await cache.set('k', 'old');
    clock.advance(120_000);

    const answer = cache.lookup('k');
    const plain = cache.get('k');
    clock.advance(200);

    expect(await answer).toMatchObject({ value: 'old', status: 'fallback' });
    expect(await plain).toBe('old');
    upstream.calls[0]!.resolve('new');
    await settle();
    expect(cache.peek('k')).toBe('new');
  });

  test('without a stored value the caller waits on', async () => {
    const { cache, clock, upstream } = setupCache({ softTimeout: '200ms' });

    const answer = cache.get('k');
    clock.advance(1_000);
    upstream.calls[0]!.resolve('v');

    expect(await answer).toBe('v');
  });

  test('counts from the start of the load: a late joiner is answered at once', async () => {
    const { cache, clock } = setupCache();
    await cache.set('k', 'old');
    clock.advance(120_000);

    void cache.get('k');
    clock.advance(500);
    const joined = cache.get('k', { softTimeout: 200 });
    clock.advance(0);

    expect(await joined).toBe('old');
  });

  test('the fallback may come from storage after the patience has ended', async () => {
    const storage = mapStorage();
    const first = setupCache({ storage });
    await first.cache.set('k', 'stored');
    first.clock.advance(120_000);
    let answerRead!: () => void;
    const slow = overridden(storage, {
      get: (key) =>
        key === 'k'
          ? new Promise<void>((resolve) => (answerRead = resolve)).then(() => storage.get(key))
          : storage.get(key),
      getMany: undefined as never,
    });
    const { cache, clock, upstream } = setupCache({ storage: slow, softTimeout: 100, clock: first.clock });

    const answer = cache.get('k');
    clock.advance(100);
    answerRead();

    expect(await answer).toBe('stored');
    await settle();
    expect(upstream.count).toBe(1);
  });

  test('a stored value too stale for the caller is no answer: it waits on', async () => {
    const { cache, clock, upstream } = setupCache({ softTimeout: 100 });
    await cache.set('k', 'old');
    clock.advance(120_000);

    const answer = cache.get('k', { maxStale: '1s' });
    clock.advance(100);
    await settle();
    upstream.calls[0]!.resolve('new');

    expect(await answer).toBe('new');
  });

  test('goes on although all who waited had a signal and are gone', async () => {
    const { cache, clock, upstream } = setupCache({ softTimeout: 100 });
    await cache.set('k', 'old');
    clock.advance(120_000);
    const controller = new AbortController();

    const answer = cache.get('k', { signal: controller.signal });
    clock.advance(100);
    expect(await answer).toBe('old');
    controller.abort();

    expect(upstream.calls[0]!.signal.aborted).toBe(false);
  });
});

describe('a caller’s own timeout', () => {
  test('rejects this caller alone; the load goes on for the others and for the cache', async () => {
    const { cache, clock, upstream } = setupCache();

    const hasty = cache.get('k', { timeout: 100 });
    const patient = cache.get('k');
    clock.advance(100);
    await expect(hasty).rejects.toMatchObject({ code: 'SOLOFLIGHT_CALLER_TIMEOUT', key: 'k', timeout: 100 });
    upstream.calls[0]!.resolve('v');

    expect(await patient).toBe('v');
  });

  test('leaves the load running when nobody else waits: the next caller finds its result', async () => {
    const { cache, clock, upstream } = setupCache();

    const hasty = cache.get('k', { timeout: 100, signal: new AbortController().signal });
    clock.advance(100);
    await expect(hasty).rejects.toMatchObject({ code: 'SOLOFLIGHT_CALLER_TIMEOUT' });
    upstream.calls[0]!.resolve('v');
    await settle();

    expect(cache.peek('k')).toBe('v');
  });

  test('takes the stored value where there is one', async () => {
    const { cache, clock } = setupCache();
    await cache.set('k', 'old');
    clock.advance(120_000);

    const answer = cache.get('k', { timeout: 100 });
    clock.advance(100);

    expect(await answer).toBe('old');
  });

  test('leaves no timer behind when the load is quick', async () => {
    const { cache, clock, upstream } = setupCache({ maxDuration: Infinity });

    const answer = cache.get('k', { timeout: 100, softTimeout: 50 });
    upstream.calls[0]!.resolve('v');
    await answer;

    expect(clock.pending).toBe(0);
  });
});

describe('what an upstream says of a value', () => {
  test('a read by its `ttl` function is part of the load, where an asynchronous context tells', async () => {
    let nested: Promise<unknown> | undefined;
    const { cache } = setupCache({
      asyncContext: new AsyncLocalStorage(),
      upstream: async () => 'v',
      ttl: () => {
        nested = cache.get('k').catch((error: unknown) => error);
        return 1_000;
      },
    });

    expect(await cache.get('k')).toBe('v');

    expect(await nested).toBeInstanceOf(ReentrantFlightError);
  });

  test('is waited for where the value is a promise after all: the flight ends with what that brings', async () => {
    const { cache } = setupCache({ upstream: () => loaded(Promise.resolve('v') as unknown as string) });

    const got = cache.get('k');
    await settle();

    expect(await got).toBe('v');
    expect(cache.getStats()).toMatchObject({ inFlight: 0, flights: { succeeded: 1, failed: 0 } });
  });

  test('fails the read where the value can’t even be looked at, and the key is free', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const { cache } = setupCache({ upstream: () => loaded(proxy as unknown as string) });

    await expect(cache.get('k')).rejects.toThrow(TypeError);

    expect(cache.getStats()).toMatchObject({ inFlight: 0, flights: { succeeded: 0, failed: 1 } });
  });

  test('`loaded` overrides lifetime, tags and metadata', async () => {
    const { cache, clock, upstream } = setupCache();

    const answer = cache.lookup('k');
    upstream.calls[0]!.resolve(
      loaded('v', { ttl: '10s', staleWhileRevalidate: 0, staleIfError: 0, tags: ['a'], meta: { etag: '"1"' } }),
    );

    expect(await answer).toMatchObject({ value: 'v', freshFor: 10_000, tags: ['a'], meta: { etag: '"1"' } });
    clock.advance(10_000);
    expect(cache.peek('k')).toBeUndefined();
  });

  test('`store: false` answers those who wait and stores nothing', async () => {
    const { cache, upstream } = setupCache({ storage: mapStorage() });

    const answer = cache.lookup('k');
    await settle();
    upstream.calls[0]!.resolve(loaded('private', { store: false }));

    expect(await answer).toMatchObject({ value: 'private', stored: false });
    await cache.idle();
    expect(await cache.getIfCached('k')).toBeUndefined();
  });

  test('a value that is not to be stored does not leave the older one to be served', async () => {
    const storage = mapStorage();
    const { cache, clock, upstream } = setupCache({ storage });
    await cache.set('k', 'old');
    clock.advance(1_000);

    await cache.get('k');
    await settle();
    upstream.calls[0]!.resolve(loaded('new', { store: false }));
    await cache.idle();

    expect(await cache.getIfCached('k')).toBeUndefined();
    expect(await storage.get('k')).toBeUndefined();
  });

  test('`notModified` keeps the value and its metadata and renews its life', async () => {
    const { cache, clock, upstream } = setupCache();
    const first = cache.get('k');
    upstream.calls[0]!.resolve(loaded('v', { meta: { etag: '"1"' }, tags: ['t'] }));
    await first;
    clock.advance(1_500);

    await cache.get('k');
    upstream.calls[1]!.resolve(notModified());
    await settle();

    expect(await cache.lookup('k')).toMatchObject({
      value: 'v',
      status: 'hit',
      age: 0,
      freshFor: 1_000,
      meta: { etag: '"1"' },
      tags: ['t'],
    });
  });

  test('`notModified` without a previous value is a TypeError to the caller', async () => {
    const { cache, upstream } = setupCache();

    const answer = cache.get('k');
    upstream.calls[0]!.resolve(notModified());

    await expect(answer).rejects.toBeInstanceOf(TypeError);
    await expect(answer).rejects.toThrow(/notModified/);
  });

  test('`undefined` means absent, and is not remembered by default', async () => {
    const { cache, upstream } = setupCache<string | undefined>();

    const answer = cache.get('k');
    upstream.calls[0]!.resolve(undefined);
    expect(await answer).toBeUndefined();
    expect(cache.getStats().size).toBe(0);
    void cache.get('k');

    expect(upstream.count).toBe(2);
  });

  test('absent is remembered for `absentTtl`, then stale like a value', async () => {
    const { cache, clock, upstream } = setupCache<string | undefined>({ absentTtl: '10s' });
    const answer = cache.get('k');
    upstream.calls[0]!.resolve(undefined);
    await answer;

    clock.advance(9_999);
    expect(await cache.lookup('k')).toMatchObject({ value: undefined, status: 'hit' });
    clock.advance(1);
    expect(await cache.lookup('k')).toMatchObject({ value: undefined, status: 'stale' });

    expect(upstream.calls[1]!.stale).toBeUndefined();
  });

  test('absent ends the life of the value that was there', async () => {
    const { cache, clock, upstream } = setupCache<string | undefined>();
    await cache.set('k', 'old');
    clock.advance(1_000);

    expect(await cache.get('k')).toBe('old');
    upstream.calls[0]!.resolve(undefined);
    await settle();

    expect(cache.peek('k')).toBeUndefined();
  });

  test('`ttl: 0` without windows coalesces and stores nothing', async () => {
    const { cache, upstream } = setupCache({ ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 });

    const callers = [cache.get('k'), cache.get('k')];
    upstream.calls[0]!.resolve('v');
    await Promise.all(callers);

    expect(upstream.count).toBe(1);
    expect(cache.getStats().size).toBe(0);
  });

  test('`ttl` may be a function of value and key; when it throws, the value is handed out and an event tells', async () => {
    const { cache, upstream } = setupCache({
      ttl: (value, key) => {
        if (value === 'bad') throw new Error('broken ttl');
        return key === 'long' ? '1h' : '1s';
      },
    });
    const events: unknown[] = [];
    cache.on('error', (event) => events.push(event));

    const long = cache.lookup('long');
    upstream.calls[0]!.resolve('v');
    expect((await long).freshFor).toBe(3_600_000);
    const bad = cache.lookup('k');
    upstream.calls[1]!.resolve('bad');

    expect(await bad).toMatchObject({ value: 'bad', stored: false });
    expect(events).toMatchObject([{ type: 'error', source: 'ttl', key: 'k' }]);
  });
});
