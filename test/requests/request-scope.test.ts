import { describe, expect, test } from 'vitest';

import {
  writeThrough,
  requestScope,
  defineStorage,
  mapStorage,
  TieredCache,
  type MaybePromise,
  type StorageTier,
  type TieredCacheOptions,
} from '../../src/index.js';
import { scriptedUpstream } from '../../src/testing/index.js';
import { requests, type MortalRequest } from '../support/requests.js';

/** Milliseconds without a sign of life after which a leader counts as gone. */
const LEASE = 3_000;

function setup(options: Partial<TieredCacheOptions<string>> = {}) {
  const { clock, time, begin } = requests();
  const upstream = scriptedUpstream<string>();
  const cache = new TieredCache<string>({ ttl: '1s', scope: requestScope(), upstream, clock, ...options });
  /** A request that leads the load of `key`. */
  const lead = (key = 'k') => {
    const request = begin();
    return { request, answer: watched(request.run(() => cache.get(key))) };
  };
  const follow = (key = 'k', read: Parameters<typeof cache.get>[1] = {}, request = begin()) =>
    watched(request.run(() => cache.get(key, read)));
  return { cache, clock, time, upstream, begin, lead, follow };
}

/** What became of `promise` so far. */
function watched<T>(promise: Promise<T>): { state: T | 'waits' | Error; readonly promise: Promise<T> } {
  const seen: { state: T | 'waits' | Error; readonly promise: Promise<T> } = { state: 'waits', promise };
  promise.then(
    (value) => (seen.state = value),
    (error: unknown) => (seen.state = error as Error),
  );
  return seen;
}

/** A storage whose writes wait for the test. */
function gated() {
  const map = mapStorage();
  const writes: { readonly operation: string; readonly pass: () => void }[] = [];
  const gate = <T>(operation: string, run: () => MaybePromise<T>): Promise<T> =>
    new Promise((resolve) => writes.push({ operation, pass: () => resolve(run()) }));
  const tier: StorageTier = defineStorage({
    name: 'gated',
    get: async (key) => map.get(key),
    set: (key, entry, keepUntil) => gate(`set ${String(entry.value)}`, () => map.set(key, entry, keepUntil)),
    delete: (key) => gate('delete', () => map.delete(key)),
  });
  return { tier, map, writes };
}

