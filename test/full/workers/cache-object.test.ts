import { evictDurableObject, abortAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, test } from 'vitest';

import { durableCache } from '../../../src/cloudflare/index.js';
import { loaded } from '../../../src/index.js';
import { waitPatiently } from '../../support/patience.js';
import { script, type Product } from '../../workers/script.js';
import type { GateObject, ScriptedObject } from '../../workers/worker.js';

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

describe('an object that is reset with a flight under way', () => {
  test('is asked once more by those who read, on a fresh stub', async () => {
    const upstream = gate('reset');
    const read = products.get('reset');
    await upstream.reached();
    script.upstream = async (key) => ({ id: key, load: loads.push(key) });

    await abortAllDurableObjects();

    expect(await read).toEqual({ id: 'reset', load: 2 });
  });
});

describe('the values of an object', () => {
  test('keep what a structured clone keeps, from memory as from storage', async () => {
    const value = {
      id: 'rich',
      load: 1,
      when: new Date(5),
      tags: new Map([['a', new Set([1n])]]),
      raw: new Uint8Array([1, 2]),
    };
    script.upstream = () => value;

    const first = await products.get('rich');
    await evictDurableObject(stubOf('rich'));

    expect(first).toEqual(value);
    expect(await products.get('rich')).toEqual(value);
  });

  test('that can not be sent are reported with their key, and not kept', async () => {
    script.upstream = () => ({ id: 'function', load: 1, act: () => {} });

    await expect(() => products.get('function')).rejects.toMatchObject({
      code: 'SOLOFLIGHT_UNSERIALIZABLE',
      key: 'function',
      message: expect.stringContaining("'function'"),
    });
    script.upstream = () => new Response('body') as unknown as Product;
    await expect(() => products.get('function')).rejects.toMatchObject({ code: 'SOLOFLIGHT_UNSERIALIZABLE' });
    expect((await products.getStats('function')).size).toBe(0);
  });

  test('go with what the upstream says of them', async () => {
    script.upstream = (key) => loaded({ id: key, load: 1 }, { ttl: '1m', tags: ['t'], meta: { etag: 'x' } });

    const lookup = await products.lookup('controlled');

    expect(lookup).toMatchObject({ freshFor: 60_000, tags: ['t'], meta: { etag: 'x' } });
  });

  test('can be set, expired and refreshed', async () => {
    await products.set('written', { id: 'mine', load: 0 }, { ttl: '5s' });
    expect(await products.lookup('written')).toMatchObject({ value: { id: 'mine' }, freshFor: 5_000 });

    await products.expire('written');

    expect(await products.lookup('written', { maxStale: 0 })).toMatchObject({
      value: { id: 'written' },
      status: 'miss',
    });
    expect(await products.refresh('written')).toEqual({ id: 'written', load: 2 });
  });
});

describe('several keys', () => {
  test('are asked of each object once, and come in order', async () => {
    const sharded = durableCache(env.SCRIPTED, { route: (key) => `many-${key[0]}` });

    const values = await sharded.getMany(['a1', 'b1', 'a2', 'a1']);

    expect(values.map((value) => value?.id)).toEqual(['a1', 'b1', 'a2', 'a1']);
    expect(loads.toSorted()).toEqual(['a1', 'a2', 'b1']);
  });

  test('fail one by one', async () => {
    script.upstream = async (key) => {
      if (key === 'bad') throw new RangeError('no such product');
      return { id: key, load: 1 };
    };
    const one = durableCache(env.SCRIPTED, { route: () => 'fail-one-by-one' });

    const [good, bad] = await one.lookupMany(['good', 'bad']);

    expect(good).toMatchObject({ key: 'good', status: 'miss', value: { id: 'good' } });
    expect(bad).toMatchObject({ key: 'bad', status: 'failed' });
    expect(bad?.status === 'failed' && bad.error).toBeInstanceOf(RangeError);
    await expect(() => one.getMany(['good', 'bad'])).rejects.toMatchObject({ code: 'SOLOFLIGHT_SOME_KEYS_FAILED' });
  });
});
