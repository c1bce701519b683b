// Faults planted from outside, into what a cache is given: the simulator must find each of them.
import type { Entry, MemoryTier, StorageAdapter } from '../../src/index.js';
import type { ProcessParts } from '../../src/testing/index.js';
import { chanceOf, type Chance } from './chance.ts';
import { randomScripts, runCase, type Case, type FleetOptions, type Found, type Kit } from './simulation.ts';

/** A fault, and a situation that holds without it. */
export interface PlantedFault {
  readonly name: string;
  /** Whether the caches of today use what it breaks. */
  readonly expected: 'found' | 'hidden';
  readonly fleet: FleetOptions;
  readonly make: (chance: Chance) => Case;
  /** `fleet` with the fault. */
  readonly plant: (fleet: FleetOptions) => FleetOptions;
}

/** Runs the case that `seed` makes of `fault`, with it or without. */
export function runPlanted(kit: Kit, fault: PlantedFault, seed: number, planted: boolean): Promise<Found> {
  const fleet = planted ? fault.plant(fault.fleet) : fault.fleet;
  return runCase(kit, fleet, fault.make(chanceOf(seed)), seed);
}

/** Alters what every process sees of the storage. */
function altered(
  fleet: FleetOptions,
  change: (adapter: StorageAdapter, parts: ProcessParts) => Partial<StorageAdapter>,
): FleetOptions {
  const storageOptions = (parts: ProcessParts) => ({
    ...fleet.storageOptions?.(parts),
    change: (adapter: StorageAdapter) => ({ ...adapter, ...change(adapter, parts) }),
  });
  return { ...fleet, storageOptions };
}

const TWO = ['a', 'b'] as const;

/** Process a changes now and then what process b reads, both over one storage and with leases. */
const quiet: Pick<PlantedFault, 'fleet' | 'make'> = {
  fleet: { processes: TWO, storage: 'redis', cache: { memory: false }, freshness: { backplaneDelay: 20 } },
  make: (chance) => ({
    faults: { loadTime: [5, 40] },
    scripts: [
      ...randomScripts(chance, { processes: ['a'], verbs: ['change'], commands: 8, pause: 300 }),
      ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 60, pause: 40 }),
    ],
  }),
};

/** Messages get lost, and both processes are told of it. */
const lossy: Pick<PlantedFault, 'fleet' | 'make'> = {
  fleet: { processes: TWO, storage: 'redis', freshness: { backplaneDelay: 100 } },
  make: (chance) => ({
    faults: { backplaneLoss: 0.3 },
    scripts: [
      ...randomScripts(chance, { processes: ['a'], verbs: ['change'], commands: 4, pause: 1_000 }),
      ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 60, pause: 60 }),
    ],
  }),
};

/** Nothing is invalidated: entries live for as long as they may. */
const aging: Pick<PlantedFault, 'fleet' | 'make'> = {
  fleet: {
    processes: TWO,
    storage: 'redis',
    backplane: false,
    cache: { ttl: 200 },
    freshness: { windows: { hit: 300, miss: 100 } },
  },
  make: (chance) => ({
    faults: {},
    scripts: randomScripts(chance, { processes: TWO, verbs: ['get', 'get', 'get', 'write'], commands: 40, pause: 60 }),
  }),
};