describe('a leader that is gone', () => {
  test('is replaced when its lease is over, not before, by one of those who wait', async () => {
    const { time, upstream, lead, follow } = setup();
    const { request } = lead();
    const followers = [follow(), follow(), follow()];
    request.end();

    await time.advanceAsync(LEASE - 1);
    expect(upstream.count).toBe(1);
    await time.advanceAsync(1);
    expect(upstream.count).toBe(2);

    upstream.calls[1]!.resolve('anew');
    await time.advanceAsync(0);
    expect(followers.map(({ state }) => state)).toEqual(['anew', 'anew', 'anew']);
    expect(time.pending).toBe(0);
  });

  test('counts from its last sign of life, which is what a slow one gives', async () => {
    const { time, upstream, lead, follow } = setup();
    const { request } = lead();
    const follower = follow();
    await time.advanceAsync(10_000);
    expect(upstream.count).toBe(1);
    request.end();

    await time.advanceAsync(LEASE - 1);
    expect(upstream.count).toBe(1);
    await time.advanceAsync(1);
    upstream.calls[1]!.resolve('anew');
    await time.advanceAsync(0);
    expect(follower.state).toBe('anew');
  });

  test('is replaced at `maxDuration` where that is sooner', async () => {
    const { time, upstream, lead, follow } = setup({ maxDuration: 500 });
    const { request } = lead();
    const follower = follow();
    request.end();

    await time.advanceAsync(500);
    expect(follower.state).toBe('waits');
    await time.advanceAsync(250);
    upstream.calls[1]!.resolve('anew');
    await time.advanceAsync(0);
    expect(follower.state).toBe('anew');
  });

  test('may be followed by one that goes, too', async () => {
    const { time, upstream, begin, lead, follow } = setup();
    lead().request.end();
    const second = begin();
    follow('k', {}, second);
    const third = follow();
    await time.advanceAsync(LEASE);
    second.end();
    await time.advanceAsync(LEASE);

    upstream.calls[2]!.resolve('third');
    await time.advanceAsync(0);
    expect(third.state).toBe('third');
    expect(upstream.count).toBe(3);
  });

  test('does not keep who comes later waiting at all once its lease is over', async () => {
    const { time, upstream, lead, follow } = setup();
    lead().request.end();
    time.advance(LEASE);

    const later = follow();
    expect(upstream.count).toBe(2);
    upstream.calls[1]!.resolve('anew');
    await time.advanceAsync(0);
    expect(later.state).toBe('anew');
  });

  test('that comes back has its own answer, and overwrites nothing', async () => {
    const { cache, time, upstream, lead, follow } = setup();
    const { request, answer } = lead();
    const follower = follow();
    request.end(); // Its timers, that is: to the others it looks gone.
    await time.advanceAsync(LEASE);
    upstream.calls[1]!.resolve('newer');
    await time.advanceAsync(0);
    upstream.calls[0]!.resolve('older');
    await time.advanceAsync(0);

    expect([follower.state, answer.state]).toEqual(['newer', 'older']);
    expect(cache.peek('k')).toBe('newer');
    expect(cache.getStats()).toMatchObject({ inFlight: 0 });
  });

  test('holds neither places among the flights nor among the subscribers', async () => {
    const { cache, time, upstream, lead, follow } = setup({ maxFlights: 2, maxSubscribers: 2 });
    lead('a').request.end();
    lead('b').request.end();
    expect(cache.getStats().inFlight).toBe(2);
    const refused = follow('c');
    await time.advanceAsync(0);
    expect(refused.state).toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_FLIGHTS' });

    await time.advanceAsync(LEASE);
    const accepted = [follow('c'), follow('c')];
    expect(cache.getStats().inFlight).toBe(1);
    upstream.calls[2]!.resolve('room');
    await time.advanceAsync(0);
    expect(accepted.map(({ state }) => state)).toEqual(['room', 'room']);
  });

  test('frees its place also where the flight was one of another namespace', async () => {
    const { cache, time, upstream, begin } = setup({ maxFlights: 1 });
    const request = begin();
    watched(request.run(() => cache.namespace('a').get('k')));
    request.end();
    await time.advanceAsync(LEASE);

    const other = watched(begin().run(() => cache.namespace('b').get('k')));
    expect(upstream.count).toBe(2);
    upstream.calls[1]!.resolve('b');
    await time.advanceAsync(0);
    expect(other.state).toBe('b');
  });

  test('leaves nothing behind for keys that nobody asks for again', async () => {
    const { cache, time, lead } = setup();
    for (let key = 0; key < 1_000; key += 1) lead(`k${key}`).request.end();
    expect(cache.getStats().inFlight).toBe(1_000);
    time.advance(LEASE);
    expect(cache.getStats()).toMatchObject({ inFlight: 0, size: 0 });
    expect(time.pending).toBe(0);
  });

  test('keeps nobody from reloading what it was reloading in the background', async () => {
    const { cache, time, upstream, begin } = setup({ staleWhileRevalidate: '1h' });
    await cache.set('k', 'old');
    time.advance(1_000);
    const reloading = begin();
    await expect(reloading.run(() => cache.get('k'))).resolves.toBe('old');
    expect(upstream.count).toBe(1);
    reloading.end();

    await expect(cache.get('k')).resolves.toBe('old');
    expect(upstream.count).toBe(1);
    time.advance(LEASE);
    await expect(cache.get('k')).resolves.toBe('old');
    expect(upstream.count).toBe(2);
  });

  test('does not keep `idle` waiting for longer than its lease', async () => {
    const { cache, time, begin, lead } = setup();
    lead().request.end();
    const idle = watched(begin().run(() => cache.idle().then(() => 'idle')));
    await time.advanceAsync(LEASE - 1);
    expect(idle.state).toBe('waits');
    await time.advanceAsync(1);
    expect(idle.state).toBe('idle');
  });

  test('while it read storage for `getIfCached` holds up no other reading', async () => {
    const gates: (() => void)[] = [];
    const tier: StorageTier = defineStorage({
      ...mapStorage(),
      name: 'gated',
      get: () => new Promise((resolve) => gates.push(() => resolve(undefined))),
      set: () => {},
      delete: () => {},
    });
    const { cache, time, begin } = setup({ storage: tier, readTimeout: Infinity });
    const first = begin();
    watched(first.run(() => cache.getIfCached('k')));
    const second = watched(begin().run(async () => (await cache.getIfCached('k')) ?? 'nothing'));
    first.end();
    await time.advanceAsync(LEASE);
    for (const gate of gates.splice(2)) gate();
    await time.advanceAsync(0);
    for (const gate of gates.splice(2)) gate();
    await time.advanceAsync(0);
    expect(second.state).toBe('nothing');
  });
});

