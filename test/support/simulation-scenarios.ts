// Kinds of situations in which a cache may break its promises, each narrow enough to show one kind of fault.
import type { Entry, StorageAdapter } from '../../src/index.js';
import type { FaultEvent, FaultPlan, History, StorageOptions, Verdict } from '../../src/testing/index.js';
import { chanceOf, type Chance } from './chance.ts';
import {
  randomScripts,
  runCase,
  type Case,
  type Command,
  type FleetOptions,
  type Found,
  type Kit,
} from './simulation.ts';

/** A generator of cases, and what the caches of today make of them. */
export interface Scenario {
  readonly name: string;
  /** Rules of the promises that are at stake. */
  readonly rules: string;
  /** What the code of today does: flips with a mend, and is recorded here. */
  readonly expected: 'holds' | 'violated';
  /** Of the first 300 seeds, some that show it where it is violated. */
  readonly seeds: readonly number[];
  /** Where one case takes long, fewer seeds are run. @default 1 */
  readonly share?: number;
  readonly fleet: FleetOptions;
  readonly make: (chance: Chance) => Case;
  /** Looks at more than what the reads show. */
  readonly check?: (history: History) => Verdict;
}

/** Runs the case that `seed` makes of `scenario`. */
export async function runScenario(kit: Kit, scenario: Scenario, seed: number): Promise<Found> {
  const found = await runCase(kit, scenario.fleet, scenario.make(chanceOf(seed)), seed);
  const more = found.verdict.ok ? scenario.check?.(found.history) : undefined;
  return more === undefined ? found : { ...found, verdict: more };
}

const TWO = ['a', 'b'] as const;
const THREE = ['a', 'b', 'c'] as const;
const SLOW_LOADS = { loadTime: [5, 40] } satisfies FaultPlan;
const WITHOUT_LEASES: StorageOptions = { lease: false };
/** Longer than any message in a calm world takes. */
const SOON = 20;

function at(instant: number, event: Without<FaultEvent, 'at'>): FaultEvent {
  return { at: instant, ...event };
}
type Without<T, Name extends string> = T extends unknown ? Omit<T, Name> : never;

