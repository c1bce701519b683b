import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, test, vi, type Mock } from 'vitest';

import { durableCache } from '../../../src/cloudflare/index.js';
import { isSoloflightError, loaded, TieredCache } from '../../../src/index.js';
import { waitPatiently } from '../../support/patience.js';
import { script, type Product } from '../../workers/script.js';
import type { IdleObject } from '../../workers/worker.js';

waitPatiently();

type GetStub = (id: DurableObjectId, options?: unknown) => unknown;

let loads: string[];
const products = durableCache(env.SCRIPTED);

beforeEach(() => {
  loads = [];
  script.upstream = async (key) => ({ id: key, load: loads.push(key) });
});

describe('an error of the upstream', () => {
  test('arrives with name, message, code, own plain properties and cause', async () => {
    script.upstream = () => {
      throw Object.assign(new TypeError('bad gateway', { cause: new Error('socket') }), {
        code: 'E_GATEWAY',
        status: 502,
        details: { retries: [1, 2] },
        socket: () => {},
      });
    };

    const error: unknown = await products.get('failing').catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({
      message: 'bad gateway',
      code: 'E_GATEWAY',
      status: 502,
      details: { retries: [1, 2] },
    });
    expect((error as Error).cause).toMatchObject({ message: 'socket' });
    expect(error).not.toHaveProperty('socket');
  });

  test.each([[undefined], [null], [0], ['text'], [{ plain: true }]])('is what was thrown: %o', async (reason) => {
    script.upstream = () => {
      throw reason;
    };

    const caught = await products.get(`thrown ${JSON.stringify(reason)}`).then(
      () => 'resolved',
      (error: unknown) => ({ error }),
    );

    expect(caught).toEqual({ error: reason });
  });

  test('of our own is known by its code', async () => {
    script.upstream = (key, load) => load.execute(key, () => ({ id: key, load: 0 }));

    const error: unknown = await products.get('own').catch((reason: unknown) => reason);

    expect(isSoloflightError(error, 'SOLOFLIGHT_REENTRANT_FLIGHT')).toBe(true);
    expect(error).toMatchObject({ name: 'ReentrantFlightError', key: 'own' });
  });
});

describe('changes of several keys, by tags, and of all', () => {
  const tagged = durableCache(env.SCRIPTED, { route: (key) => `tagged ${key[0]}` });
  const sharded = durableCache(env.SCRIPTED, { shards: 3 });
  const numbersOf = async (client: typeof products, keys: readonly string[]) =>
    (await client.getMany(keys)).map((product) => product?.load);

  beforeEach(() => {
    script.upstream = async (key) => loaded({ id: key, load: loads.push(key) }, { tags: [key.at(-1)!] });
  });

  test('`invalidate` takes keys of several objects, with one call to each', async () => {
    await numbersOf(tagged, ['a1', 'a2', 'b1']);

    expect(await tagged.invalidate(['a1', 'b1', 'c1'])).toBe(true);
    expect(await tagged.invalidate(['a1', 'b1', 'c1'])).toBe(false);

    expect(await numbersOf(tagged, ['a1', 'a2', 'b1'])).toEqual([4, 2, 5]);
  });

  test('`expire` keeps them as fallbacks', async () => {
    await numbersOf(tagged, ['d1', 'e1']);

    await tagged.expire(['d1', 'e1']);

    const stories = await tagged.lookupMany(['d1', 'e1']);
    expect(stories.map(({ status }) => status)).toEqual(['stale', 'stale']);
  });

  test('`invalidateTags` reaches all shards', async () => {
    const keys = ['u1', 'v1', 'w1', 'x1', 'y2', 'z2'];
    await numbersOf(sharded, keys);

    await sharded.invalidateTags('1');

    const [u, v, w, x, y, z] = await numbersOf(sharded, keys);
    expect([u, v, w, x].map((load) => load! > 6)).toEqual([true, true, true, true]);
    expect([y, z].map((load) => load! > 6)).toEqual([false, false]);
  });

  test('`invalidateTags` with keys reaches their objects, and all keys there', async () => {
    await numbersOf(tagged, ['f1', 'f3', 'g1']);

    await tagged.invalidateTags(['1', '3'], { keys: 'f2' });

    expect(await numbersOf(tagged, ['f1', 'f3', 'g1'])).toEqual([4, 5, 3]);
  });

  test('tags given to `set` are usable, with `mode` too', async () => {
    await tagged.set('h1', { id: 'set', load: 0 }, { tags: ['own'] });

    await tagged.invalidateTags(['own'], { keys: ['h1'], mode: 'expire' });

    expect(await tagged.lookup('h1')).toMatchObject({ status: 'stale', value: { id: 'set' } });
  });

  test('`clear` empties all shards, or the objects of some keys', async () => {
    await numbersOf(sharded, ['l1', 'm1', 'n1', 'o1']);
    await numbersOf(tagged, ['i1', 'j1']);

    await sharded.clear();
    await tagged.clear(['i2']);

    expect((await numbersOf(sharded, ['l1', 'm1', 'n1', 'o1'])).every((load) => load! > 6)).toBe(true);
    expect((await numbersOf(tagged, ['i1', 'j1'])).map((load) => load! > 6)).toEqual([true, false]);
  });

  test('is refused where the objects are unknown', async () => {
    await expect(products.clear()).rejects.toThrow(/Expected `keys` to be given for `clear`: without `shards`/);
    await expect(products.invalidateTags('t')).rejects.toThrow(/given for `invalidateTags`/);
    await expect(products.invalidateTags('t', { key: 'k' } as never)).rejects.toThrow(/unknown names/);
    await expect(products.invalidate([1] as never)).rejects.toThrow(/`key` to be a string/);
    await expect(sharded.invalidateTags([1] as never)).rejects.toThrow(TypeError);
    await expect(sharded.invalidateTags('t', { mode: 'purge' } as never)).rejects.toThrow(/`mode`/);
  });
});

