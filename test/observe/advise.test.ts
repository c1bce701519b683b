import { describe, expect, test } from 'vitest';

import { lruMemory, mapStorage, Singleflight, TieredCache, type TieredCacheOptions } from '../../src/index.js';
import { advise, type Advice } from '../../src/observe/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';
import { wire } from '../support/wire.js';

type Options = Omit<TieredCacheOptions<string | undefined>, 'clock' | 'upstream'>;

/** What a cache does in a test, by the test's clock. */
type Workload = (cache: TieredCache<string | undefined>, clock: ManualClock) => Promise<unknown>;

const nothing: Workload = async () => {};

/** The advice after `workload` on a cache with `options`, whose loads take `loadMs`. */
async function adviceOn(options: Options, workload: Workload, loadMs = 0): Promise<readonly Advice[]> {
  const clock = manualClock({ random: () => 0.5 });
  const upstream = async (key: string): Promise<string | undefined> => {
    if (loadMs > 0) await new Promise<void>((resolve) => clock.after(loadMs, resolve));
    return key.startsWith('absent') ? undefined : `v ${key}`;
  };
  const made = { ...options, clock, upstream } as TieredCacheOptions<string | undefined>;
  const cache = new TieredCache<string | undefined>(made);
  advise(cache, made);
  await workload(cache, clock);
  const advice = advise(cache, made);
  await cache.close();
  return advice;
}

/** A storage that says of itself what one does that several processes share. */
function shared() {
  return Object.assign(mapStorage(), { forgets: true });
}

/** Reads `count` keys made by `keyOf`, with `ms` between two reads. */
const reads =
  (count: number, keyOf: (index: number) => string, ms = 0): Workload =>
  async (cache, clock) => {
    for (let index = 0; index < count; index += 1) {
      await cache.get(keyOf(index));
      if (ms > 0) clock.advance(ms);
    }
  };

/** Reads keys in pairs, so that each load is shared. */
const readsInPairs =
  (count: number, keyOf: (index: number) => string): Workload =>
  async (cache) => {
    for (let index = 0; index < count; index += 1)
      await Promise.all([cache.get(keyOf(index)), cache.get(keyOf(index))]);
  };

const slowReads =
  (count: number, ms: number): Workload =>
  async (cache, clock) => {
    for (let index = 0; index < count; index += 1) {
      const reading = cache.get(`k${index}`);
      await clock.advanceAsync(ms);
      await reading;
    }
  };

const ttl = '1m' as const;
const plain: Options = { ttl };
const memory = lruMemory<string | undefined>;

interface Case {
  readonly code: string;
  readonly wrong: () => Options;
  readonly sound: () => Options;
  readonly workload?: Workload;
  /** @default the same */
  readonly soundWorkload?: Workload;
  readonly loadMs?: number;
}

const unique = (index: number): string => `request ${index}`;
const cases: readonly Case[] = [
  {
    code: 'SHARED_WITHOUT_NAME',
    wrong: () => ({ ttl: '5s', storage: shared() }),
    sound: () => ({ ttl: '5s', storage: shared(), name: 'posts' }),
  },
  {
    code: 'FLEET_WITHOUT_BACKPLANE',
    wrong: () => ({ ttl: 10_001, storage: shared(), name: 'posts' }),
    sound: () => ({ ttl: 10_000, storage: shared(), name: 'posts' }),
  },
  {
    code: 'BACKPLANE_WITHOUT_STORAGE',
    wrong: () => ({ ttl, backplane: wire().plug() }),
    sound: () => ({ ttl, backplane: wire().plug(), storage: mapStorage() }),
  },
  {
    code: 'FALLBACK_NEVER',
    wrong: () => ({ ttl, softTimeout: '2s' }),
    sound: () => ({ ttl, softTimeout: '2s', staleIfError: { for: '1h', when: () => true } }),
  },
  {
    code: 'TIMEOUT_INVERTED',
    wrong: () => ({ ttl, storage: mapStorage(), readTimeout: '2s', softTimeout: '2s', staleIfError: '1h' }),
    sound: () => ({ ttl, storage: mapStorage(), readTimeout: '2s', softTimeout: 2_001, staleIfError: '1h' }),
  },
  {
    code: 'TIMEOUT_INVERTED',
    wrong: () => ({ ttl: '5s', storage: shared(), name: 'posts', maxDuration: '9s' }),
    sound: () => ({ ttl: '5s', storage: shared(), name: 'posts', maxDuration: '10s' }),
  },
  {
    code: 'MEMORY_OFF_HOT',
    wrong: () => ({ ttl, storage: mapStorage(), memory: false }),
    sound: () => ({ ttl, storage: mapStorage() }),
    workload: reads(10_000, () => 'hot', 1),
  },
  {
    code: 'KEYS_UNIQUE',
    wrong: () => plain,
    sound: () => plain,
    workload: readsInPairs(5_000, unique),
    soundWorkload: readsInPairs(5_000, (index) => `k${index % 4_000}`),
  },
  {
    code: 'TTL_SHORTER_THAN_LOAD',
    wrong: () => ({ ttl: 400 }),
    sound: () => ({ ttl: 600 }),
    workload: slowReads(100, 500),
    loadMs: 500,
  },
  {
    code: 'EXPIRE_TOGETHER',
    wrong: () => ({ ttl: '10m' }),
    sound: () => ({ ttl: '10m', jitter: 0.1 }),
    workload: reads(1_000, unique),
  },
  {
    code: 'EXPIRE_TOGETHER',
    wrong: () => ({ ttl: '10m' }),
    sound: () => ({ ttl: '10m' }),
    workload: reads(1_000, unique),
    soundWorkload: reads(1_000, unique, 500),
  },
  {
    code: 'MEMORY_CHURN',
    wrong: () => ({ ttl, memory: memory({ max: 10 }) }),
    sound: () => ({ ttl, memory: memory({ max: 1_000 }) }),
    workload: reads(2_000, (index) => `k${index % 500}`, 1),
  },
  {
    code: 'ABSENT_REPEATED',
    wrong: () => plain,
    sound: () => ({ ttl, absentTtl: '10s' }),
    workload: reads(1_000, () => 'absent', 100),
  },
  {
    code: 'COALESCE_OFF',
    wrong: () => ({ ttl, coalesce: () => false }),
    sound: () => ({ ttl, coalesce: () => true }),
    workload: async (_, clock) => clock.advance(3_600_000),
  },
  {
    code: 'NEVER_COALESCED',
    wrong: () => plain,
    sound: () => plain,
    workload: reads(10_000, unique),
    soundWorkload: async (cache, clock) => {
      await Promise.all([cache.get('k'), cache.get('k')]);
      await reads(10_000, unique)(cache, clock);
    },
  },
];

