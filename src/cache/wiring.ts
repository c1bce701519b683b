import { turnClock } from '../base/clock.js';
import { Coherence, type CoherenceOptions } from '../fleet/coherence.js';
import { Deferred } from '../read/deferred.js';
import { Events } from '../base/events.js';
import { Failures } from '../read/failures.js';
import { FlightMap } from '../flights/flight-map.js';
import { timedOut } from '../read/load.js';
import { flightEnded, starter } from '../read/lookup.js';
import { DoubtedMemory } from '../fleet/doubted.js';
import { lruMemory } from '../memory/lru.js';
import { noMemory } from '../memory/none.js';
import { MemoryPartition, Partitions } from '../memory/partition.js';
import { keyInStorage, Namespace } from '../marks/namespace.js';
import { NamespacedTier } from '../tiers/namespaced-tier.js';
import type { CacheSettings } from './options.js';
import { ANY_READ } from '../read/read-options.js';
import { longestWork } from '../requests/request-scope.js';
import type { Stages } from '../read/stages.js';
import { Counters } from '../read/stats.js';
import { GuardedTier } from '../tiers/guard.js';
import { TagMarks } from '../marks/tags.js';
import { WriteLanes } from '../pending/write-lanes.js';

/** What a cache and its namespaces have in common. */
export interface Shared<V> {
  readonly settings: CacheSettings<V>;
  readonly coherence: Coherence | undefined;
  /** Flights under way, in all of them. */
  readonly budget: { live: number };
  readonly guards: readonly GuardedTier[];
  readonly deferred: Deferred;
  readonly marks: TagMarks;
  readonly partitions: Partitions;
  /** The whole memory tier. */
  readonly memory: Stages<V>['memory'];
  /** Told of what concerns no single namespace. */
  readonly events: Events;
  readonly counters: Counters;
}

/** What the public verbs contribute to the stages. */
type Verbs<V> = Pick<Stages<V>, 'isClosed' | 'nested'>;

/** Makes what a new cache will share with its namespaces. Touches nothing outside the process. */
export function share<V>(settings: CacheSettings<V>, elsewhere: Pick<CoherenceOptions, 'apply' | 'doubt'>): Shared<V> {
  const { clock, readTimeout, writeTimeout, backplane } = settings;
  const events = new Events();
  const counters = new Counters();
  const deferred = new Deferred(events, { clock, defer: settings.defer, longest: longestWork(settings) });
  const guards = settings.storage.map((tier) => {
    const guard: GuardedTier = new GuardedTier(tier, {
      clock,
      readTimeout,
      writeTimeout,
      scope: settings.scope,
      background: (work) => deferred.add(work, 'write-back'),
      report: (operation, storageKey, error) => {
        const key = storageKey === undefined ? undefined : keyInStorage(storageKey);
        counters.tierErrors += 1;
        events.emit({ type: 'tier-error', tier: guard.name, operation, ...(key === undefined ? {} : { key }), error });
      },
    });
    return guard;
  });
  const memory = settings.memory === false ? noMemory() : (settings.memory ?? lruMemory<V>());
  const doubted = backplane === undefined ? undefined : new DoubtedMemory(memory, clock);
  const coherence =
    backplane === undefined
      ? undefined
      : new Coherence({
          backplane,
          clock,
          timeout: readTimeout,
          apply: (message) => elsewhere.apply(message),
          doubt: () => {
            doubted?.doubt();
            elsewhere.doubt();
          },
          report: (operation, error) => {
            counters.tierErrors += 1;
            events.emit({ type: 'tier-error', tier: backplane.name, operation, error });
          },
        });
  return {
    settings,
    coherence,
    budget: { live: 0 },
    guards,
    deferred,
    marks: new TagMarks(settings.clockSkew),
    partitions: new Partitions(clock),
    memory: doubted ?? memory,
    events,
    counters,
  };
}

/** The stages of a cache itself: it has the whole memory, and hears of everything. */
export function wireCache<V>(shared: Shared<V>, verbs: Verbs<V>, hasNamespaces: () => boolean): Stages<V> {
  const { settings, memory, partitions, events, counters, deferred } = shared;
  const space = new Namespace(settings.space);
  const stages: Stages<V> = wire(shared, verbs, space, {
    memory,
    events,
    counters,
    deferred,
    clearMemory: () => {
      if (stages.memory === memory && !hasNamespaces()) return memory.clear();
      // What the namespaces have in memory stays: from now on this cache has its entries in a part of its own, too.
      if (stages.memory === memory) stages.memory = new MemoryPartition(memory, partitions, space.id);
      stages.memory.clear();
    },
  });
  return stages;
}

/** The stages of a namespace: flights, events and counters of its own over the same tiers. */
export function wireNamespace<V>(shared: Shared<V>, verbs: Verbs<V>, space: Namespace): Stages<V> {
  const memory = new MemoryPartition(shared.memory, shared.partitions, space.id);
  return wire(shared, verbs, space, {
    memory,
    events: new Events(),
    counters: new Counters(),
    deferred: shared.deferred.part(),
    clearMemory: () => memory.clear(),
  });
}

function wire<V>(
  { settings, coherence, budget, guards, marks }: Shared<V>,
  verbs: Verbs<V>,
  space: Namespace,
  own: Pick<Stages<V>, 'memory' | 'events' | 'counters' | 'deferred' | 'clearMemory'>,
): Stages<V> {
  const { clock, upstream, lifetime } = settings;
  const turn = turnClock(clock);
  // Hits go by a reading that may be a little older than now: what was expired must be stale to them, too.
  const times = { now: () => Math.min(clock.now(), turn.now()), monotonic: () => clock.monotonic() };
  const tiers = guards.map((guard) => new NamespacedTier(guard, space, marks, times));
  const depth = settings.leaseWait > 0 ? tiers.findLastIndex((tier) => tier.leases) : -1;
  const stages: Stages<V> = {
    ...verbs,
    ...own,
    settings,
    clock,
    turn,
    tiers,
    coherence,
    // Of several, the one furthest away: it is the one that most processes share.
    leasing: depth < 0 ? undefined : { tier: tiers[depth]!, depth },
    space,
    marks,
    flights: new FlightMap(
      { ...settings.flights, budget },
      {
        rescue: (flight, error) => timedOut(stages, flight, error),
        ended: (flight) => flightEnded(stages, flight),
      },
    ),
    probes: new FlightMap({ ...settings.flights, maxFlights: Infinity, maxSubscribers: Infinity }),
    failures: new Failures(clock, settings.errorBackoff),
    lanes: new WriteLanes(settings.scope === 'request' ? clock : undefined),
    ahead: settings.refreshAhead,
    rush: { flight: undefined },
    plain: { upstream, lifetime, read: ANY_READ },
    start: (flight) => start(flight),
  };
  const start = starter(stages);
  return stages;
}