describe('a caller that gives up', () => {
  test('is let go at once, and the load of the last one is aborted in the object', async () => {
    const gate = env.GATE.getByName('given-up');
    const aborted = env.GATE.getByName('given-up, aborted');
    let reason: unknown;
    script.upstream = async (_key, { signal }) => {
      signal.addEventListener('abort', () => {
        reason = signal.reason;
        void env.GATE.getByName('given-up, aborted').pass();
      });
      await env.GATE.getByName('given-up').pass();
      throw new Error('too late');
    };
    const controller = new AbortController();
    const read = products.get('given-up', { signal: controller.signal });
    await gate.reached();

    controller.abort(new RangeError('left'));

    await expect(() => read).rejects.toBe(controller.signal.reason);
    await aborted.reached();
    expect(reason).toMatchObject({ name: 'RangeError', message: 'left' });
  });

  test('leaves the others their answer', async () => {
    const gate = env.GATE.getByName('leaving');
    script.upstream = async (key) => {
      await env.GATE.getByName('leaving').pass();
      return { id: key, load: 7 };
    };
    const controller = new AbortController();
    const leaving = products.get('shared', { signal: controller.signal });
    const staying = products.get('shared', { signal: new AbortController().signal });
    await gate.reached();

    controller.abort();
    await expect(() => leaving).rejects.toMatchObject({ name: 'AbortError' });
    await gate.open();

    expect(await staying).toEqual({ id: 'shared', load: 7 });
  });

  test('by its timeout is let go, even if the object never says so', async () => {
    script.upstream = async (key) => {
      await env.GATE.getByName('never opened').pass();
      return { id: key, load: 0 };
    };

    // The clock of the object stands still; that of the client does not.
    await expect(() => products.get('timeout', { timeout: 20 })).rejects.toMatchObject({
      code: 'SOLOFLIGHT_CALLER_TIMEOUT',
      key: 'timeout',
      timeout: 20,
    });
    await env.GATE.getByName('never opened').open();
  });

  test('before it asked, asks nobody', async () => {
    await expect(() => products.get('never', { signal: AbortSignal.abort('early') })).rejects.toBe('early');

    expect(loads).toEqual([]);
  });
});

describe('routing', () => {
  test('gives every key an object of its own', async () => {
    await products.get('own-object');

    expect(await env.SCRIPTED.getByName('own-object').getStats()).toMatchObject({ loads: 1 });
  });

  test('spreads keys evenly over shards, always the same', async () => {
    const idFromName = vi.fn<(name: string) => unknown>((name) => env.SCRIPTED.idFromName(name));
    const sharded = durableCache(watched({ idFromName }), { shards: 8 });

    for (let number = 0; number < 64; number += 1) await sharded.getStats(`product-${number}`);
    await sharded.getStats('product-0');

    const names = idFromName.mock.calls.map(([name]) => name);
    expect(new Set(names).size).toBe(8);
    expect(names.at(-1)).toBe(names[0]);
    expect(names[0]).toMatch(/^shard-\d-of-8$/);
  });

  test('passes location hint and jurisdiction on, and gets a fresh stub for every call', async () => {
    const get = vi.fn<GetStub>((id) => env.SCRIPTED.get(id));
    const jurisdiction = vi.fn<(jurisdiction: string) => unknown>(() => watched({ get }));
    const hinted = durableCache(watched({ jurisdiction }), { locationHint: 'weur', jurisdiction: 'eu' });

    await hinted.get('hinted');
    await hinted.get('hinted');

    expect(jurisdiction.mock.calls).toEqual([['eu']]);
    expect(get.mock.calls.map(([, options]) => options)).toEqual([{ locationHint: 'weur' }, { locationHint: 'weur' }]);
  });
});

