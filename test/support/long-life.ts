import { lruMemory, TieredCache } from '../../src/index.js';

const MAX = 1_000;
/** After this many keys, everything bounded is full: memory, failures, remembered invalidations. */
const WARM_UP = 100_000;

/** Leftovers of a long life that should not exist. */
interface Remains {
  readonly entriesTooMany: number;
  readonly flights: number;
  readonly bytesTooMany: number;
}

export const nothing: Remains = { entriesTooMany: 0, flights: 0, bytesTooMany: 0 };

/** Asks a cache for ever new keys, with failures, aborts and invalidations, and returns what they leave behind. */
export async function liveLong(keys: number): Promise<Remains> {
  const cache = new TieredCache<string>({
    ttl: '1h',
    errorTtl: '1h',
    staleIfError: '1h',
    memory: lruMemory({ max: MAX }),
    upstream: (key) => {
      if (key.endsWith('7')) throw new Error(key);
      return key;
    },
  });
  const read = async (key: string): Promise<void> => {
    const controller = new AbortController();
    if (key.endsWith('3')) {
      const aborted = cache.get(key, { signal: controller.signal });
      controller.abort();
      await aborted.catch(() => {});
    } else await cache.get(key).catch(() => {});
    if (key.endsWith('5')) await cache.invalidate(key);
  };
  const pass = async (from: number, to: number): Promise<number> => {
    for (let next = from; next < to; next += MAX)
      await Promise.all(Array.from({ length: MAX }, (_, index) => read(`key:${next + index}`)));
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };

  const early = await pass(0, WARM_UP);
  const late = await pass(WARM_UP, keys);

  const { size, inFlight } = cache.getStats();
  // A megabyte for hash tables that grow once more and for compiled code. A forgotten entry costs more than 7 bytes.
  const allowed = 1_000_000 + 7 * (keys - WARM_UP);
  await cache.close();
  return {
    entriesTooMany: Math.max(0, size - MAX),
    flights: inFlight,
    bytesTooMany: Math.max(0, late - early - allowed),
  };
}
