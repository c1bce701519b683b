import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import type { TieredCache } from '../../../src/index.js';
import type { WriteOutcome } from '../../../src/writes/index.js';
import { suspend } from '../../browser/support/suspension.js';
import { newProfile, openTab } from '../../browser/support/tabs.js';

/** What each tab has. */
interface Tab {
  readonly cache: TieredCache<string>;
  readonly writes: ReturnType<typeof window.soloflight.sharedWrites<string>>;
  readonly heard: string[];
}

/** The server of a test. Not on the tabs' own network, so that it can be up and down. */
interface Server {
  up: boolean;
  answer: (key: string, value: string | undefined) => WriteOutcome<string>;
  readonly values: Map<string, string>;
}

declare global {
  interface Window {
    readonly load: (key: string) => Promise<string | null>;
    readonly save: (
      writes: readonly { readonly key: string; readonly value: string | undefined }[],
    ) => Promise<WriteOutcome<string>[]>;
  }
}

async function setup(flushEvery = 600_000) {
  const profile = await newProfile();
  const server: Server = { up: true, answer: () => 'ok', values: new Map() };
  await profile.exposeBinding('load', (_source, key: string) => {
    if (!server.up) throw new Error('no network');
    return server.values.get(key) ?? null;
  });
  await profile.exposeBinding('save', (_source, writes: Parameters<Window['save']>[0]) => {
    if (!server.up) throw Object.assign(new Error('no network'), { name: 'TypeError' });
    return writes.map(({ key, value }) => {
      const outcome = server.answer(key, value);
      if (outcome === 'ok' && value !== undefined) server.values.set(key, value);
      if (outcome === 'ok' && value === undefined) server.values.delete(key);
      return outcome;
    });
  });
  const newTab = async (): Promise<Page> => {
    const tab = await openTab(profile);
    await equip(tab, flushEvery);
    return tab;
  };
  const first = await newTab();
  await first.waitForFunction(() => (window as unknown as Tab).writes.leading);
  return { server, first, second: await newTab(), newTab };
}

/** Gives `tab` a cache over the writes of all tabs. */
async function equip(tab: Page, flushEvery: number): Promise<void> {
  await tab.evaluate((flushEvery) => {
    const { sharedWrites, TieredCache, WriteBehind, webStorageQueue, webStorageStorage } = window.soloflight;
    const heard: string[] = [];
    const writes = sharedWrites<string>({
      name: 'cache',
      open: () =>
        new WriteBehind<string>({
          queue: webStorageQueue(),
          sink: (batch) => window.save(batch.map(({ key, value }) => ({ key, value }))),
          resolve: (_local, remote) => (remote === 'theirs' ? 'remote' : `resolved with ${remote}`),
          flushEvery,
          retry: { initial: 10, max: 20 },
        }),
    });
    for (const type of ['accept', 'restore', 'deliver', 'conflict', 'dead-letter', 'drain'] as const)
      writes.on(type, (event) => heard.push('key' in event ? `${type} ${event.key}` : type));
    const cache = new TieredCache<string>({
      ttl: '1h',
      staleIfError: '30d',
      storage: webStorageStorage(),
      upstream: async (key) => (await window.load(key)) as string,
      writes,
    });
    Object.assign(window, { cache, writes, heard });
  }, flushEvery);
}

const get = (tab: Page, key: string): Promise<string> =>
  tab.evaluate((key) => (window as unknown as Tab).cache.get(key), key);

const set = (tab: Page, key: string, value: string): Promise<void> =>
  tab.evaluate(([key, value]) => (window as unknown as Tab).cache.set(key, value), [key, value] as const);

const append = (tab: Page, key: string, value: string): Promise<string> =>
  tab.evaluate(([key, value]) => (window as unknown as Tab).cache.update(key, (current) => `${current}${value}`), [
    key,
    value,
  ] as const);

const flush = (tab: Page): Promise<void> => tab.evaluate(() => (window as unknown as Tab).writes.flush());

const heard = (tab: Page): Promise<string[]> => tab.evaluate(() => (window as unknown as Tab).heard);

