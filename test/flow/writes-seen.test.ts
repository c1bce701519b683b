import { describe, expect, test } from 'vitest';

import { defineWrites, mapStorage } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind } from '../../src/writes/index.js';
import { settle, setupCache } from '../support/setup-cache.js';
import { setupWrites } from '../support/setup-writes.js';

describe('a write that the queue refuses after a while', () => {
  test('is not served any more by a cache that read it meanwhile', async () => {
    const clock = manualClock();
    let refuse = (_reason: unknown): void => {};
    const put = (): Promise<void> => new Promise((_resolve, reject) => (refuse = reject));
    const queue = { name: 'slow', load: () => [], listDead: () => [], remove: () => {}, put };
    const writes = new WriteBehind<string>({ clock, queue, sink: () => {} });
    await writes.open();
    const { cache } = setupCache({ clock, writes, ttl: '1h', storage: mapStorage(), upstream: () => 'old' });
    const refused = writes.put('k', 'new').catch(({ code }: { code: string }) => code);
    expect(await cache.get('k')).toBe('new');

    for (let call = 0; call < 3; call += 1) {
      await settle();
      refuse(new Error('the disk is full'));
    }

    expect(await refused).toBe('SOLOFLIGHT_WRITE_QUEUE');
    expect(await cache.get('k')).toBe('old');
  });
});

describe('a read while nobody can tell what is pending', () => {
  test('is answered all the same, long before its load would be given up', async () => {
    const clock = manualClock();
    const never = new Promise<never>(() => {});
    const writes = defineWrites<string>({
      ...{ open: () => never, peek: () => never, put: () => never, delete: () => never, on: () => () => {} },
    });
    const { cache } = setupCache({ clock, writes, ttl: '1h', storage: mapStorage(), upstream: () => 'v' });

    const read = cache.get('k').catch(({ code }: { code: string }) => code);
    await clock.advanceAsync(1_000);

    expect(await read).toBe('v');
  });

  test('is made good when somebody can: what was read past a write is not kept', async () => {
    const clock = manualClock();
    let tell = (_write: { kind: 'put'; value: string } | undefined): void => {};
    const writes = defineWrites<string>({
      ...{ open: async () => {}, put: async () => {}, delete: async () => {}, on: () => () => {} },
      peek: () => new Promise<{ kind: 'put'; value: string } | undefined>((resolve) => (tell = resolve)),
    });
    const { cache } = setupCache({ clock, writes, ttl: '1h', upstream: () => 'old' });
    const read = cache.get('k');
    await clock.advanceAsync(1_000);
    expect(await read).toBe('old');

    tell({ kind: 'put', value: 'new' });
    await settle();

    expect(cache.peek('k')).toBeUndefined();
    const again = cache.get('k');
    await settle();
    tell({ kind: 'put', value: 'new' });
    expect(await again).toBe('new');
  });
});

describe('a value put after a delete, behind a write that is being delivered', () => {
  test('is not merged into what was deleted', async () => {
    const { writes, settle } = setupWrites({ merge: (pending, incoming) => pending + incoming });
    await writes.put('k', 'a');
    void writes.flush();
    await settle();

    await writes.delete('k');
    await writes.put('k', 'x');

    expect(await writes.read('k')).toBe('x');
  });
});

describe('an update over a cache whose upstream is away', () => {
  test('is made of what is known, when that may be as old as it is', async () => {
    const clock = manualClock();
    let up = true;
    const { writes } = setupWrites({ clock, queue: memoryQueue() });
    const upstream = (): string => {
      if (!up) throw new Error('no network');
      return 'v';
    };
    const { cache } = setupCache({ clock, writes, ttl: '1m', staleWhileRevalidate: 0, staleIfError: '30d', upstream });
    await cache.get('k');
    up = false;
    await clock.advanceAsync(60_001);

    await expect(cache.update('k', (value) => `${value}!`)).rejects.toThrow('no network');
    expect(await cache.update('k', (value) => `${value}!`, { maxStale: Infinity })).toBe('v!');
  });
});