test('a request that ends while it reads the clear marker holds up no other', async () => {
  const map = mapStorage();
  let hangs = true;
  const tier: StorageTier = defineStorage({
    name: 'slow',
    get: async (key) => {
      if (hangs) await new Promise(() => {});
      return map.get(key);
    },
    set: (key, entry, keepUntil) => map.set(key, entry, keepUntil),
    delete: (key) => map.delete(key),
  });
  const { cache, time, lead, follow } = setup({ storage: tier, memory: false, ttl: '1h' });
  hangs = false;
  await cache.set('b', 'stored');
  await expect(cache.getIfCached('b')).resolves.toBe('stored'); // From now on the tier is known to answer later.
  await time.advanceAsync(1_000);
  hangs = true;
  lead('a').request.end();
  hangs = false;
  const other = follow('b');
  await time.advanceAsync(0);
  expect(other.state).toBe('stored');
});

describe('a leader that lives', () => {
  test('ends its flight at `maxDuration` for all', async () => {
    const { time, upstream, lead, follow } = setup({ maxDuration: 5_000 });
    const { answer } = lead();
    const follower = follow();
    await time.advanceAsync(5_000);
    expect(answer.state).toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
    expect(follower.state).toBe(answer.state);
    expect(upstream.calls[0]!.signal.aborted).toBe(true);
    expect(time.pending).toBe(0);
  });

  test('hands its load, its reload and its writes to `waitUntil`, for as long as they last', async () => {
    const { tier, writes } = gated();
    const { cache, time, upstream } = setup({ storage: tier, staleWhileRevalidate: '1h' });
    const held: { readonly over: { state: unknown } }[] = [];
    const waitUntil = (work: Promise<unknown>): void => void held.push({ over: watched(work.then(() => 'over')) });
    const read = cache.get('k', { waitUntil });
    await time.advanceAsync(0);
    expect(held.map(({ over }) => over.state)).toEqual(['waits']);
    upstream.calls[0]!.resolve('v');
    await read;
    await time.advanceAsync(0);
    expect(held.map(({ over }) => over.state)).toEqual(['over', 'waits']);
    writes[0]!.pass();
    await time.advanceAsync(0);
    expect(held.map(({ over }) => over.state)).toEqual(['over', 'over']);

    await time.advanceAsync(1_000);
    await cache.get('k', { waitUntil });
    expect(held.map(({ over }) => over.state)).toEqual(['over', 'over', 'waits']);
    upstream.calls[1]!.resolve('v2');
    await time.advanceAsync(0);
    expect(held[2]!.over.state).toBe('over');
  });

  test('tells `defer` why', async () => {
    const reasons: string[] = [];
    const { cache, upstream, time } = setup({
      defer: (_work, reason) => void reasons.push(reason),
      storage: mapStorage(),
    });
    watched(cache.get('k'));
    await time.advanceAsync(0);
    upstream.calls[0]!.resolve('v');
    await time.advanceAsync(0);
    expect(reasons[0]).toBe('load');
    expect(reasons).toContain('write-back');
  });

  test('keeps the load when it leaves before others do, and ends it when it was alone', async () => {
    const { time, upstream, begin, follow } = setup();
    const leaving = new AbortController();
    const left = follow('k', { signal: leaving.signal }, begin());
    const follower = follow();
    leaving.abort(new Error('left'));
    upstream.calls[0]!.resolve('kept');
    await time.advanceAsync(0);
    expect(left.state).toMatchObject({ message: 'left' });
    expect(follower.state).toBe('kept');

    const alone = new AbortController();
    follow('other', { signal: alone.signal });
    alone.abort(new Error('left'));
    expect(upstream.calls[1]!.signal.aborted).toBe(true);
  });
});