describe('a request passed on by `fetch`', () => {
  /** A client whose stubs fail so often with `reason` first. */
  function front(times: number, reason: object) {
    const error = Object.assign(new Error('secret place'), reason);
    const fetch = vi.fn<(request: Request) => Promise<Response>>();
    const get: GetStub = (id) => ({
      fetch: async (request: Request) => {
        await fetch(request);
        if (fetch.mock.calls.length <= times) throw error;
        return env.SCRIPTED.get(id).fetch(request);
      },
    });
    return { client: durableCache(watched({ get })), fetch };
  }

  test('reaches the object of its key', async () => {
    const response = await products.fetch(new Request('http://worker/?key=passed'));

    expect([response.status, await response.json()]).toEqual([200, { id: 'passed', load: 1 }]);
  });

  test('is sent once more if the platform says that this may help', async () => {
    vi.spyOn(globalThis, 'reportError').mockImplementation(() => {});
    const once = front(1, { retryable: true });
    const twice = front(2, { retryable: true });

    expect((await once.client.fetch(new Request('http://worker/?key=again'))).status).toBe(200);
    const response = await twice.client.fetch(new Request('http://worker/?key=again'));

    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await response.text()).not.toContain('secret');
    expect([once.fetch.mock.calls.length, twice.fetch.mock.calls.length]).toEqual([2, 2]);
  });

  test.each([
    ['a write', 'PUT', { retryable: true }],
    ['an overloaded object', 'GET', { retryable: true, overloaded: true }],
    ['a failure for good', 'GET', {}],
  ])('is not sent again: %s', async (_, method, reason) => {
    vi.spyOn(globalThis, 'reportError').mockImplementation(() => {});
    const { client, fetch } = front(1, reason);

    expect((await client.fetch(new Request('http://worker/?key=once', { method }))).status).toBe(503);
    expect(fetch).toHaveBeenCalledOnce();
  });

  test.each(['', '?key=', '?key=a&key=b'])('is a 400 without one key: %s', async (query) => {
    expect((await products.fetch(new Request(`http://worker/${query}`))).status).toBe(400);
  });
});

describe('a call that the platform fails', () => {
  test('is made once more for reads, on a fresh stub', async () => {
    const get = failing(1);

    expect(await durableCache(watched({ get })).get('overloaded')).toMatchObject({ id: 'overloaded' });
    expect(get).toHaveBeenCalledTimes(2);
  });

  test('is not made a third time', async () => {
    const get = failing(2);

    await expect(() => durableCache(watched({ get })).get('k')).rejects.toMatchObject({
      code: 'SOLOFLIGHT_OBJECT_UNAVAILABLE',
      cause: { message: 'platform' },
    });
    expect(get).toHaveBeenCalledTimes(2);
  });

  test('is not made twice if it sets a value: it could replace a newer one', async () => {
    const get = failing(1);

    await expect(() => durableCache(watched({ get })).set('k', { id: 'k', load: 0 })).rejects.toMatchObject({
      code: 'SOLOFLIGHT_OBJECT_UNAVAILABLE',
    });
    expect(get).toHaveBeenCalledTimes(1);
  });
});

describe('a Worker’s own memory in front', () => {
  test('asks the object once, and is fresh no longer than the object', async () => {
    const asked = vi.fn<GetStub>((id) => env.SCRIPTED.get(id));
    const { upstream } = durableCache(watched({ get: asked }));
    await products.get('fronted');
    script.clock.advance(7_000);
    const front = new TieredCache<Product>({ ttl: '1m', clock: script.clock, upstream });

    const first = await front.lookup('fronted');
    await front.get('fronted');

    expect(first).toMatchObject({ status: 'miss', freshFor: 3_000, value: { load: 1 } });
    expect(asked).toHaveBeenCalledTimes(1);
    script.clock.advance(3_000);
    expect(await front.lookup('fronted')).toMatchObject({ status: 'miss', stored: false });
    expect(asked).toHaveBeenCalledTimes(2);
  });

  test('keeps a shorter ttl of its own', async () => {
    const front = new TieredCache<Product>({ ttl: '1s', clock: script.clock, upstream: products.upstream });

    expect(await front.lookup('short')).toMatchObject({ freshFor: 1_000 });
  });

  test('refreshes the object too', async () => {
    const front = new TieredCache<Product>({ ttl: '1s', clock: script.clock, upstream: products.upstream });
    await front.get('refreshed');

    expect(await front.refresh('refreshed')).toMatchObject({ load: 2 });
  });
});

