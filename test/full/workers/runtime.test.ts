import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';

import { TieredCache } from '../../../src/index.js';

describe('what the tests of this folder run in', () => {
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