describe('caches of several tabs over one `sharedWrites`', () => {
  test('agree on what any of them wrote, before the server knows and while it is away', async () => {
    const { server, first, second } = await setup();
    server.values.set('k', 'old');
    expect([await get(first, 'k'), await get(second, 'k')]).toEqual(['old', 'old']);
    server.up = false;

    await set(second, 'k', 'by the second');
    await expect.poll(() => get(first, 'k')).toBe('by the second');
    expect(await get(second, 'k')).toBe('by the second');
    await set(first, 'k', 'by the first');
    await expect.poll(() => get(second, 'k')).toBe('by the first');

    expect(server.values.get('k')).toBe('old');
    server.up = true;
    await flush(second);
    expect(server.values.get('k')).toBe('by the first');
  });

  test('go on without network: an update builds on that of another tab, and a reloaded tab has them all', async () => {
    const { server, first, second } = await setup();
    server.values.set('k', '1');
    await get(first, 'k');
    server.up = false;

    expect(await append(first, 'k', '2')).toBe('12');
    await expect.poll(() => get(second, 'k')).toBe('12');
    expect(await append(second, 'k', '3')).toBe('123');
    await first.reload();
    await equip(first, 600_000);

    expect(await get(first, 'k')).toBe('123');
    server.up = true;
    await flush(first);
    expect(server.values.get('k')).toBe('123');
  });

  test('give up what lost a conflict, whichever tab wrote it', async () => {
    const { server, first, second } = await setup();
    server.values.set('k', 'theirs');
    server.answer = () => ({ conflict: 'theirs' });
    await set(second, 'k', 'ours');
    await expect.poll(() => get(first, 'k')).toBe('ours');

    await flush(first);

    await expect.poll(async () => [await get(first, 'k'), await get(second, 'k')]).toEqual(['theirs', 'theirs']);
  });

  test('have what a conflict was resolved to', async () => {
    const { server, first, second } = await setup();
    let asked = 0;
    server.answer = () => ((asked += 1) === 1 ? { conflict: 'another' } : 'ok');
    await set(second, 'k', 'ours');

    await flush(second);

    await expect.poll(() => get(second, 'k')).toBe('resolved with another');
    await expect.poll(() => get(first, 'k')).toBe('resolved with another');
  });
});

describe('what happens to shared writes', () => {
  test('is heard in every tab, by who wrote before the write is accepted', async () => {
    const { first, second } = await setup();

    const before = await second.evaluate(async () => {
      const { writes, heard } = window as unknown as Tab;
      await writes.put('a', '1');
      return [...heard];
    });
    await flush(second);

    expect(before).toEqual(['accept a']);
    const all = ['accept a', 'deliver a', 'drain'];
    await expect.poll(() => heard(second)).toEqual(all);
    expect(await heard(first)).toEqual(all);
  });

  test('is heard no more by who does not listen, or has left', async () => {
    const { first, second } = await setup();
    await second.evaluate(() => {
      const { writes } = window as unknown as Tab;
      const seen: string[] = [];
      const stop = writes.on('accept', ({ key }) => seen.push(key));
      Object.assign(window, { seen, stop });
    });

    await set(first, 'a', '1');
    await expect.poll(() => heard(second)).toEqual(['accept a']);
    await second.evaluate(() => (window as unknown as { stop: () => void }).stop());
    await set(first, 'b', '1');
    await expect.poll(() => heard(second)).toEqual(['accept a', 'accept b']);
    await second.evaluate(async () => {
      await (window as unknown as Tab).writes.close();
      const told = { ofC: false };
      new BroadcastChannel('soloflight:cache').addEventListener('message', ({ data }) => {
        if (JSON.stringify(data).includes('"c"')) told.ofC = true;
      });
      Object.assign(window, { told });
    });
    await set(first, 'c', '1');
    await second.waitForFunction(() => (window as unknown as { told: { ofC: boolean } }).told.ofC);

    expect(await second.evaluate(() => (window as unknown as { seen: string[] }).seen)).toEqual(['a']);
    expect(await heard(second)).toEqual(['accept a', 'accept b']);
    expect(
      await first.evaluate(() => {
        const { writes } = window as unknown as Tab;
        return window.soloflight.codeOf(() => writes.on('accepted' as never, () => {}));
      }),
    ).toBe('TypeError');
  });

  test('and was not heard from a tab that crashed, is made up for by the next one that leads', async () => {
    const { server, first, second } = await setup();
    server.values.set('k', 'old');
    expect(await get(second, 'k')).toBe('old');
    server.up = false;
    // It accepts a write and dies before it has told anybody.
    await first.evaluate(async () => {
      Object.assign(BroadcastChannel.prototype, { postMessage: () => {} });
      await (window as unknown as Tab).writes.put('k', 'new');
    });
    expect(await get(second, 'k')).toBe('old');

    const crashed = first.waitForEvent('crash');
    first.goto('chrome://crash').catch(() => {});
    await crashed;

    await expect.poll(() => get(second, 'k')).toBe('new');
    expect(await heard(second)).toContain('restore k');
  });
});

