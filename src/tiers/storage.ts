import { ignore } from '../base/promises.js';
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
  Turn,
  TurnSeeker,
} from '../ports.js';
import { GuardedTier } from './guard.js';
import { GuardedLease } from './guarded-lease.js';
import { Judge } from './judge.js';
import { NamespacedTier } from './namespaced-tier.js';
import { Permit } from './permit.js';
import { answerOf, takeTurn, type Leasing } from './turns.js';

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
  readonly #leasing: Leasing | undefined;
  readonly prepare: (<V>(seeker: TurnSeeker<V>) => Promise<Turn<V> | undefined>) | undefined;

  constructor(tiers: readonly NamespacedTier[], context: StorageContext) {
    this.#tiers = tiers;
    this.#context = context;
    const { clock, leaseWait, keep } = context;
    // Of several tiers with leases, the furthest: it is the one that most processes share.
    const depth = leaseWait > 0 ? tiers.findLastIndex((tier) => tier.leases) : -1;
    const tier = tiers[depth];
    this.#leasing = tier && { tier, depth, clock, leaseWait, keep };
    const asks = tier !== undefined || tiers.some(({ compares }) => compares);
    this.prepare = asks ? (seeker) => this.#prepare(seeker) : undefined;
  }

  async find<V>(key: string, known: Found<V> | undefined): Promise<Stored<V> | undefined> {
    const { clock, keep } = this.#context;
    const permit = new Permit();
    let best: Stored<V> | undefined;
    for (const [depth, tier] of this.#tiers.entries()) {
      const read = (await tier.get(key)) as HeldEntry<V> | undefined;
      if (read !== undefined && isBetter(read, best?.entry ?? known?.entry)) {
        best = { entry: read.with(keep(read.value)), tier: tier.name, depth, permit };
        const state = freshness(read, clock.now());
        if (state === 'fresh' || state === 'stale') return best;
      }
      // What a tier further away holds may be taken over only if nobody changes the key between the two readings.
      if (tier.compares && depth < this.#tiers.length - 1)
        permit.note(depth, (await tier.version(key, Infinity, ignore))?.condition);
    }
    return best;
  }

  /** Takes the lease on the furthest tier that has them, and the versions of the others. */
  async #prepare<V>(seeker: TurnSeeker<V>): Promise<Turn<V> | undefined> {
    const permit = new Permit();
    const leasing = seeker.shares ? this.#leasing : undefined;
    const turn = leasing && (await takeTurn(leasing, seeker));
    if (turn instanceof GuardedLease) permit.noteLease(leasing!.depth, turn);
    else if (typeof turn === 'object') return { kind: 'found', stored: turn };
    // A tier that did not say a word about a lease would not tell a version either.
    const isSilent = leasing !== undefined && turn === undefined;
    const known = seeker.shares ? (seeker.fallback?.entry.startedAt ?? -Infinity) : Infinity;
    const found = await Promise.all(
      this.#tiers.map(async (tier, depth) => {
        if (!tier.compares || permit.at(depth) !== undefined || (isSilent && leasing.depth === depth)) return undefined;
        const answer = await tier.version(seeker.key, known, seeker.refused);
        permit.note(depth, answer?.condition);
        return answer?.entry && { entry: answer.entry as HeldEntry<V>, depth, tier: tier.name };
      }),
    );
    const { clock, keep } = this.#context;
    for (const stored of found) {
      if (stored === undefined) continue;
      const { entry } = stored;
      const answer = answerOf(seeker, { ...stored, entry: entry.with(keep(entry.value)) }, clock.now());
      if (answer === undefined) continue;
      void permit.release();
      return { kind: 'found', stored: answer };
    }
    return { kind: 'load', permit };
  }

  async store(key: string, entry: HeldEntry<unknown>, options: PutOptions): Promise<unknown> {
    const { above = this.#tiers.length, permit, ...how } = options;
    return Promise.all(
      this.#tiers
        .slice(0, above)
        .map((tier, depth) => tier.put(key, entry, { ...how, condition: (permit as Permit | undefined)?.at(depth) })),
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
