import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import { openSink } from '../../browser/support/sink.js';
import { catchUp, newProfile, openTab } from '../../browser/support/tabs.js';
import { join, joinLeading, put, read, type Queue, type Writing } from '../../browser/support/writing.js';

const SECRET = 'the secret of the former user';

/** All that the browser keeps for the origin, as text. */
function kept(tab: Page): Promise<string> {
  return tab.evaluate(async () => {
    const found: unknown[] = [Object.entries(localStorage)];
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve) => request.addEventListener('success', () => resolve(request.result)));
    for (const { name } of await indexedDB.databases()) {
      const database = await done(indexedDB.open(name!));
      for (const store of database.objectStoreNames)
        found.push(await done(database.transaction(store).objectStore(store).getAll()));
      database.close();
    }
    return JSON.stringify(found);
  });
}

/** A cache over a storage of its own tab, whose upstream waits for `window.answer`. */
async function openCache(tab: Page, kind: 'indexedDbStorage' | 'webStorageStorage'): Promise<void> {
  await tab.evaluate((kind) => {
    const { soloflight } = window;
    const storage = soloflight[kind]();
    const upstream = (): Promise<string> => new Promise((answer) => Object.assign(window, { answer }));
    const cache = new soloflight.TieredCache<string>({ ttl: '1h', storage, upstream, writeBack: 'await' });
    Object.assign(window, { storage, cache });
  }, kind);
}

interface Caching {
  readonly storage: ReturnType<typeof window.soloflight.indexedDbStorage>;
  readonly cache: InstanceType<typeof window.soloflight.TieredCache<string>>;
  readonly answer: (value: string) => void;
  loading: Promise<string>;
}

describe.each(['indexedDbStorage', 'webStorageStorage'] as const)('a wiped %s', (kind) => {
  test('holds nothing readable: what another tab is loading is not stored either, later loads are', async () => {
    const profile = await newProfile();
    const [first, second] = [await openTab(profile), await openTab(profile)];
    await openCache(first, kind);
    await openCache(second, kind);
    await first.evaluate(async (secret) => {
      const { cache } = window as unknown as Caching;
      await cache.set('a', secret);
      await cache.namespace('deeper').set('b', secret);
    }, SECRET);
    await second.evaluate(() => {
      const caching = window as unknown as Caching;
      caching.loading = caching.cache.get('c');
    });
    await second.waitForFunction(() => 'answer' in window);
    expect(await kept(first)).toContain(SECRET);

    await first.evaluate(async () => {
      const { cache, storage } = window as unknown as Caching;
      await cache.clear();
      await storage.wipe();
    });
    await catchUp(second, first);
    await second.evaluate(async (secret) => {
      const { answer, loading } = window as unknown as Caching;
      answer(secret);
      await loading;
    }, SECRET);
    await catchUp(first, second);

    expect(await kept(first)).not.toContain(SECRET);
    await second.evaluate(() => (window as unknown as Caching).cache.set('mine', 'of the next user'));
    expect(await kept(second)).toContain('of the next user');
  });
});

describe.each<Queue>(['indexedDbQueue', 'webStorageQueue'])('shared writes over an %s', (queue) => {
  test('wiped by a tab that does not lead: nothing readable stays, no tab delivers it, the next session does', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second, third] = [await openTab(profile), await openTab(profile), await openTab(profile)];
    await joinLeading(first, queue);
    await join(second, queue);
    sink.down = true;
    await put(first, 'a', SECRET);
    await put(second, 'b', SECRET);
    expect(await kept(first)).toContain(SECRET);

    await second.evaluate(() => (window as unknown as Writing).writes.wipe());
    sink.down = false;

    expect([await read(first, 'a'), await read(second, 'b')]).toEqual([undefined, undefined]);
    await catchUp(second, first);
    expect(await kept(second)).not.toContain(SECRET);
    await put(second, 'a', 'of the next user');
    await expect.poll(() => sink.log).toEqual(['a=of the next user']);
    // Until the queue has forgotten it, the next leader delivers it once more.
    await expect
      .poll(() => second.evaluate(async () => (await (window as unknown as Writing).writes.status()).pending))
      .toBe(0);
    // A tab that takes the lead finds nothing of it.
    await first.close();
    await join(third, queue);
    await put(third, 'b', 'of the next user, too');
    await expect.poll(() => sink.log).toEqual(['a=of the next user', 'b=of the next user, too']);
  });
});

describe.each<Queue>(['indexedDbQueue', 'webStorageQueue'])('a wiped %s', (queue) => {
  test('holds nothing readable, and is lost to a tab that has it open', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second] = [await openTab(profile), await openTab(profile)];
    await joinLeading(first, queue);
    sink.down = true;
    await put(first, 'a', SECRET);
    await catchUp(second, first);

    await second.evaluate(async (queue) => {
      const emptied = window.soloflight[queue]();
      await emptied.wipe();
    }, queue);
    await catchUp(first, second);
    sink.down = false;
    const code = await first.evaluate(() =>
      window.soloflight.codeOf(() => (window as unknown as Writing).writes.put('b', 'x')),
    );

    expect([code, sink.log]).toEqual(['SOLOFLIGHT_QUEUE_OWNED', []]);
    expect(await kept(second)).not.toContain(SECRET);
  });
});