describe('a follower', () => {
  test('that leaves neither aborts what another request does nor is counted any longer', async () => {
    const { time, upstream, lead, follow } = setup({ maxSubscribers: 2 });
    const { answer } = lead();
    const leaving = new AbortController();
    const left = follow('k', { signal: leaving.signal });
    leaving.abort(new Error('left'));
    const follower = follow();
    upstream.calls[0]!.resolve('v');
    await time.advanceAsync(0);
    expect(left.state).toMatchObject({ message: 'left' });
    expect([answer.state, follower.state]).toEqual(['v', 'v']);
    expect(upstream.calls[0]!.signal.aborted).toBe(false);
  });

  test('has one patience, however many leaders it waits for', async () => {
    const { time, lead, follow } = setup();
    lead().request.end();
    const follower = follow('k', { timeout: LEASE + 500 });
    await time.advanceAsync(LEASE + 499);
    expect(follower.state).toBe('waits');
    await time.advanceAsync(1);
    expect(follower.state).toMatchObject({ code: 'SOLOFLIGHT_CALLER_TIMEOUT' });
  });

  test('takes a fallback that storage gives after its soft patience has ended', async () => {
    let open!: () => void;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const map = mapStorage();
    const tier: StorageTier = defineStorage({
      name: 'gated',
      get: async (key) => {
        await opened;
        return map.get(key);
      },
      set: (key, entry, keepUntil) => map.set(key, entry, keepUntil),
      delete: (key) => map.delete(key),
    });
    const { cache, time, lead, follow } = setup({ storage: tier, staleIfError: '1h', softTimeout: 100, memory: false });
    await cache.set('k', 'stored');
    await time.advanceAsync(1_000);
    lead();
    const follower = follow();
    await time.advanceAsync(200);
    expect(follower.state).toBe('waits');
    open();
    await time.advanceAsync(200);
    expect(follower.state).toBe('stored');
  });

  test('sets one timer of its own, and cancels it', async () => {
    const { time, upstream, lead, follow } = setup();
    lead();
    const before = time.pending;
    follow();
    expect(time.pending).toBe(before + 1);
    upstream.calls[0]!.resolve('v');
    await time.advanceAsync(0);
    expect(time.pending).toBe(0);
  });
});

describe('a request that ends while it writes to storage', () => {
  async function removing(part: ReturnType<typeof setup>): Promise<MortalRequest> {
    const request = part.begin();
    void request.run(() => part.cache.invalidate('k'));
    await part.time.advanceAsync(0);
    request.end();
    return request;
  }

  test('holds up the next write of the key no longer than its own may take', async () => {
    const { tier, writes } = gated();
    const parts = setup({ storage: tier, writeTimeout: 1_000 });
    await removing(parts);
    const next = watched(parts.begin().run(() => parts.cache.set('k', 'next').then(() => 'set')));
    await parts.time.advanceAsync(1_000);
    expect(next.state).toBe('set'); // Nobody waits longer than the deadline.
    expect(writes.map(({ operation }) => operation)).toEqual(['delete']);
    await parts.time.advanceAsync(1_000);
    expect(writes.map(({ operation }) => operation)).toEqual(['delete', 'set next']);
    writes[1]!.pass();
    await parts.time.advanceAsync(0);
    await parts.cache.idle();
  });

  test('leaves an invalidation to the next who comes', async () => {
    const { tier, map, writes } = gated();
    const parts = setup({ storage: tier, writeTimeout: 1_000, ttl: '1h' });
    const stored = parts.cache.set('k', 'old');
    await parts.time.advanceAsync(0);
    writes[0]!.pass();
    await stored;
    await removing(parts);
    expect(map.get('k')).toBeDefined();

    // Nobody finds it meanwhile.
    await expect(parts.cache.getIfCached('k')).resolves.toBeUndefined();
    await parts.time.advanceAsync(3_100);
    await expect(parts.cache.getIfCached('k')).resolves.toBeUndefined();
    await parts.time.advanceAsync(1_000);
    await parts.cache.getIfCached('other');
    await parts.time.advanceAsync(0);
    expect(writes.map(({ operation }) => operation)).toEqual(['set old', 'delete', 'delete']);
    writes[2]!.pass();
    await parts.time.advanceAsync(0);
    await expect(parts.cache.getIfCached('k')).resolves.toBeUndefined();
    expect(map.get('k')).toBeUndefined();
  });

  test('while it tries whether storage is back does not keep others from trying', async () => {
    let answer: 'fails' | 'hangs' | 'works' = 'fails';
    const map = mapStorage();
    const tier: StorageTier = defineStorage({
      name: 'troubled',
      get: async (key) => {
        if (answer === 'fails') throw new Error('down');
        if (answer === 'hangs') await new Promise(() => {});
        return map.get(key);
      },
      set: (key, entry, keepUntil) => map.set(key, entry, keepUntil),
      delete: (key) => map.delete(key),
    });
    const { cache, time, begin } = setup({ storage: tier });
    for (let read = 0; read < 5; read += 1) await cache.getIfCached(`k${read}`);
    await time.advanceAsync(5_000);
    answer = 'hangs';
    const trying = begin();
    watched(trying.run(() => cache.getIfCached('a')));
    await time.advanceAsync(0);
    trying.end();

    answer = 'works';
    await map.set(
      'b',
      {
        value: 'stored',
        startedAt: time.now(),
        createdAt: time.now(),
        freshUntil: Infinity,
        staleUntil: Infinity,
        errorUntil: Infinity,
        loadMs: 0,
        tags: [],
        meta: undefined,
      },
      Infinity,
    );
    await time.advanceAsync(5_000);
    await begin().run(() => cache.getIfCached('b')); // Finds out that storage is back.
    await expect(begin().run(() => cache.getIfCached('b'))).resolves.toBe('stored');
  });
});

