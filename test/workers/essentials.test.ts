import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, test } from 'vitest';

import { durableCache } from '../../src/cloudflare/index.js';
import { TieredCache } from '../../src/index.js';
import { storageSuite } from '../../src/testing/index.js';
import { eventually, waitPatiently } from '../support/patience.js';
import { openDurableTier, reopenDurableTier } from './durable-tier.js';
import { script, type Product } from './script.js';
import type { GateObject, ScriptedObject } from './worker.js';

waitPatiently();

let loads: string[];
const products = durableCache(env.SCRIPTED);

beforeEach(() => {
  loads = [];
  script.upstream = async (key) => ({ id: key, load: loads.push(key) });
});

function stubOf(key: string): DurableObjectStub<ScriptedObject> {
  return env.SCRIPTED.getByName(key);
}

/** An upstream whose loads wait until the test lets them go. */
function gate(name: string): DurableObjectStub<GateObject> {
  script.upstream = async (key) => {
    const load = loads.push(key);
    await env.GATE.getByName(name).pass();
    return { id: key, load };
  };
  return env.GATE.getByName(name);
}

describe('what these tests run in', () => {
  test('is workerd, not Node', async () => {
    expect(navigator.userAgent).toBe('Cloudflare-Workers');
    expect(await (await exports.default.fetch('http://worker/')).text()).toBe('worker');
  });

  test('has objects whose memory ends with an eviction, and whose storage does not', async () => {
    const stub = env.BARE.getByName('evicted');
    await runInDurableObject(stub, (object, { storage }) => {
      Object.assign(object, { mark: 'memory' });
      storage.kv.put('mark', 'storage');
    });

    await evictDurableObject(stub);

    const left = await runInDurableObject(stub, (object, { storage }) => ['mark' in object, storage.kv.get('mark')]);
    expect(left).toEqual([false, 'storage']);
  });
});

describe('the core, inside workerd', () => {
  test('loads once for all who ask at the same time', async () => {
    let loads = 0;
    const cache = new TieredCache<number>({ ttl: '1m', upstream: async () => (loads += 1) });

    const values = await Promise.all(Array.from({ length: 100 }, () => cache.get('key')));

    expect([new Set(values), loads]).toEqual([new Set([1]), 1]);
  });
});

describe('a rush on one cold key', () => {
  test('by RPC, by fetch and through the client is one load', async () => {
    const upstream = gate('rush');
    const rpc = Array.from({ length: 20 }, () => stubOf('rush').get('rush'));
    const fetched = Array.from({ length: 20 }, () => stubOf('rush').fetch('http://object/?key=rush'));
    const asked = Array.from({ length: 20 }, () => products.get('rush'));
    await upstream.reached();

    await upstream.open();

    const bodies = await Promise.all(fetched.map(async (response) => (await response).json<Product>()));
    const values = [...(await Promise.all(rpc)), ...(await Promise.all(asked)), ...bodies];
    expect(values).toEqual(Array.from({ length: 60 }, () => ({ id: 'rush', load: 1 })));
    expect(loads).toEqual(['rush']);
  });

  test('tells who led and who followed', async () => {
    const upstream = gate('roles');
    const reads = Array.from({ length: 3 }, () => products.lookup('roles'));
    await upstream.reached();

    await upstream.open();

    const roles = (await Promise.all(reads)).map(({ role }) => role);
    expect(roles.toSorted()).toEqual(['follower', 'follower', 'leader']);
  });
});

describe('an object that was evicted', () => {
  test('answers from storage with the original age, and calls nobody', async () => {
    await products.get('evicted');
    script.clock.advance(4_000);
    expect(await products.lookup('evicted')).toMatchObject({ tier: 'memory', age: 4_000 });

    await evictDurableObject(stubOf('evicted'));

    expect(await products.lookup('evicted')).toMatchObject({
      value: { id: 'evicted', load: 1 },
      status: 'hit',
      tier: 'durable-object',
      age: 4_000,
      freshFor: 6_000,
    });
    expect(await products.lookup('evicted')).toMatchObject({ tier: 'memory' });
    expect(loads).toEqual(['evicted']);
  });

  test('still falls back on what it stored when the upstream is down', async () => {
    await products.get('fallback');
    script.upstream = () => {
      throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
    };
    script.clock.advance(120_000);

    await evictDurableObject(stubOf('fallback'));

    const lookup = await products.lookup('fallback');
    expect(lookup).toMatchObject({ value: { load: 1 }, status: 'fallback', age: 120_000 });
    expect(lookup.error).toMatchObject({ name: 'Error', message: 'down', code: 'ECONNREFUSED' });
  });

  test('forgets nothing that was invalidated before', async () => {
    await products.get('invalidated');
    expect(await products.invalidate('invalidated')).toBe(true);

    await evictDurableObject(stubOf('invalidated'));

    expect(await products.lookup('invalidated')).toMatchObject({ value: { load: 2 }, status: 'miss' });
  });

  test('lets a flight under way come to its end first', async () => {
    const upstream = gate('flying');
    const read = products.get('flying');
    await upstream.reached();
    const evicted = evictDurableObject(stubOf('flying'));

    await upstream.open();

    expect(await read).toEqual({ id: 'flying', load: 1 });
    await evicted;
    expect(await products.lookup('flying')).toMatchObject({ tier: 'durable-object', value: { load: 1 } });
  });
});

describe('an object that nobody asks any more', () => {
  test('goes away by itself: the platform rings', async () => {
    const stub = env.BRIEF.getByName('brief');
    await stub.get('k');

    await eventually(() =>
      runInDurableObject(stub, async (_object, { storage }) => {
        expect(await storage.getAlarm()).toBeNull();
        expect(storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'soloflight'").toArray()).toEqual([]);
      }),
    );
  });
});

describe('the storage of an object', () => {
  storageSuite(
    { test, equal: (actual, expected) => expect(actual).toEqual(expected) },
    {
      open: () => openDurableTier(true),
      supports: { references: false, binary: true, version: true, keys: true, lease: true, reopen: reopenDurableTier },
    },
  );
});
