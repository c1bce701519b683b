import { describe, expect, test } from 'vitest';

import { defineStorage, loaded } from '../../src/index.js';
import type { TieredCacheOptions } from '../../src/index.js';
import { chaos, manualClock, type ManualClock } from '../../src/testing/index.js';
import { leasingStorage } from '../support/leasing-storage.ts';
import { settle, setupCache } from '../support/setup-cache.ts';

/** Caches over one storage, each standing for a process. */
function setup(count: number, options: Partial<Omit<TieredCacheOptions<string>, 'clock'>> = {}) {
  const clock = manualClock({ random: () => 0.999 });
  const storage = leasingStorage(clock);
  const processes = Array.from({ length: count }, () => setupCache({ clock, storage, ...options }));
  const calls = () => processes.reduce((sum, { upstream }) => sum + upstream.calls.length, 0);
  return { clock, storage, processes, calls };
}

/** Lets time pass in small steps, with everything that follows from each. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    clock.advance(50);
    await settle();
  }
}

describe('one cold key in twenty processes', () => {
  test('is loaded once, and all get that value', async () => {
    const { storage, processes, calls } = setup(20);

    const reads = processes.flatMap(({ cache }) => Array.from({ length: 100 }, () => cache.get('k')));
    await settle();
    expect(calls()).toBe(1);
    const loader = processes.find(({ upstream }) => upstream.calls.length === 1)!;
    loader.upstream.calls[0]!.resolve('value');
    const values = await Promise.all(reads);

    expect(new Set(values)).toEqual(new Set(['value']));
    expect(calls()).toBe(1);
    expect(storage.holder('k')).toBeUndefined();
    const statuses = await Promise.all(processes.map(async ({ cache }) => (await cache.lookup('k')).status));
    expect(new Set(statuses)).toEqual(new Set(['hit']));
  });

  test('is loaded once also where no message comes: those who wait ask again', async () => {
    const { clock, storage, processes, calls } = setup(20);
    storage.messages = false;

    const reads = processes.map(({ cache }) => cache.get('k'));
    await settle();
    await pass(clock, 1_000);
    processes.find(({ upstream }) => upstream.calls.length === 1)!.upstream.calls[0]!.resolve('value');
    await settle();
    await pass(clock, 250);

    expect(await Promise.all(reads)).toEqual(reads.map(() => 'value'));
    expect(calls()).toBe(1);
  });

  test('a stale one is served everywhere at once, and reloaded once', async () => {
    const { clock, processes, calls } = setup(20);
    const [first] = processes;
    const warm = first!.cache.get('k');
    await settle();
    first!.upstream.calls[0]!.resolve('old');
    await warm;
    await first!.cache.idle();
    await Promise.all(processes.map(({ cache }) => cache.get('k')));
    clock.advance(2_000);

    const values = await Promise.all(processes.map(({ cache }) => cache.get('k')));
    await settle();

    expect(new Set(values)).toEqual(new Set(['old']));
    expect(calls()).toBe(2);
    processes
      .flatMap(({ upstream }) => upstream.calls)
      .find((call) => !call.settled)!
      .resolve('new');
    await settle();
    expect(await Promise.all(processes.map(({ cache }) => cache.get('k')))).toEqual(processes.map(() => 'new'));
    expect(calls()).toBe(2);
  });
});

describe('a process that loads for longer than a lease lasts', () => {
  test('keeps its lease, and the others wait for it', async () => {
    const { clock, processes, calls } = setup(2, { leaseWait: '20s' });
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];

    const loading = a.cache.get('k');
    await settle();
    const waiting = b.cache.get('k');
    await pass(clock, 9_000);
    expect(calls()).toBe(1);
    a.upstream.calls[0]!.resolve('value');
    await settle();
    await pass(clock, 250);

    expect(await Promise.all([loading, waiting])).toEqual(['value', 'value']);
    expect(calls()).toBe(1);
  });

  test('is waited for no longer than `leaseWait`', async () => {
    const { clock, processes, calls } = setup(2, { leaseWait: '2s' });
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];

    const loading = a.cache.get('k');
    await settle();
    const waiting = b.cache.get('k');
    await pass(clock, 1_900);
    expect(calls()).toBe(1);
    await pass(clock, 200);
    expect(calls()).toBe(2);
    b.upstream.calls[0]!.resolve('mine');

    expect(await waiting).toBe('mine');
    a.upstream.calls[0]!.resolve('slow');
    expect(await loading).toBe('slow');
  });

  test('gives the lease back when its flight is given up, even if the work hangs', async () => {
    const { clock, storage, processes } = setup(1, { maxDuration: '5s' });
    const [{ cache }] = processes as [(typeof processes)[0]];

    const read = cache.get('k');
    read.catch(() => {});
    await settle();
    await pass(clock, 4_900);
    expect(storage.holder('k')).toBeDefined();
    await pass(clock, 1_200);

    await expect(read).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
    expect(storage.holder('k')).toBeUndefined();
  });

  test.each(['fails', 'brings nothing', 'is not to be stored'] as const)(
    'lets all who wait go on at once when the load %s (C11)',
    async (how) => {
      const { clock, processes } = setup(8);
      const reads = processes.map(({ cache }) => cache.get('k').catch(() => 'failed'));
      await settle();
      const [leader] = processes.filter(({ upstream }) => upstream.count === 1);
      expect(processes.reduce((sum, { upstream }) => sum + upstream.count, 0)).toBe(1);

      if (how === 'fails') leader!.upstream.calls[0]!.reject(new Error('down'));
      else if (how === 'brings nothing') leader!.upstream.calls[0]!.resolve(undefined as never);
      else leader!.upstream.calls[0]!.resolve(loaded('v', { store: false }));
      await settle();
      await pass(clock, 250);

      expect(processes.map(({ upstream }) => upstream.count)).toEqual(Array.from({ length: 8 }, () => 1));
      for (const process of processes) if (process !== leader) process.upstream.calls[0]!.resolve('v');
      await settle();
      expect(await Promise.all(reads)).toHaveLength(8);
    },
  );

  test('gives the lease back at once when the load fails or nothing is stored', async () => {
    const { storage, processes } = setup(1, { ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 });
    const [{ cache, upstream }] = processes as [(typeof processes)[0]];

    const failing = cache.get('fails');
    const fleeting = cache.get('not stored');
    await settle();
    expect(storage.holder('fails')).toBeDefined();
    upstream.calls[0]!.reject(undefined);
    upstream.calls[1]!.resolve('value');

    await expect(failing).rejects.toBeUndefined();
    expect(await fleeting).toBe('value');
    await cache.idle();
    expect(storage.holder('fails')).toBeUndefined();
    expect(storage.holder('not stored')).toBeUndefined();
  });
});

describe('a process that dies while it loads', () => {
  test('is replaced when its lease has ended, by one other', async () => {
    const { clock, storage, processes, calls } = setup(5);
    // The dead one's lease: nobody renews it.
    await storage.lease('k', 3_000, -Infinity);

    const reads = processes.map(({ cache }) => cache.get('k'));
    await settle();
    await pass(clock, 2_900);
    expect(calls()).toBe(0);
    await pass(clock, 400);
    expect(calls()).toBe(1);
    processes.find(({ upstream }) => upstream.calls.length === 1)!.upstream.calls[0]!.resolve('value');

    expect(await Promise.all(reads)).toEqual(reads.map(() => 'value'));
  });
});

describe('a key that changes in one process while another one loads it', () => {
  test('what is loaded is given to those who asked before, and stored nowhere', async () => {
    const { storage, processes } = setup(2);
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];

    const loading = a.cache.get('k');
    await settle();
    await b.cache.invalidate('k');
    a.upstream.calls[0]!.resolve('old');
    expect(await loading).toBe('old');
    await a.cache.idle();

    expect(await storage.get('k')).toBeUndefined();
    expect(a.cache.peek('k')).toBeUndefined();
  });

  test('what was set stays, however late the load ends', async () => {
    const { clock, processes } = setup(2);
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];

    const loading = a.cache.get('k');
    await settle();
    clock.advance(1);
    await b.cache.set('k', 'set');
    a.upstream.calls[0]!.resolve('loaded');
    await loading;
    await a.cache.idle();

    expect(await a.cache.get('k')).toBe('set');
  });

  test('a flight that waits for the other one is not answered with what an invalidation has made old', async () => {
    const { clock, processes } = setup(2);
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];
    const loading = a.cache.get('k');
    await settle();
    const waiting = b.cache.get('k');
    await settle();

    await b.cache.invalidate('k');
    const after = b.cache.get('k');
    await settle();
    a.upstream.calls[0]!.resolve('old');
    await loading;
    await settle();
    await pass(clock, 300);
    b.upstream.calls[0]!.resolve('new');

    expect(await Promise.all([waiting, after])).toEqual(['new', 'new']);
    expect(b.upstream.calls.length).toBe(1);
  });
});

describe('leases that are not to be had', () => {
  test.each(['reject', 'throw'] as const)('one load per process where storage fails to give them (%s)', async (how) => {
    const clock = manualClock();
    const shared = leasingStorage(clock);
    const processes = Array.from({ length: 3 }, () => {
      const storage = chaos(shared);
      storage.failAlways('lease', new Error('no'), how);
      return setupCache({ clock, storage });
    });

    const reads = processes.flatMap(({ cache }) => [cache.get('k'), cache.get('k')]);
    await settle();
    for (const { upstream } of processes) {
      expect(upstream.calls.length).toBe(1);
      upstream.calls[0]!.resolve('value');
    }

    expect(await Promise.all(reads)).toEqual(reads.map(() => 'value'));
  });

  test('a lease that hangs is not waited for, and given back when it comes', async () => {
    const clock = manualClock();
    const shared = leasingStorage(clock);
    const storage = chaos(shared);
    storage.hang('lease');
    const { cache, upstream } = setupCache({ clock, storage });

    const read = cache.get('k');
    await settle();
    expect(upstream.calls.length).toBe(0);
    clock.advance(1_000);
    await settle();
    upstream.calls[0]!.resolve('value');
    expect(await read).toBe('value');
    storage.release();
    await settle();

    expect(shared.holder('k')).toBeUndefined();
  });

  test('garbage for an answer is an error of the tier, not of the reader', async () => {
    const clock = manualClock();
    const storage = defineStorage({ ...leasingStorage(clock), lease: async () => ({ kind: 'lease' }) as never });
    const { cache, upstream } = setupCache({ clock, storage });
    const errors: unknown[] = [];
    cache.on('tier-error', ({ operation }) => errors.push(operation));

    const read = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('value');

    expect(await read).toBe('value');
    expect(errors).toEqual(['lease']);
  });

  test('a tier that offers the same old entry again and again is left alone', async () => {
    const clock = manualClock();
    const real = leasingStorage(clock);
    const { cache, upstream } = setupCache({ clock, storage: real });
    const warm = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('old');
    await warm;
    await cache.idle();
    const entry = (await real.get('k'))!;
    clock.advance(3_600_000);
    const stuck = { ...real, lease: async () => ({ kind: 'entry' as const, entry }) };
    const other = setupCache({ clock, storage: stuck });

    const read = other.cache.get('k');
    await settle();
    other.upstream.calls[0]!.resolve('new');

    expect(await read).toBe('new');
  });

  test('`leaseWait: 0` asks for none', async () => {
    const { storage, processes, calls } = setup(2, { leaseWait: 0 });

    const reads = processes.map(({ cache }) => cache.get('k'));
    await settle();
    for (const { upstream } of processes) upstream.calls[0]!.resolve('value');
    await Promise.all(reads);

    expect(calls()).toBe(2);
    expect(storage.asked()).toBe(0);
  });
});

describe('callers of a flight that waits for another process', () => {
  test('may leave, and the last one ends the waiting', async () => {
    const { clock, storage, processes } = setup(1);
    const [{ cache, upstream }] = processes as [(typeof processes)[0]];
    await storage.lease('k', 60_000, -Infinity);
    const controller = new AbortController();

    const read = cache.get('k', { signal: controller.signal });
    await settle();
    controller.abort('enough');
    await expect(read).rejects.toBe('enough');
    const asked = storage.asked();
    await pass(clock, 2_000);

    expect(storage.asked()).toBe(asked);
    expect(upstream.calls.length).toBe(0);
    expect(cache.getStats().inFlight).toBe(0);
  });

  test('get what is stored when their soft timeout is over', async () => {
    const { clock, storage, processes } = setup(1, { softTimeout: '100ms', staleWhileRevalidate: 0 });
    const [{ cache, upstream }] = processes as [(typeof processes)[0]];
    const warm = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('old');
    await warm;
    await cache.idle();
    clock.advance(2_000);
    await storage.lease('k', 60_000, clock.now());

    const read = cache.get('k');
    await settle();
    await pass(clock, 100);

    expect(await read).toBe('old');
    await storage.delete('k');
    await settle();
    expect(upstream.calls.length).toBe(2);
  });

  test('`refresh` loads by itself: a load that began earlier would not do', async () => {
    const { processes, calls } = setup(2);
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];

    const loading = a.cache.get('k');
    await settle();
    const refreshing = b.cache.refresh('k');
    await settle();
    expect(calls()).toBe(2);
    b.upstream.calls[0]!.resolve('newer');
    expect(await refreshing).toBe('newer');
    a.upstream.calls[0]!.resolve('older');

    expect(await loading).toBe('older');
  });
});

describe('a key made stale while a lease on it is being asked for', () => {
  test('is loaded at once: the flight that follows does not wait for the lease of the one before', async () => {
    const { storage, processes } = setup(1);
    const [{ cache, upstream }] = processes as [(typeof processes)[0]];
    const read = cache.get('k');
    while (storage.asked() === 0) await null;
    await cache.expire('k');
    await settle();

    expect(upstream.calls).toHaveLength(1);
    upstream.calls[0]!.resolve('value');
    expect(await read).toBe('value');
  });
});