describe('a request that ends while it writes to the upstream', () => {
  test('lets the next writer of the key go on, but not past one that lives', async () => {
    const calls: { readonly value: unknown; readonly done: () => void }[] = [];
    const { cache, time, begin } = setup({
      writes: writeThrough((_key, value) => new Promise<void>((resolve) => calls.push({ value, done: resolve }))),
    });
    const first = begin();
    watched(first.run(() => cache.set('k', 'first')));
    const second = watched(begin().run(() => cache.set('k', 'second').then(() => 'set')));
    const third = watched(begin().run(() => cache.set('k', 'third').then(() => 'set')));
    await time.advanceAsync(10_000);
    expect(calls.map(({ value }) => value)).toEqual(['first']);

    first.end();
    await time.advanceAsync(LEASE);
    expect(calls.map(({ value }) => value)).toEqual(['first', 'second']);
    await time.advanceAsync(LEASE);
    expect(calls).toHaveLength(2);
    calls[1]!.done();
    await time.advanceAsync(0);
    calls[2]!.done();
    await time.advanceAsync(0);
    expect([second.state, third.state]).toEqual(['set', 'set']);
    expect(cache.peek('k')).toBe('third');
    expect(time.pending).toBe(0);
  });
});

describe('values that requests share', () => {
  test.each([
    ['a Response', () => new Response('x'), '`value`', 'Response'],
    ['a stream in a property', () => ({ a: [{ body: new ReadableStream() }] }), '`value.a[0].body`', 'ReadableStream'],
    ['a promise in a Map', () => new Map([['p', Promise.resolve(1)]]), '`value.get(p)`', 'Promise'],
    ['a function', () => ({ run: () => 1 }), '`value.run`', 'function or stub'],
    ['a subclass of such a class', () => new (class Mine extends AbortController {})(), '`value`', 'Mine'],
  ])('must not be %s', async (_what, make, where, name) => {
    const cache = new TieredCache<unknown>({ ttl: '1s', scope: requestScope() });
    const read = cache.getOrLoad('k', () => make());
    await expect(read).rejects.toThrow(TypeError);
    await expect(read).rejects.toThrow(`Expected ${where} to be plain data, not a ${name}`);
    await expect(cache.set('k', make())).rejects.toThrow(`Expected ${where}`);
    expect(cache.peek('k')).toBeUndefined();
  });

  test('must not be a Response as the reason of a failure either; an error stays what it is', async () => {
    const cache = new TieredCache<unknown>({ ttl: '1s', scope: requestScope() });
    const failing = (reason: unknown): Promise<unknown> => cache.getOrLoad('k', () => Promise.reject(reason));
    await expect(failing(new Response('x'))).rejects.toThrow(
      'Expected `reason of the failed load` to be an Error or plain data, not a Response',
    );
    const error = Object.assign(new Error('down'), { response: new Response('x') });
    await expect(failing(error)).rejects.toBe(error);
    await expect(failing(undefined)).rejects.toBeUndefined();
    await expect(failing({ code: 503 })).rejects.toEqual({ code: 503 });
  });

  test('may be any data, also one that holds itself', async () => {
    const cache = new TieredCache<unknown>({ ttl: '1s', scope: requestScope() });
    class Money {
      readonly amount = 1n;
    }
    const self: Record<string, unknown> = {
      bytes: new Uint8Array(8),
      when: new Date(0),
      money: new Money(),
      text: /x/,
    };
    self['self'] = self;
    self['list'] = [undefined, null, NaN, new Map([[{}, new Set([new Error('x')])]]), Object.create(null)];
    await cache.set('k', self);
    expect(cache.peek('k')).toBe(self);
  });
});

test('`scope` is one of two words', () => {
  expect(() => new TieredCache({ ttl: 1, scope: 'isolate' as 'shared' })).toThrow(
    "Expected `scope` to be 'shared' or requestScope(), got `'isolate'` (string)",
  );
});

test('without that scope, nobody who waits sets a timer', async () => {
  const { cache, time, upstream, lead, follow } = setup({ scope: 'shared' });
  lead();
  const before = time.pending;
  follow();
  follow();
  expect(time.pending).toBe(before);
  upstream.calls[0]!.resolve('v');
  await cache.idle();
});