export const PLANTED_FAULTS: readonly PlantedFault[] = [
  {
    ...quiet,
    name: 'a lease that stores without its token',
    expected: 'found',
    plant: (fleet) =>
      altered(fleet, (adapter) => ({
        lease: async (key, ms, newerThan) => {
          const answer = await adapter.lease!(key, ms, newerThan);
          if (answer.kind !== 'lease') return answer;
          const store = async (entry: Entry, keepUntil: number) => adapter.setIfNewer!(key, entry, keepUntil);
          return { ...answer, lease: { ...answer.lease, store } };
        },
      })),
  },
  {
    ...quiet,
    name: 'versions that are not compared',
    expected: 'found',
    fleet: { ...quiet.fleet, storageOptions: () => ({ lease: false }) },
    plant: (fleet) =>
      altered(fleet, (adapter) => ({
        setIfVersion: async (key, entry, keepUntil, _, change) => {
          if (!change) return adapter.setIfNewer!(key, entry, keepUntil);
          await adapter.set(key, entry, keepUntil);
          return true;
        },
      })),
  },
  {
    ...quiet,
    name: 'a deletion that says that it was done',
    expected: 'found',
    plant: (fleet) => altered(fleet, () => ({ delete: () => true, deleteMany: () => {} })),
  },
  {
    ...quiet,
    name: 'a write that lands once more, later',
    expected: 'found',
    plant: (fleet) =>
      altered(fleet, (adapter, { clock }) => ({
        lease: async (key, ms, newerThan) => {
          const answer = await adapter.lease!(key, ms, newerThan);
          if (answer.kind !== 'lease') return answer;
          const store = (entry: Entry, keepUntil: number) => {
            clock.after(60, () => void Promise.resolve(adapter.set(key, entry, keepUntil)).catch(() => {}));
            return answer.lease.store(entry, keepUntil);
          };
          return { ...answer, lease: { ...answer.lease, store } };
        },
      })),
  },
  {
    ...quiet,
    name: 'reads from a replica that lags behind',
    expected: 'found',
    plant: (fleet) =>
      altered(fleet, (adapter, { clock }) => {
        const seen = new Map<string, { readonly at: number; readonly entry: Entry | undefined }>();
        const lagging = async (key: string): Promise<Entry | undefined> => {
          const last = seen.get(key);
          if (last !== undefined && clock.monotonic() < last.at + 50) return last.entry;
          const entry = await adapter.get(key);
          seen.set(key, { at: clock.monotonic(), entry });
          return entry;
        };
        return { get: lagging, getMany: (keys) => Promise.all(keys.map(lagging)) };
      }),
  },
  {
    ...quiet,
    name: 'marks of tags and namespaces that are read only once',
    expected: 'found',
    make: (chance) => ({
      faults: {},
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['clear', 'tags'], commands: 4, pause: 3_000 }),
        ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 60, pause: 300 }),
      ],
    }),
    fleet: {
      ...{ ...quiet.fleet, backplane: false },
      storageOptions: () => ({ change: (adapter) => ({ ...adapter, forgets: false }) }),
    },
    plant: (fleet) =>
      altered(fleet, (adapter) => {
        const marks = new Map<string, Promise<Entry | undefined>>();
        const once = (key: string): Promise<Entry | undefined> => {
          if (!key.startsWith('\0') && !key.startsWith('@')) return Promise.resolve(adapter.get(key));
          const known = marks.get(key) ?? Promise.resolve(adapter.get(key));
          marks.set(key, known);
          return known;
        };
        // Where markers may be lost, one that was not there at first makes everything a miss.
        return { forgets: false, get: once, getMany: (keys) => Promise.all(keys.map(once)) };
      }),
  },
  {
    ...lossy,
    name: 'a gap in the backplane that nobody is told of',
    expected: 'found',
    plant: (fleet) => ({
      ...fleet,
      backplane: ({ backplane }) =>
        backplane((adapter) => ({
          ...adapter,
          subscribe: (listener) => adapter.subscribe({ receive: (it) => listener.receive(it), lost: () => {} }),
        })),
    }),
  },
  {
    ...aging,
    name: 'a promotion that extends the life of an entry',
    expected: 'found',
    plant: (fleet) =>
      altered(fleet, (adapter) => {
        const longer = (entry: Entry | undefined): Entry | undefined =>
          entry && {
            ...entry,
            freshUntil: entry.freshUntil + 200,
            staleUntil: entry.staleUntil + 200,
            errorUntil: entry.errorUntil + 200,
          };
        return {
          get: async (key) => longer(await adapter.get(key)),
          getMany: (keys) => Promise.all(keys.map(async (key) => longer(await adapter.get(key)))),
          set: () => {},
        };
      }),
  },
  {
    name: 'a memory that keeps what it should drop',
    expected: 'found',
    fleet: { processes: ['a'], backplane: false, cache: () => ({ memory: mapMemory() }) },
    make: (chance) => ({
      faults: {},
      scripts: randomScripts(chance, { processes: ['a'], verbs: ['get', 'get', 'change'], clients: 2 }),
    }),
    plant: (fleet) => ({ ...fleet, cache: () => ({ memory: { ...mapMemory(), delete: () => true } }) }),
  },
  {
    ...quiet,
    name: 'clocks that are further apart than `clockSkew` allows',
    expected: 'found',
    fleet: {
      ...quiet.fleet,
      ...{ backplane: false, cache: { memory: false, clockSkew: 10_000 } },
      // Where markers may be lost, no clock decides.
      storageOptions: () => ({ change: (adapter) => ({ ...adapter, forgets: false }) }),
    },
    make: (chance) => ({
      faults: { events: [{ at: 0, fault: 'skew', process: 'b', ms: 5_000 }] },
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['tags'], commands: 4, pause: 3_000 }),
        ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 60, pause: 200 }),
      ],
    }),
    plant: (fleet) => ({ ...fleet, cache: { memory: false, clockSkew: 0 } }),
  },
];

function mapMemory(): MemoryTier<number> {
  const held = new Map<string, Entry<number>>();
  return {
    get: (key) => held.get(key),
    peek: (key) => held.get(key),
    set: (key, entry) => void held.set(key, entry),
    delete: (key) => held.delete(key),
    clear: () => held.clear(),
    get size() {
      return held.size;
    },
  };
}