describe('misuse is said clearly', () => {
  test('a missing binding', () => {
    expect(() => durableCache(undefined as never)).toThrow(
      /Expected `namespace` to be the binding of a Durable Object .* got `undefined`/,
    );
  });

  test.each([
    [{ shards: 0 }, /`shards` to be an integer ≥ 1/],
    [{ shards: 2, route: () => 'x' }, /`shards` to be left out/],
    [{ route: 'x' }, /`route` to be a function/],
    [{ locationHint: 1 }, /`locationHint` to be a string/],
    [{ shard: 1 }, /without unknown names/],
  ])('options %o', (options, message) => {
    expect(() => durableCache(env.SCRIPTED, options as never)).toThrow(message);
  });

  test('a class that is no CacheObject', async () => {
    const wrong = durableCache(env.BARE as unknown as DurableObjectNamespace<IdleObject>);

    await expect(() => wrong.get('k')).rejects.toThrow(/class extends CacheObject/);
  });

  test('a class without configure, and one whose options make no sense', async () => {
    await expect(() => durableCache(env.UNCONFIGURED).get('k')).rejects.toThrow(/Expected `configure` to be a method/);
    await expect(() => durableCache(env.MISCONFIGURED).get('k')).rejects.toThrow(/Expected `ttl` to be a duration ≥ 0/);
    await expect(() => durableCache(env.UNCONFIGURED).get('k')).rejects.toBeInstanceOf(TypeError);
  });

  test('keys that are none, or too long', async () => {
    const one = durableCache(env.SCRIPTED, { route: () => 'one' });

    await expect(() => one.get('ä'.repeat(1_025))).rejects.toThrow(/`key` to be a string of at most 2048 bytes/);
    expect(await one.get('ä'.repeat(1_024))).toMatchObject({ load: 1 });
    await expect(() => one.get(1 as never)).rejects.toThrow(/`key` to be a string/);
    await expect(() => one.getMany('k' as never)).rejects.toThrow(/`keys` to be an array/);
    await expect(() => durableCache(env.SCRIPTED, { route: () => '' }).get('k')).rejects.toThrow(/`route`/);
  });

  test('an empty key, and not the route that the caller never gave', async () => {
    await expect(() => products.get('')).rejects.toThrow(/`key` to be a non-empty string: it names the object/);
    await expect(() => products.getMany(['k', ''])).rejects.toThrow(/`key` to be a non-empty string/);
    expect(await durableCache(env.SCRIPTED, { route: () => 'one' }).get('')).toMatchObject({ id: '' });
  });

  test('options nobody knows, here and in the object', async () => {
    await expect(() => products.get('k', { waitUntil: () => {} } as never)).rejects.toThrow(/without unknown names/);
    await expect(() => products.set('k', { id: 'k', load: 0 }, { ttll: 1 } as never)).rejects.toThrow(/unknown names/);
    await expect(() => products.get('k', { maxStale: 'x' } as never)).rejects.toThrow(/`maxStale`/);
    expect(await env.SCRIPTED.getByName('k').ask({ verb: 'drop' } as never)).toMatchObject({
      ok: false,
      error: { name: 'TypeError', message: expect.stringContaining('`verb`') },
    });
    expect(await env.SCRIPTED.getByName('k').ask(undefined as never)).toMatchObject({ ok: false });
  });

  test('a value that can not be sent to the object', async () => {
    await expect(() => products.set('k', { id: 'k', load: 0, at: new WeakMap() } as Product)).rejects.toMatchObject({
      name: 'DataCloneError',
    });
  });
});

/** The namespace with some methods replaced. */
function watched(own: object): typeof env.SCRIPTED {
  return {
    idFromName: (name: string) => env.SCRIPTED.idFromName(name),
    get: (id: DurableObjectId) => env.SCRIPTED.get(id),
    ...own,
  } as unknown as typeof env.SCRIPTED;
}

/** Stubs of which the first so many can't reach their object. */
function failing(times: number): Mock<GetStub> {
  let calls = 0;
  return vi.fn<GetStub>((id) => {
    calls += 1;
    return calls > times ? env.SCRIPTED.get(id) : { ask: () => Promise.reject(new Error('platform')) };
  });
}