describe('dead letters of shared writes', () => {
  test('are seen, tried again and dropped from every tab', async () => {
    const { server, first, second } = await setup();
    server.answer = () => ({ reject: 'no such mail' });
    await set(second, 'a', '1');
    await set(second, 'b', '1');
    await flush(second);
    server.answer = () => 'ok';

    const outcome = await second.evaluate(async () => {
      const { deadLetters } = (window as unknown as Tab).writes;
      const [a, b] = await deadLetters.list();
      await deadLetters.requeue(a!.id);
      await deadLetters.drop(b!.id);
      const { codeOf } = window.soloflight;
      return [a!.key, a!.value, a!.reason, await deadLetters.list(), await codeOf(() => deadLetters.requeue(b!.id))];
    });
    await flush(first);

    expect(outcome).toEqual(['a', '1', 'no such mail', [], 'SOLOFLIGHT_UNKNOWN_DEAD_LETTER']);
    expect([...server.values]).toEqual([['a', '1']]);
  });
});

describe('the status of shared writes', () => {
  test('is the same in every tab, with the name and the message of the last error', async () => {
    const { server, first, second } = await setup();
    server.up = false;
    await set(second, 'k', 'v');
    await flush(second);

    const [own, other] = await Promise.all(
      [first, second].map((tab) =>
        tab.evaluate(async () => {
          const { lastError, pending } = await (window as unknown as Tab).writes.status();
          return { pending, error: [lastError instanceof Error, String(lastError).split('\n')[0]] };
        }),
      ),
    );

    expect(own).toMatchObject({ pending: 1, error: [true, expect.stringContaining('no network')] });
    expect(other).toEqual(own);
  });
});

describe('a call of shared writes that takes too long', () => {
  test.each([
    ['rejects with its signal, where the tab that leads cannot have accepted it', true, 'enough'],
    ['resolves despite its signal, where the tab that leads had accepted it and could not say so', false, undefined],
  ])('%s, and leaves nothing behind', async (_which, isDeaf, expected) => {
    const { first, second } = await setup();
    await first.evaluate(() => {
      Object.assign(BroadcastChannel.prototype, { postMessage: () => {} });
    });
    const resume = isDeaf ? await suspend(first) : undefined;

    const outcome = await second.evaluate(async () => {
      const { writes } = window as unknown as Tab;
      const leaving = new AbortController();
      const { signal } = leaving;
      let listeners = 0;
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = (...given: Parameters<typeof add>) => {
        listeners += 1;
        add(...given);
      };
      signal.removeEventListener = (...given: Parameters<typeof remove>) => {
        listeners -= 1;
        remove(...given);
      };
      const put = writes.put('k', 'v', { signal }).catch((reason: unknown) => reason);
      leaving.abort('enough');
      const late = writes.delete('k', { signal }).catch((reason: unknown) => reason);
      const wrong = window.soloflight.codeOf(() => writes.put('k', 'v', { signal: {} as never }));
      return [await put, await late, await wrong, listeners];
    });

    await resume?.();
    expect(outcome).toEqual([expected, 'enough', 'TypeError', 0]);
  });
});
