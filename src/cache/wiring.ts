import { turnClock, type TurnClock } from '../base/clock.js';
import { Events } from '../base/events.js';
import { fence, type Changes } from '../change/changes.js';
import { expire, invalidate } from '../change/invalidate.js';
import type { BackplaneMessage, MemoryTier } from '../contracts.js';
import type { Fenced } from '../flights/fences.js';
import { Held } from '../marks/held.js';
import { keyInStorage, Namespace } from '../marks/namespace.js';
import { TagMarks } from '../marks/tags.js';
import { lruMemory } from '../memory/lru.js';
import { noMemory } from '../memory/none.js';
import { MemoryPartition, Partitions } from '../memory/partition.js';
import type { PeersPort, StorageRoom, TierFailure, WritesPort } from '../ports.js';
import { Deferred } from '../read/deferred.js';
import { Failures } from '../read/failures.js';
import { ANY_READ } from '../read/read-options.js';
import { readingOf } from '../read/reading.js';
import type { Reads } from '../read/reads.js';
import { Counters } from '../read/stats.js';
import type { CacheSettings } from './options.js';

/** What a write is taken to last at most where the cache sets no limit, milliseconds. */
const LONGEST_WRITE = 60_000;

/** What a cache and its namespaces have in common. */
export interface Shared<V> {
  readonly settings: CacheSettings<V>;
  readonly storage: StorageRoom | undefined;
  readonly peers: PeersPort | undefined;
  /** Flights under way, in all of them. */
  readonly budget: { live: number };
  readonly deferred: Deferred;
  readonly marks: TagMarks;
  readonly turn: TurnClock;
  readonly partitions: Partitions;
  /** The whole memory tier. */
  readonly memory: MemoryTier<V>;
  /** Told of what concerns no single namespace. */
  readonly events: Events;
  readonly counters: Counters;
}

/** What was done in other processes, as this cache is told of it. */
export interface Elsewhere {
  readonly apply: (message: BackplaneMessage) => void;
  readonly doubt: () => void;
}

/** Whether a cache or namespace takes no more work. Written by the one that closes it. */
export interface Life {
  closed: boolean;
}

/** What the public verbs contribute. */
export interface Verbs<V> extends Pick<Reads<V>, 'nested'> {
  readonly life: Life;
  readonly hasNamespaces: () => boolean;
}

/** One cache or namespace: what its reads, changes and writes go by. */
export interface Wired<V> {
  readonly reads: Reads<V>;
  readonly changes: Changes<V>;
  readonly writes: WritesPort<V> | undefined;
  readonly life: Life;
}

/** Makes what a new cache will share with its namespaces. Touches nothing outside the process. */
export function share<V>(settings: CacheSettings<V>, elsewhere: Elsewhere): Shared<V> {
  const { clock, scope, readTimeout, writeTimeout, leaseWait, clockSkew, rules } = settings;
  const events = new Events();
  const counters = new Counters();
  const marks = new TagMarks();
  const longest = scope === undefined ? Infinity : 2 * Math.min(writeTimeout, LONGEST_WRITE);
  const deferred = new Deferred(events, { clock, defer: settings.defer, longest });
  const report = ({ key, ...failure }: TierFailure): void => {
    const known = key === undefined ? undefined : keyInStorage(key);
    counters.tierErrors += 1;
    events.emit({ type: 'tier-error', ...failure, ...(known === undefined ? {} : { key: known }) });
  };
  const peers = settings.peers?.connector.connect(settings.peers.adapter, {
    ...{ clock, clockSkew, timeout: readTimeout, report, mayVanish: scope !== undefined },
    ...elsewhere,
  });
  const memory = settings.memory === false ? noMemory() : (settings.memory ?? lruMemory<V>());
  const storage = settings.storage[0]?.connector.connect(settings.storage, {
    ...{ clock, scope, readTimeout, writeTimeout, leaseWait, clockSkew, marks, report },
    source: settings.source,
    keep: rules.isolation.keep,
    background: (work) => deferred.add(work, 'write-back'),
    metering: {
      wanted: () => events.wants('storage'),
      tell: (tier, operation, outcome, durationMs) =>
        events.emit({ type: 'storage', tier, operation, outcome, durationMs }),
    },
    missed: (tier, stored) => {
      const key = events.wants('invalidation-pending') ? keyInStorage(stored) : undefined;
      if (key !== undefined) events.emit({ type: 'invalidation-pending', key, tier });
    },
  });
  return {
    ...{ settings, storage, peers, deferred, marks, events, counters },
    turn: turnClock(clock, (latest) => marks.noteSetBack(latest)),
    budget: { live: 0 },
    partitions: new Partitions(clock),
    memory: peers?.watch(memory) ?? memory,
  };
}

/** Wires a cache itself, which has the whole memory and hears of everything, or the namespace `inner` of it. */
export function wire<V>(shared: Shared<V>, verbs: Verbs<V>, inner?: Namespace): Wired<V> {
  const { settings, marks, turn, memory, partitions, peers, budget } = shared;
  const { clock, scope, rules } = settings;
  const isWhole = inner === undefined;
  const space = inner ?? new Namespace(settings.space);
  const events = isWhole ? shared.events : new Events(shared.events);
  const part = (): MemoryTier<V> => new MemoryPartition(memory, partitions, space.id);
  const held = new Held<V>({
    ...{ marks, space, clock, turn, events },
    memory: isWhole ? memory : part(),
    // What the namespaces have in memory stays: a cache that is cleared has its entries in a part of its own from then on.
    apart: (current) => (current === memory && verbs.hasNamespaces() ? part() : undefined),
  });
  const storage = shared.storage?.open(space, () => held.now());
  const failures = new Failures(clock, settings.errorBackoff);
  const deferred = isWhole ? shared.deferred : shared.deferred.part();
  const fences: Fenced[] = [];
  const changes: Changes<V> = { clock, held, marks, space, fences, failures, storage, peers, events };
  const writes = isWhole ? connectWrites(shared, changes) : undefined;
  const parts = {
    ...{ rules, clock, turn, held, marks, failures, storage, peers, events, scope, deferred },
    pending: writes?.pending,
    counters: isWhole ? shared.counters : new Counters(),
    life: verbs.life,
    nested: verbs.nested,
    plain: { upstream: settings.upstream, lifetime: settings.lifetime, read: ANY_READ, reason: 'miss' },
  } as const;
  const reads = readingOf<V>(parts, { ...settings.flights, budget, rests: !isWhole }, settings.claims);
  fences.push(reads.flights, reads.probes);
  return { reads, changes, writes, life: verbs.life };
}

function connectWrites<V>({ settings, deferred, events }: Shared<V>, changes: Changes<V>): WritesPort<V> | undefined {
  const { clock, scope, readTimeout, rules, flights, writes } = settings;
  return writes?.connect({
    ...{ clock, scope, readTimeout, held: changes.held, isolation: rules.isolation, maxDuration: flights.maxDuration },
    fence: (key) => fence(changes, key),
    invalidate: (key) => invalidate(changes, [key]),
    expire: (key) => expire(changes, [key]),
    background: (work) => deferred.add(work, 'write'),
    report: (key, error) => events.emit({ type: 'error', source: 'writes', key, error }),
  });
}
