import type { HeldEntry } from '../entry.js';
import { freshness } from '../entry.js';
import type { Namespace } from '../marks/namespace.js';
import type {
  Found,
  PutOptions,
  ConnectedTier,
  StorageContext,
  StorageMark,
  StoragePort,
  StorageRoom,
  Stored,
  TurnTaking,
} from '../ports.js';
import { GuardedTier } from './guard.js';
import type { GuardedLease } from './guarded-lease.js';
import { Judge } from './judge.js';
import { NamespacedTier } from './namespaced-tier.js';
import { Turns } from './turns.js';

/** Tags that storage is told of together: what waits to be written has a bound. */
const MARKED_AT_ONCE = 1_000;

/** The storage tiers of one cache, each behind a guard that all its namespaces share. */
export class GuardedRoom implements StorageRoom {
  readonly #guards: readonly GuardedTier[];
  readonly #context: StorageContext;
  readonly #judge: Judge;

  constructor(tiers: readonly ConnectedTier[], context: StorageContext) {
    this.#context = context;
    this.#judge = new Judge(context.marks, context.clockSkew);
    this.#guards = tiers.map((tier) => guardOf(tier, context));
  }

  open(space: Namespace, now: () => number): StoragePort {
    const { clock } = this.#context;
    const times = { now, monotonic: () => clock.monotonic() };
    const tiers = this.#guards.map((guard) => new NamespacedTier(guard, space, this.#judge, times));
    return new Storage(tiers, this.#context);
  }

  async close(): Promise<void> {
    await Promise.all(this.#guards.map((guard) => guard.close()));
  }
}

function guardOf({ adapter, connector }: ConnectedTier, context: StorageContext): GuardedTier {
  const { settings } = connector;
  const { clock, scope, background, report } = context;
  const guard: GuardedTier = new GuardedTier(adapter, {
    clock,
    readTimeout: settings.readTimeout ?? context.readTimeout,
    writeTimeout: settings.writeTimeout ?? context.writeTimeout,
    ttl: settings.ttl,
    outbox: scope && ((options) => scope.outbox(options)),
    background,
    report: (operation, key, error) =>
      report({ tier: guard.name, operation, ...(key === undefined ? {} : { key }), error }),
  });
  return guard;
}

/** The storage tiers of one namespace, nearest first. */
class Storage implements StoragePort {
  readonly #tiers: readonly NamespacedTier[];
  readonly #context: StorageContext;
  readonly #leasing: NamespacedTier | undefined;
  readonly turns: TurnTaking | undefined;

  constructor(tiers: readonly NamespacedTier[], context: StorageContext) {
    this.#tiers = tiers;
    this.#context = context;
    const { clock, leaseWait, keep } = context;
    // Of several tiers with leases, the furthest: it is the one that most processes share.
    const depth = leaseWait > 0 ? tiers.findLastIndex((tier) => tier.leases) : -1;
    const tier = (this.#leasing = tiers[depth]);
    this.turns = tier && new Turns({ tier, depth, clock, leaseWait, keep });
  }

  async find<V>(key: string, known: Found<V> | undefined): Promise<Stored<V> | undefined> {
    const { clock, keep } = this.#context;
    let best: Stored<V> | undefined;
    for (const [depth, tier] of this.#tiers.entries()) {
      const read = (await tier.get(key)) as HeldEntry<V> | undefined;
      if (read === undefined || !isBetter(read, best?.entry ?? known?.entry)) continue;
      best = { entry: read.with(keep(read.value)), tier: tier.name, depth };
      const state = freshness(read, clock.now());
      if (state === 'fresh' || state === 'stale') return best;
    }
    return best;
  }

  async store(key: string, entry: HeldEntry<unknown>, options: PutOptions): Promise<unknown> {
    const { above = this.#tiers.length, lease, ...how } = options;
    return Promise.all(
      this.#tiers.slice(0, above).map((tier) => {
        const held = lease as GuardedLease | undefined;
        return tier.put(key, entry, tier === this.#leasing && held?.ended === false ? { ...how, lease: held } : how);
      }),
    );
  }

  async remove(key: string): Promise<boolean> {
    return (await Promise.all(this.#tiers.map((tier) => tier.remove(key)))).includes(true);
  }

  mark(mark: StorageMark): Promise<unknown> {
    if (mark.kind === 'tags') return this.#markTags(mark);
    return Promise.all(
      this.#tiers.map((tier) => (mark.kind === 'expire' ? tier.expire(mark.key, mark.at) : tier.clear(mark.at))),
    );
  }

  #markTags({ tags, mode, at }: StorageMark & { readonly kind: 'tags' }): Promise<unknown> {
    const writes = (async () => {
      for (let from = 0; from < tags.length; from += MARKED_AT_ONCE) {
        const some = tags.slice(from, from + MARKED_AT_ONCE);
        await Promise.all(this.#tiers.flatMap((tier) => some.map((tag) => tier.mark(tag, mode, at))));
      }
    })();
    if (tags.length > MARKED_AT_ONCE) this.#context.background(writes);
    return writes;
  }
}

/** Whether `entry` of a storage tier is worth more than `known`, which may be the same one, held for a shorter time. */
function isBetter(entry: HeldEntry<unknown>, known: HeldEntry<unknown> | undefined): boolean {
  if (known === undefined || entry.startedAt > known.startedAt) return true;
  return entry.startedAt === known.startedAt && entry.errorUntil > known.errorUntil;
}
