import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';

import { durableCache, durableStorage } from '../../../src/cloudflare/index.js';
import { jsonCodec, type Entry } from '../../../src/index.js';
import { waitPatiently } from '../../support/patience.js';
import { script, type Product } from '../../workers/script.js';

waitPatiently();

const MB = 1_000_000;

function entryOf(value: unknown): Entry {
  const now = 1_700_000_000_000;
  const times = { startedAt: now, createdAt: now, freshUntil: now + 1e4, staleUntil: now + 1e4, errorUntil: now + 1e4 };
  return { value, ...times, loadMs: 1, tags: [], meta: undefined };
}

/** Bytes that no compression and no mix-up of chunks leaves alike. */
function bytesOf(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0, state = 1; at < size; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

async function digest(bytes: Uint8Array): Promise<string> {
  return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))).join();
}

describe('a value larger than a row', () => {
  test.each([1, 1.1, 2.5, 30])('comes back whole: %d MB', async (size) => {
    const stub = env.BARE.getByName(`large-${size}`);
    const bytes = bytesOf(size * MB);

    await runInDurableObject(stub, async (_object, { storage }) => {
      await durableStorage(storage).set('k', entryOf(bytes), Infinity);
    });
    await evictDurableObject(stub);

    const read = await runInDurableObject(stub, async (_object, { storage }) => durableStorage(storage).get('k'));
    expect(await digest(read?.value as Uint8Array)).toBe(await digest(bytes));
  });

  test('may be text, and is cut between any two bytes', async () => {
    const text = '€'.repeat(900_000);
    await runInDurableObject(env.BARE.getByName('text'), async (_object, { storage }) => {
      const tier = durableStorage(storage, { codec: jsonCodec });
      await tier.set('k', entryOf(text), Infinity);

      expect((await tier.get('k'))?.value === text).toBe(true);
    });
  });

  test('leaves nothing behind when it is replaced, removed or swept', async () => {
    await runInDurableObject(env.BARE.getByName('leftovers'), async (_object, { storage }) => {
      const tier = durableStorage(storage);
      const chunks = (): number =>
        storage.sql.exec<{ rows: number }>('SELECT count(*) AS rows FROM soloflight_chunks').one().rows;
      const large = entryOf(bytesOf(2.5 * MB));
      await tier.set('k', large, 1);
      expect(chunks()).toBe(3);

      await tier.set('k', entryOf(bytesOf(1.5 * MB)), 1);
      expect(chunks()).toBe(2);
      expect(((await tier.get('k'))?.value as Uint8Array).length).toBe(1.5 * MB);
      await tier.set('k', entryOf('small'), 1);
      expect(chunks()).toBe(0);
      await tier.set('k', large, 1);
      await tier.delete('k');
      expect(chunks()).toBe(0);
      await tier.set('k', large, 1);
      expect(await tier.sweep?.(2, 10)).toBe(1);
      expect(chunks()).toBe(0);
      await tier.set('k', large, 1);
      await tier.clear?.();
      expect(chunks()).toBe(0);
    });
  });

  test('whose chunks are damaged is a miss, not a wrong value', async () => {
    await runInDurableObject(env.BARE.getByName('damaged'), async (_object, { storage }) => {
      const tier = durableStorage(storage);
      await tier.set('k', entryOf(bytesOf(2.5 * MB)), Infinity);
      storage.sql.exec('DELETE FROM soloflight_chunks WHERE part = 2');

      await expect(async () => tier.get('k')).rejects.toMatchObject({ code: 'SOLOFLIGHT_UNDECODABLE', key: 'k' });
      expect(await tier.getMany?.(['k'])).toEqual([undefined]);
    });
  });
});

describe('a value over the limit', () => {
  test.each([33, 40])('is refused with its key and size, and replaces nothing: %d MB', async (size) => {
    await runInDurableObject(env.BARE.getByName(`refused-${size}`), async (_object, { storage }) => {
      const tier = durableStorage(storage);
      await tier.set('k', entryOf('before'), Infinity);

      await expect(async () => tier.set('k', entryOf(new Uint8Array(size * MB)), Infinity)).rejects.toMatchObject({
        code: 'SOLOFLIGHT_VALUE_TOO_LARGE',
        key: 'k',
        message: expect.stringMatching(/'k' takes \d+ bytes/),
      });
      expect((await tier.get('k'))?.value).toBe('before');
    });
  });
});

describe('a large value of an object', () => {
  test.each([2.5, 30])('reaches the Worker from memory and from storage: %d MB', async (size) => {
    const cache = durableCache(env.SCRIPTED);
    const key = `sent-${size}`;
    const bytes = bytesOf(size * MB);
    script.upstream = () => ({ id: key, load: 1, bytes }) as Product;

    const first = (await cache.get(key)) as Product & { readonly bytes: Uint8Array };
    await evictDurableObject(env.SCRIPTED.getByName(key));
    const second = await cache.lookup(key);

    const expected = await digest(bytes);
    expect(await digest(first.bytes)).toBe(expected);
    expect(second.tier).toBe('durable-object');
    expect(await digest((second.value as typeof first).bytes)).toBe(expected);
  });

  test('that is too large to send fails, and does not hang', async () => {
    const cache = durableCache(env.SCRIPTED);
    script.upstream = () => ({ id: 'huge', load: 1, bytes: new Uint8Array(34 * MB) }) as Product;

    await expect(() => cache.get('huge')).rejects.toThrow(/32 ?MiB|too large/i);
    expect((await cache.getStats('huge')).inFlight).toBe(0);
  });
});

test('storage of a class without SQLite is refused at once', () => {
  const without = {
    get sql(): never {
      throw new Error('SQL is not enabled for this Durable Object class');
    },
  };
  expect(() => durableStorage(without as unknown as DurableObjectStorage)).toThrow(/new_sqlite_classes/);
  expect(() => durableStorage(undefined as never)).toThrow(/`storage` to be the `ctx.storage`/);
});