/** A storage for which even versions are too large. */
function refusing(adapter: StorageAdapter): StorageAdapter {
  const check = ({ value }: Entry): void => {
    // Known as an error of the package, which this file, run on the built one too, can't import.
    const error = { code: 'SOLOFLIGHT_VALUE_TOO_LARGE', [Symbol.for('soloflight.error')]: true };
    if ((value as number) % 2 === 0) throw Object.assign(new Error('The value is too large'), error);
  };
  return {
    ...adapter,
    set: async (key, entry, keepUntil) => {
      check(entry);
      await adapter.set(key, entry, keepUntil);
    },
    setIfNewer: async (key, entry, keepUntil) => {
      check(entry);
      return adapter.setIfNewer!(key, entry, keepUntil);
    },
    setIfVersion: async (key, entry, keepUntil, version, change) => {
      check(entry);
      return adapter.setIfVersion!(key, entry, keepUntil, version, change);
    },
  };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'an invalidation of 25,000 keys',
    rules: '12.4 (C1)',
    expected: 'holds',
    seeds: [1, 2, 3],
    share: 0.01,
    fleet: {
      processes: TWO,
      storage: 'redis',
      backplane: false,
      cache: { memory: false },
      freshness: { backplaneDelay: 0 },
    },
    make: (chance) => ({
      faults: {},
      scripts: [
        {
          process: 'a',
          commands: [
            { after: chance.below(10), do: 'get', key: 'k' },
            { after: 50, do: 'changeMany', key: 'k' },
          ],
        },
        { process: 'b', commands: [6_000, 1_000].map((after) => ({ after, do: 'get', key: 'k' })) },
      ],
    }),
  },
  {
    name: 'one process, with memory alone',
    rules: '5.1 to 5.6',
    expected: 'holds',
    seeds: [],
    fleet: { processes: ['a'], backplane: false, cache: { ttl: 300, staleWhileRevalidate: 300 } },
    make: (chance) => ({
      faults: { ...SLOW_LOADS, loadFailure: 0.1 },
      scripts: randomScripts(chance, {
        processes: ['a'],
        keys: ['k', 'l'],
        verbs: ['get', 'get', 'getFresh', 'change', 'set', 'expire', 'tags', 'clear'],
        clients: 4,
        commands: 25,
      }),
    }),
  },
  {
    name: 'one process, and a storage that fails now and then',
    rules: '5.1 to 5.6, 6.2, 6.3',
    expected: 'holds',
    seeds: [],
    fleet: { processes: ['a'], storage: 'redis', backplane: false, cache: { ttl: 300 } },
    make: (chance) => ({
      faults: { ...SLOW_LOADS, requestLoss: 0.1, replyLoss: 0.1, silence: 0.1 },
      scripts: randomScripts(chance, {
        processes: ['a'],
        keys: ['k', 'l'],
        verbs: ['get', 'get', 'change', 'set', 'tags', 'clear'],
        clients: 4,
        commands: 25,
      }),
    }),
  },
  {
    name: 'a fleet with leases whose messages arrive late, out of order, or not at all',
    rules: '7.1 to 7.3',
    expected: 'holds',
    seeds: [],
    fleet: { processes: THREE, storage: 'redis', freshness: { backplaneDelay: 200 } },
    make: (chance) => ({
      faults: { backplaneDelay: [1, 80], backplaneDisorder: 0.3, backplaneLoss: 0.1 },
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['change'], commands: 6, pause: 300 }),
        ...randomScripts(chance, { processes: ['b', 'c'], verbs: ['get'], commands: 40, pause: 50 }),
      ],
    }),
  },
  {
    name: 'a calm fleet with leases',
    rules: '5.1, 7.1 to 7.3, 12.1 (C2)',
    expected: 'holds',
    seeds: [46, 298],
    fleet: { processes: THREE, storage: 'redis', freshness: { backplaneDelay: SOON } },
    make: (chance) => ({
      faults: SLOW_LOADS,
      scripts: randomScripts(chance, {
        processes: THREE,
        keys: ['k', 'l'],
        verbs: ['get', 'get', 'getFresh', 'change', 'set', 'tags', 'clear'],
        clients: 5,
      }),
    }),
  },
  {
    name: 'a load without a lease while another process invalidates',
    rules: '12.1 (C2)',
    expected: 'holds',
    seeds: [36, 60, 77, 94],
    fleet: {
      processes: THREE,
      storage: 'redis',
      storageOptions: ({ name }) => (name === 'b' ? WITHOUT_LEASES : {}),
      freshness: { backplaneDelay: SOON },
    },
    make: (chance) => ({
      faults: SLOW_LOADS,
      scripts: randomScripts(chance, { processes: THREE, verbs: ['get', 'get', 'change', 'set'] }),
    }),
  },
  {
    name: 'a link that is held while another process invalidates',
    rules: '12.1 (C3)',
    expected: 'holds',
    seeds: [7, 10, 15],
    fleet: { processes: THREE, storage: 'redis', freshness: { backplaneDelay: SOON } },
    make: (chance) => ({
      faults: {
        ...SLOW_LOADS,
        events: [at(20 + chance.below(200), { fault: 'stall', process: 'b', service: 'redis', ms: 3_000 })],
      },
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['change', 'get'], commands: 8, pause: 800 }),
        ...randomScripts(chance, { processes: ['b', 'c'], verbs: ['get'], commands: 8, pause: 1_000 }),
      ],
    }),
  },
  {
    name: 'a refresh while another process invalidates',
    rules: '12.1 (C4)',
    expected: 'holds',
    seeds: [2, 12, 14],
    fleet: { processes: TWO, storage: 'redis', freshness: { backplaneDelay: SOON } },
    make: (chance) => ({
      faults: SLOW_LOADS,
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['change', 'get', 'get'] }),
        ...randomScripts(chance, { processes: ['b'], verbs: ['refresh', 'get'] }),
      ],
    }),
  },
  {
    name: 'two caches over one SQLite file',
    rules: '12.1 (C4)',
    expected: 'holds',
    seeds: [4, 10, 11],
    fleet: {
      processes: TWO,
      storage: 'sqlite',
      backplane: false,
      cache: { memory: false },
      freshness: { backplaneDelay: 0 },
    },
    make: (chance) => ({
      faults: SLOW_LOADS,
      scripts: randomScripts(chance, { processes: TWO, verbs: ['get', 'get', 'change'] }),
    }),
  },
  {
    name: 'an invalidation whose message arrives and whose deletion does not',
    rules: '12.5 (C5)',
    expected: 'holds',
    seeds: [1, 2, 3],
    fleet: { processes: TWO, storage: 'redis', freshness: { backplaneDelay: SOON } },
    make: (chance) => ({
      faults: {
        events: [1, 2, 3].map((nth) =>
          at(nth * 100 + chance.below(50), { fault: 'partition', process: 'a', service: 'redis', ms: 30 }),
        ),
      },
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['change'], commands: 20, pause: 40 }),
        ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 40, pause: 20 }),
      ],
    }),
  },
  {
    name: 'a deletion that fails once, and a process that reads nothing afterwards',
    rules: '12.5 (C6)',
    expected: 'holds',
    seeds: [1, 3, 6],
    fleet: {
      processes: TWO,
      storage: 'redis',
      backplane: false,
      cache: { memory: false },
      freshness: { backplaneDelay: 0, recovery: 1_500 },
    },
    make: (chance) => ({
      faults: { events: [at(90, { fault: 'partition', process: 'a', service: 'redis', ms: 30 })] },
      scripts: [
        { process: 'a', commands: [{ after: 80 + chance.below(40), do: 'change', key: 'k' }] },
        ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 20, pause: 1_000 }),
      ],
    }),
  },
  {
    name: 'an invalidation after an outage that opened the breaker',
    rules: '12.5 (C7)',
    expected: 'holds',
    seeds: [2, 3, 4],
    fleet: {
      processes: TWO,
      storage: 'redis',
      backplane: false,
      cache: { memory: false },
      freshness: { backplaneDelay: 0, recovery: 1_000 },
    },
    make: (chance) => ({
      faults: { events: [at(200, { fault: 'partition', process: 'a', service: 'redis', ms: 20_000 })] },
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['get'], commands: 20, pause: 1_900 }),
        { process: 'a', commands: [{ after: 21_500 + chance.below(4_000), do: 'change', key: 'k' }] },
        ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 60, pause: 900 }),
      ],
    }),
  },
  {
    name: 'a storage that evicts at random',
    rules: '12.6 (C8)',
    expected: 'holds',
    seeds: [1, 2, 3],
    fleet: {
      processes: TWO,
      storage: 'redis',
      backplane: false,
      cache: { memory: false },
      freshness: { backplaneDelay: 0 },
    },
    make: (chance) => {
      const keys = Array.from({ length: 6 }, (_, index) => `k${index}`);
      const all = (verb: 'get' | 'tags'): Command[] => keys.map((key) => ({ after: 1, do: verb, key }));
      return {
        faults: { events: [at(1_500 + chance.below(500), { fault: 'evict', store: 'redis', count: 8 })] },
        scripts: [
          { process: 'a', commands: [...all('get'), { after: 1_500, do: 'tags', key: 'none' }, ...all('tags')] },
          { process: 'b', commands: [{ after: 3_000, do: 'get', key: 'none' }, ...all('get')] },
        ],
      };
    },
  },
  {
    name: 'a storage that starts again from an older snapshot',
    rules: '12.6 (C9)',
    expected: 'holds',
    seeds: [1, 6, 11, 20, 24],
    fleet: { processes: TWO, storage: 'redis', cache: { memory: false }, freshness: { backplaneDelay: SOON } },
    make: (chance) => ({
      faults: {
        events: [
          at(100 + chance.below(100), { fault: 'snapshot', store: 'redis' }),
          at(250 + chance.below(100), { fault: 'restore', store: 'redis' }),
        ],
      },
      scripts: randomScripts(chance, { processes: TWO, verbs: ['get', 'get', 'change'], commands: 20 }),
    }),
  },
  {
    name: 'a replica that lacks the last changes',
    rules: '12.6 (C9)',
    expected: 'holds',
    seeds: [1, 2, 8],
    fleet: { processes: TWO, storage: 'redis', cache: { memory: false }, freshness: { backplaneDelay: SOON } },
    make: (chance) => ({
      faults: { events: [at(250 + chance.below(100), { fault: 'failover', store: 'redis', ms: 100 })] },
      scripts: randomScripts(chance, { processes: TWO, verbs: ['get', 'get', 'change'], commands: 20 }),
    }),
  },
  {
    name: 'a storage that refuses some values',
    rules: '12.7 (C10)',
    expected: 'holds',
    seeds: [1, 2, 3],
    fleet: {
      processes: TWO,
      storage: 'redis',
      storageOptions: () => ({ change: refusing }),
      freshness: { backplaneDelay: SOON },
    },
    make: (chance) => ({
      faults: {},
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['set'], commands: 6, pause: 100 }),
        ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 30, pause: 40 }),
      ],
    }),
  },
  {
    name: 'one cold key whose loads fail in a fleet with leases',
    rules: '12.8 (C11)',
    expected: 'holds',
    seeds: [1, 2, 3],
    fleet: { processes: ['a', 'b', 'c', 'd', 'e', 'f'], storage: 'redis' },
    make: (chance) => ({
      faults: { loadTime: [100, 200], loadFailure: 1 },
      scripts: ['a', 'b', 'c', 'd', 'e', 'f'].map((process) => ({
        process,
        commands: [{ after: chance.below(50), do: 'get', key: 'k' }],
      })),
    }),
    check: (history) => {
      const [first] = history.operations;
      const last = history.operations.find(({ calledAt, returnedAt = Infinity }) => returnedAt - calledAt > 1_000);
      if (first === undefined || last === undefined) return { ok: true };
      const message = `A read waited ${last.returnedAt! - last.calledAt} ms, and a load takes 400 ms at most`;
      return { ok: false, key: 'k', message, events: [first, last] };
    },
  },
  {
    name: 'a refresh while an older load is under way',
    rules: '12.9 (C12)',
    expected: 'holds',
    seeds: [1, 2, 3],
    fleet: { processes: ['a'], backplane: false },
    make: (chance) => ({
      faults: SLOW_LOADS,
      scripts: [...randomScripts(chance, { processes: ['a'], verbs: ['getFresh', 'refresh', 'renew'], clients: 3 })],
    }),
  },
  {
    name: 'background reloads of two caches over one storage without leases',
    rules: '12.3 (C13)',
    expected: 'holds',
    seeds: [1, 4, 7],
    fleet: {
      processes: TWO,
      storage: 'sqlite',
      backplane: false,
      cache: { ttl: 200, staleWhileRevalidate: '10m' },
    },
    make: (chance) => ({
      faults: {},
      scripts: randomScripts(chance, { processes: TWO, verbs: ['get'], commands: 40, pause: 60 }),
    }),
    check: (history) => {
      for (const later of history.loads) {
        // Of two loads that overlap, the one that began later stays, so that nothing newer may be there.
        const isAlone = (load: (typeof history.loads)[number]): boolean =>
          !history.loads.some((other) => other !== load && other.from <= load.until && load.from <= other.until);
        const earlier = history.loads.find(
          (load) => later.from > load.until + 30 && later.from < load.until + 190 && isAlone(load),
        );
        const [first, last] = [
          history.operations[0],
          history.operations.findLast(({ calledAt }) => calledAt <= later.from),
        ];
        if (earlier === undefined || first === undefined || last === undefined) continue;
        const message = `${later.process} loaded at ${later.from} what ${earlier.process} had loaded at ${earlier.until}`;
        return { ok: false, key: later.key, message, events: [first, last] };
      }
      return { ok: true };
    },
  },
  {
    name: 'a wall clock that is set back after an expiry',
    rules: '12.10 (C14)',
    expected: 'holds',
    seeds: [6, 8, 11],
    fleet: { processes: ['a'], backplane: false, cache: { staleWhileRevalidate: 0, staleIfError: 0 } },
    make: (chance) => ({
      faults: {
        events: [1, 2].map((nth) => at(nth * 150 + chance.below(50), { fault: 'jump', process: 'a', ms: -3_000 })),
      },
      scripts: randomScripts(chance, { processes: ['a'], verbs: ['get', 'set', 'expire'], commands: 25 }),
    }),
  },
  {
    name: 'an expiry, and a reader whose clock is behind',
    rules: '12.1, 5.5',
    expected: 'holds',
    seeds: [1, 2, 5],
    fleet: {
      processes: TWO,
      storage: 'redis',
      cache: { memory: false, clockSkew: '1s', staleWhileRevalidate: '10m' },
      freshness: { backplaneDelay: SOON },
    },
    make: (chance) => ({
      faults: { events: [at(0, { fault: 'skew', process: 'b', ms: -chance.below(1_000) })] },
      scripts: [
        ...randomScripts(chance, { processes: ['a'], verbs: ['expire', 'get'], commands: 8, pause: 400 }),
        ...randomScripts(chance, { processes: ['b'], verbs: ['get'], commands: 60, pause: 50 }),
      ],
    }),
  },
  {
    name: 'everything at once',
    rules: '12.1 to 12.6',
    expected: 'violated',
    seeds: [3, 21, 24],
    fleet: {
      processes: THREE,
      storage: 'redis',
      cache: { ttl: '1m' },
      freshness: { backplaneDelay: 200, recovery: 7_000 },
    },
    make: (chance) => ({
      faults: {
        loadTime: [1, 50],
        loadFailure: 0.05,
        requestLoss: 0.01,
        replyLoss: 0.01,
        silence: 0.2,
        eviction: 0.01,
        backplaneLoss: 0.05,
        backplaneDisorder: 0.1,
        events: Array.from({ length: 1 + chance.below(4) }, () => anyFault(chance)),
      },
      scripts: randomScripts(chance, {
        processes: THREE,
        keys: ['k', 'l'],
        verbs: ['get', 'get', 'get', 'getFresh', 'refresh', 'change', 'set', 'tags', 'expire', 'clear'],
        clients: 5,
        commands: 30,
        pause: 800,
      }),
    }),
  },
];

/** Some fault at some instant of the first half of a simulation that lasts twelve seconds. */
function anyFault(chance: Chance): FaultEvent {
  const process = chance.oneOf(THREE);
  const ms = chance.below(1_500);
  return {
    at: chance.below(6_000),
    ...chance.oneOf<Without<FaultEvent, 'at'>>([
      { fault: 'restart', process },
      { fault: 'pause', process, ms },
      { fault: 'jump', process, ms: ms - 750 },
      { fault: 'partition', process, service: 'redis', ms },
      { fault: 'partition', process, service: 'backplane', ms },
      { fault: 'stall', process, service: 'redis', ms },
      { fault: 'failover', store: 'redis', ms },
      { fault: 'hang', store: 'redis', ms },
      { fault: 'evict', store: 'redis', count: 5 },
    ]),
  };
}