describe('advice', () => {
  test.each(cases)(
    '$code where it is wrong, with its evidence',
    async ({ code, wrong, workload = nothing, loadMs }) => {
      const found = (await adviceOn(wrong(), workload, loadMs)).find((advice) => advice.code === `ADVICE_${code}`);

      expect(found).toBeDefined();
      expect(Object.keys(found!.because).length).toBeGreaterThan(0);
      expect(found!.message.length).toBeGreaterThan(20);
      expect(found!.change.length).toBeGreaterThan(10);
    },
  );

  test.each(cases)('no $code on the nearest sound one', async ({ code, sound, loadMs, ...rest }) => {
    const workload = rest.soundWorkload ?? rest.workload ?? nothing;

    const codes = (await adviceOn(sound(), workload, loadMs)).map((advice) => advice.code);

    expect(codes).not.toContain(`ADVICE_${code}`);
  });

  test('none for a service as the README has it, after six hours of mixed traffic', async () => {
    const options: Options = {
      ...{ ttl: '1m', staleWhileRevalidate: '10m', staleIfError: '1h', jitter: 0.1, softTimeout: '2s', name: 'posts' },
      ...{ storage: shared(), backplane: wire().plug() },
    };
    const hours: Workload = async (cache, clock) => {
      for (let minute = 0; minute < 360; minute += 1) {
        const keys = Array.from({ length: 20 }, (_, index) => `post ${(minute * 7 + index * index) % 300}`);
        await Promise.all([...keys, ...keys].map((key) => cache.get(key)));
        if (minute % 30 === 0) await cache.invalidate(keys.slice(0, 3));
        await cache.idle();
        clock.advance(60_000);
      }
    };

    expect(await adviceOn(options, hours)).toEqual([]);
  });

  test('MEMORY_CHURN says to what memory is to be raised', async () => {
    const [found] = await adviceOn(
      { ttl, memory: memory({ max: 10 }) },
      reads(2_000, (index) => `k${index % 500}`, 1),
    );

    expect(found).toMatchObject({ code: 'ADVICE_MEMORY_CHURN', because: { keys: 500 } });
    expect(found!.change).toContain('500');
  });

  test('COALESCE_OFF counts from when it was first found off, and starts again after it was on', async () => {
    const clock = manualClock();
    let on = false;
    const options = { ttl, clock, coalesce: () => on } as const;
    const cache = new TieredCache<string>({ ...options, upstream: async () => 'v' });
    const codes = () => advise(cache, options).map(({ code }) => code);

    codes();
    clock.advance(3_000_000);
    on = true;
    codes();
    on = false;
    clock.advance(3_000_000);
    expect(codes()).toEqual([]);
    clock.advance(3_600_000);
    expect(codes()).toEqual(['ADVICE_COALESCE_OFF']);
  });

  test('without options, only what was observed', async () => {
    const cache = new TieredCache<string>({ ttl, softTimeout: '1s', upstream: async () => 'v' });
    advise(cache);
    for (let index = 0; index < 10_000; index += 1) await cache.get(unique(index));

    expect(advise(cache).map(({ code }) => code)).toEqual(['ADVICE_KEYS_UNIQUE', 'ADVICE_NEVER_COALESCED']);
  });

  test('a switch that throws, and keys of any kind, disturb nothing', async () => {
    const options = {
      ttl,
      coalesce: () => {
        throw new Error('broken');
      },
    } as const;
    const cache = new TieredCache<string>({ ...options, upstream: async () => 'v' });
    advise(cache, options);
    await cache.get('\uD800\0'.repeat(5_000));

    expect(advise(cache, options)).toEqual([]);
  });

  test.each([[new Singleflight()], [{}], [undefined]])('refuses %s', (source) => {
    expect(() => advise(source as never)).toThrow(TypeError);
  });

  test('refuses options that are none', () => {
    const cache = new TieredCache<string>({ ttl });
    expect(() => advise(cache, 7 as never)).toThrow(TypeError);
  });
});
