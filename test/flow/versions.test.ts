import { describe, expect, test } from 'vitest';

import { mapStorage, SoloflightError, type StorageTier } from '../../src/index.js';
import { chaos } from '../../src/testing/index.js';
import { overridden } from '../support/overridden.ts';
import { settle, setupCache } from '../support/setup-cache.js';

/** Two processes over one storage without leases, each with an upstream of its own. */
function twoProcesses(storage: StorageTier = mapStorage(), options: Parameters<typeof setupCache>[0] = {}) {
  const here = setupCache({ storage, ...options });
  const there = setupCache({ storage, clock: here.clock, ...options });
  return { storage, here, there, clock: here.clock };
}

describe('a load of one process that began before another one changed the key', () => {
  const changes: Readonly<Record<string, (cache: ReturnType<typeof setupCache>['cache']) => Promise<unknown>>> = {
    invalidate: (cache) => cache.invalidate('k'),
    set: (cache) => cache.set('k', 'set'),
    expire: (cache) => cache.expire('k'),
  };

  for (const [name, change] of Object.entries(changes)) {
    for (const how of ['a miss', 'a background reload', 'a refresh'] as const) {
      test(`${name}: ${how} does not undo it (C2, C4)`, async () => {
        const { here, there, storage, clock } = twoProcesses();
        if (how !== 'a miss') {
          await here.cache.set('k', 'older');
          await there.cache.get('k');
          clock.advance(1_500);
        }
        const read = how === 'a refresh' ? there.cache.refresh('k') : there.cache.get('k');
        await settle();
        expect(there.upstream.calls).toHaveLength(1);

        await change(here.cache);
        const left = await storage.get('k');
        there.upstream.calls[0]!.resolve('old');
        await read;
        await there.cache.idle();

        expect((await storage.get('k'))?.value).toBe(left?.value);
        expect((await storage.get('k'))?.freshUntil).toBe(left?.freshUntil);
        // Nor does the process itself go on with what it could not store.
        expect(there.cache.peek('k')).toBeUndefined();
      });
    }
  }

  test('does not undo it by taking over from a further tier what the nearer one was told to forget', async () => {
    const near = mapStorage();
    const far = chaos(mapStorage());
    const setup = (): ReturnType<typeof setupCache> => setupCache({ storage: [near, far] });
    const here = setup();
    const there = setup();
    await here.cache.set('k', 'old');
    await near.delete('k');
    far.hang('get');
    const read = there.cache.get('k');
    await settle();

    await near.delete('k');
    far.release();
    expect(await read).toBe('old');
    await there.cache.idle();

    expect(await near.get('k')).toBeUndefined();
  });
});

describe('a storage that is slow or away for one process', () => {
  test('gets nothing of a load before which it said nothing, however late (C3)', async () => {
    const slow = chaos(mapStorage());
    const { cache, upstream, clock } = setupCache({ storage: slow });
    slow.hang('version');
    const read = cache.get('k');
    await settle();
    await clock.advanceAsync(1_000);
    await settle();
    upstream.calls[0]!.resolve('old');
    await read;
    slow.release();
    await cache.idle();

    expect(await slow.get('k')).toBeUndefined();
    expect(cache.peek('k')).toBe('old');
  });

  test('takes what one process set late only if no other has changed the key since', async () => {
    const map = mapStorage();
    const slow = chaos(map);
    const here = setupCache({ storage: slow });
    const there = setupCache({ storage: map, clock: here.clock });
    // However the write is made.
    for (const operation of ['setIfVersion', 'set', 'setIfNewer'] as const) slow.hang(operation);
    const set = here.cache.set('k', 'mine');
    await here.clock.advanceAsync(5_000);
    await set;
    // What it is to replace goes meanwhile.
    await here.clock.advanceAsync(1_000);

    await there.cache.invalidate('k');
    slow.release();
    await settle();
    await here.cache.idle();

    expect(await map.get('k')).toBeUndefined();
    await here.clock.advanceAsync(10_000);
    expect(await map.get('k')).toBeUndefined();
  });
});

describe('a background reload', () => {
  test('takes what another process has stored meanwhile, and costs no load (C13)', async () => {
    const { here, there, clock } = twoProcesses();
    await here.cache.set('k', 'first');
    expect(await there.cache.get('k')).toBe('first');
    clock.advance(1_500);
    await here.cache.set('k', 'second');

    expect(await there.cache.get('k')).toBe('first');
    await settle();
    await there.cache.idle();

    expect(there.upstream.count).toBe(0);
    expect(await there.cache.get('k')).toBe('second');
  });
});

describe('a value that storage can not take', () => {
  test('removes what was there, at once, and says nothing against the health of the tier (C10)', async () => {
    const map = mapStorage();
    const storage = chaos(map);
    const { cache, clock } = setupCache({ storage });
    const errors: unknown[] = [];
    cache.on('tier-error', (event) => errors.push(event.operation));
    await cache.set('k', 'old');
    storage.failAlways('setIfVersion', new SoloflightError('SOLOFLIGHT_VALUE_TOO_LARGE', 'too large'));

    for (let time = 0; time < 10; time += 1) await cache.set('k', `new ${time}`);

    expect(await map.get('k')).toBeUndefined();
    expect(errors).toEqual(Array.from({ length: 10 }, () => 'set'));
    expect(cache.peek('k')).toBe('new 9');
    storage.restore();
    await cache.set('other', 'v');
    expect((await map.get('other'))?.value).toBe('v');
    expect(clock.pending).toBe(0);
  });
});

describe('an adapter with versions that answers nonsense', () => {
  test.each<[string, Partial<StorageTier>]>([
    ['no version', { version: () => ({}) as never }],
    ['nothing', { version: () => undefined as never }],
    ['no word of what it did', { setIfVersion: async () => undefined as never }],
  ])('is reported: %s, and costs no read', async (_, damage) => {
    const { cache } = setupCache({ storage: overridden(mapStorage(), damage), upstream: () => 'v' });
    const errors: string[] = [];
    cache.on('tier-error', ({ error }) => errors.push(String(error)));

    expect(await cache.get('k')).toBe('v');
    await cache.idle();

    expect(errors).toEqual([expect.stringContaining('TypeError: Expected `result of map.')]);
  });
});
