import { ignore, isThenable } from '../base/promises.js';
import type { KeyPage, KeysOptions } from '../contracts.js';
import type { HeldEntry } from '../entry.js';
import { freshness } from '../entry.js';
import { misuse, SoloflightError } from '../errors.js';
import type { Namespace } from '../marks/namespace.js';
import type {
  Found,
  PutOptions,
  RemoteChange,
  ConnectedTier,
  StorageContext,
  StorageMark,
  StoragePort,
  StorageReport,
  StorageRoom,
  Stored,
  Turn,
  TurnSeeker,
  WriteOutcome,
} from '../ports.js';
import { GuardedTier } from './guard.js';
import { GuardedLease } from './guarded-lease.js';
import { Judge } from './judge.js';
import { clearedAt } from './markers.js';
import { NamespacedTier } from './namespaced-tier.js';
import { Permit } from './permit.js';
import { answerOf, takeTurn, type Leasing } from './turns.js';

/** Keys that storage is not believed for, at most. Beyond that, nothing in it is believed that was stored before. */
const MOST_DOUBTED = 100_000;
/** Namespaces, those used last, that are marked as cleared where a tier may have gone back to an earlier state. */
const MOST_SPACES = 10_000;

/** The storage tiers of one cache, each behind a guard that all its namespaces share. */
export class GuardedRoom implements StorageRoom {
  readonly #guards: readonly GuardedTier[];
  readonly #context: StorageContext;
  readonly #judge: Judge;
  readonly #spaces = new Map<string, Namespace>();
  /** Tiers without versions that are known to be used by several processes. */
  readonly #warned = new Set<string>();
  readonly #tiers: readonly ConnectedTier[];
  /** By storage key: a namespace that nobody uses at present is changed elsewhere, too. */
  readonly #doubted: Doubted = new Map();
  readonly #leave: (() => void)[] = [];

  constructor(tiers: readonly ConnectedTier[], context: StorageContext) {
    this.#context = context;
    this.#tiers = tiers;
    this.#judge = new Judge(context.marks, context.clockSkew);
    this.#guards = tiers.map((tier): GuardedTier => {
      const guard = guardOf(tier, context, () => this.#suspect(guard));
      return guard;
    });
  }

  /** Believes nothing in a tier that was stored before now, and lets other processes know: it holds what was changed since. */
  #suspect(guard: GuardedTier): void {
    guard.distrust();
    const marker = clearedAt(this.#context.clock.now());
    for (const { clearMarker } of this.#spaces.values()) {
      guard.tokens.note(clearMarker, undefined);
      this.#context.background(guard.mark(clearMarker, marker, true).then(ignore));
    }
  }

  get pending(): number {
    return this.#guards.reduce((sum, { kept }) => sum + kept, 0);
  }

  open(space: Namespace, now: () => number): StoragePort {
    if (space.path.length === 0) this.#enter();
    this.#spaces.delete(space.id);
    this.#spaces.set(space.id, space);
    if (this.#spaces.size > MOST_SPACES) this.#spaces.delete(this.#spaces.keys().next().value!);
    const { clock } = this.#context;
    const times = { now, monotonic: () => clock.monotonic() };
    const tiers = this.#guards.map((guard) => new NamespacedTier(guard, space, this.#judge, times));
    return new Storage(tiers, this.#context, {
      keyOf: (key) => space.keyOf(key),
      doubted: this.#doubted,
      unversioned: (name) => this.#warn(name),
    });
  }

  #warn(tier: string): void {
    if (this.#warned.has(tier)) return;
    this.#warned.add(tier);
    const error = new SoloflightError(
      'SOLOFLIGHT_UNVERSIONED',
      `Several processes use '${tier}', which can't compare versions: a load may undo what another process has changed`,
    );
    this.#context.report({ tier, operation: 'version', error });
  }

  get summary(): string {
    return this.#guards.map(({ name, isAway }) => (isAway ? `${name} (away)` : name)).join(', ');
  }

  /** Lets the tiers know of a cache without a name. */
  #enter(): void {
    try {
      for (const { adapter, connector } of this.#tiers)
        this.#leave.push(connector.enter(adapter.name, this.#context.source));
    } catch (error) {
      this.#left();
      throw error;
    }
  }

  #left(): void {
    for (const leave of this.#leave.splice(0)) leave();
  }

  async close(): Promise<void> {
    this.#left();
    await Promise.all(this.#guards.map((guard) => guard.close()));
  }
}

function guardOf({ adapter, connector }: ConnectedTier, context: StorageContext, suspected: () => void): GuardedTier {
  const { settings } = connector;
  const { clock, scope, background, report, missed, metering } = context;
  const guard: GuardedTier = new GuardedTier(adapter, {
    clock,
    readTimeout: settings.readTimeout ?? context.readTimeout,
    writeTimeout: settings.writeTimeout ?? context.writeTimeout,
    ttl: settings.ttl,
    shape: settings.shape,
    outbox: scope && ((options) => scope.outbox(options)),
    ...{ background, suspected, metering },
    missed: (key) => missed(guard.name, key),
    report: (operation, key, error) =>
      report({ tier: guard.name, operation, ...(key === undefined ? {} : { key }), error }),
  });
  return guard;
}

/** What the storage of a namespace has of its room. */
interface Shared {
  readonly keyOf: (key: string) => string;
  /** Keys that other processes have changed and whose tiers have yet to be told of that, as stored. */
  readonly doubted: Doubted;
  /** Told of a tier that can't compare versions when another process uses it, too. */
  readonly unversioned: (tier: string) => void;
}

/** The storage tiers of one namespace, nearest first. */
class Storage implements StoragePort {
  readonly #tiers: readonly NamespacedTier[];
  readonly #context: StorageContext;
  readonly #shared: Shared;
  readonly #leasing: Leasing | undefined;
  /** Whether each load has something to ask. */
  readonly #asks: boolean;

  constructor(tiers: readonly NamespacedTier[], context: StorageContext, shared: Shared) {
    this.#tiers = tiers;
    this.#context = context;
    this.#shared = shared;
    const { clock, leaseWait, keep } = context;
    // Of several tiers with leases, the furthest: it is the one that most processes share.
    const depth = leaseWait > 0 ? tiers.findLastIndex((tier) => tier.leases) : -1;
    const tier = tiers[depth];
    this.#leasing = tier && { tier, depth, clock, leaseWait, keep };
    this.#asks = tier !== undefined || tiers.some(({ compares, forgets }) => compares || forgets);
  }

  get isAway(): boolean {
    return this.#tiers.some((tier) => tier.isAway);
  }

  doubts(key: string): boolean {
    return this.#doubtIn(key) !== undefined;
  }

  get prepare(): StoragePort['prepare'] {
    // A load that knows of a doubt ends it, on any storage.
    return this.#asks || this.#shared.doubted.size > 0 ? this.#prepare : undefined;
  }

  #doubtIn(key: string): Doubt | undefined {
    const { doubted, keyOf } = this.#shared;
    return doubted.size === 0 ? undefined : doubted.get(keyOf(key));
  }

  #changedElsewhere(key: string, change: RemoteChange): void {
    const { doubted, keyOf, unversioned } = this.#shared;
    for (const tier of this.#tiers) {
      tier.hide(key);
      if (!tier.compares) unversioned(tier.name);
    }
    const stored = keyOf(key);
    const left = (doubted.get(stored) ?? []).filter((known) => !settles(change, known, this.#context.clockSkew));
    if (change.pending === true) left.push(change);
    if (left.length === 0) doubted.delete(stored);
    else if (doubted.set(stored, left).size > MOST_DOUBTED) {
      doubted.clear();
      for (const tier of this.#tiers) tier.distrust();
    }
  }

  async find<V>(key: string, known: Found<V> | undefined): Promise<Stored<V> | undefined> {
    if (this.#doubtIn(key) !== undefined) return undefined;
    const { clock, keep } = this.#context;
    // Only where there are tiers to take the entry over.
    const permit = this.#tiers.length > 1 ? new Permit() : undefined;
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
        permit?.note(depth, (await tier.version(key, Infinity, ignore))?.condition);
    }
    return best;
  }

  /** Takes the lease on the furthest tier that has them, and the versions of the others. */
  readonly #prepare = async <V>(seeker: TurnSeeker<V>): Promise<Turn<V> | undefined> => {
    const doubt = this.#doubtIn(seeker.key);
    const permit = new Permit(doubt);
    // What storage holds for a doubted key is neither waited for nor taken.
    const shares = seeker.shares && doubt === undefined;
    const leasing = shares ? this.#leasing : undefined;
    const turn = leasing && (await takeTurn(leasing, seeker));
    if (turn instanceof GuardedLease) permit.noteLease(leasing!.depth, turn);
    else if (typeof turn === 'object') return { kind: 'found', stored: turn };
    // A tier that did not say a word about a lease would not tell a version either.
    const isSilent = leasing !== undefined && turn === undefined;
    const known = shares ? (seeker.fallback?.entry.startedAt ?? -Infinity) : Infinity;
    const { clock, keep } = this.#context;
    for (const [depth, tier] of this.#tiers.entries()) {
      if (!tier.compares || permit.at(depth) !== undefined || (isSilent && leasing.depth === depth)) continue;
      const asked = tier.version(seeker.key, known, seeker.refused);
      const answer = isThenable(asked) ? await asked : asked;
      permit.note(depth, answer?.condition);
      if (answer?.entry === undefined) continue;
      const entry = answer.entry as HeldEntry<V>;
      const found = { entry: entry.with(keep(entry.value)), depth, tier: tier.name };
      const stored = answerOf(seeker, found, clock.now());
      if (stored === undefined) continue;
      void permit.release();
      return { kind: 'found', stored };
    }
    const tags = seeker.fallback?.entry.tags ?? [];
    // Where there is no permit, nothing is going to be stored.
    const ready = this.#tiers.map((each, depth) =>
      each.compares && permit.at(depth) === undefined ? undefined : each.prepare(tags),
    );
    permit.since.push(...(await Promise.all(ready)));
    return { kind: 'load', permit };
  };

  async store(key: string, entry: HeldEntry<unknown>, options: PutOptions): Promise<StorageReport> {
    const { above = this.#tiers.length, later, ...how } = options;
    const permit = options.permit as Permit | undefined;
    const doubt = options.change === true ? this.#doubtIn(key) : permit?.doubt;
    let stored = 0;
    const report = await everywhere(this.#tiers.slice(0, above), { key, later }, async (tier, taken, depth) => {
      const terms = { condition: permit?.at(depth), since: permit?.since[depth] };
      const outcome = await tier.put(key, entry, { ...how, ...terms, later: taken });
      if (outcome.held) stored += 1;
      return outcome;
    });
    const isStored = stored === this.#tiers.length;
    // It was loaded when the change was known.
    if (isStored && doubt !== undefined && doubt === this.#doubtIn(key))
      this.#shared.doubted.delete(this.#shared.keyOf(key));
    return report;
  }

  remove(key: string, later?: () => void): Promise<StorageReport> {
    return everywhere(this.#tiers, { key, later }, (tier, taken) => tier.remove(key, taken));
  }

  async keys(options: KeysOptions): Promise<KeyPage> {
    const tier = this.#tiers.findLast(({ lists }) => lists);
    if (tier !== undefined) return tier.keys(options);
    throw misuse('storage', CAN_LIST, this.#tiers.map(({ name }) => name).join(', '));
  }

  async mark(mark: StorageMark, later?: () => void): Promise<StorageReport> {
    if (mark.kind === 'expire') {
      // Stale by every clock, also by one that is behind.
      const at = mark.at - this.#context.clockSkew;
      return everywhere(this.#tiers, { key: mark.key, later }, (tier, taken) => tier.expire(mark.key, at, taken));
    }
    if (mark.kind === 'elsewhere') {
      this.#changedElsewhere(mark.key, mark.change);
      return reportOf([]);
    }
    const writes = this.#tiers.flatMap((tier) =>
      mark.kind === 'tags'
        ? mark.tags.map((tag) => tier.mark(tag, mark.mode, mark.at))
        : [tier.clear(mark.at, mark.prefix)],
    );
    return reportOf(await Promise.all(writes));
  }
}

const CAN_LIST =
  'a tier that can list its keys for `keys` (map, SQLite, Redis, Workers KV, Durable Object, or an adapter with `keys`)';

/** The changes that make a key doubted. Each one more makes it another doubt. */
type Doubt = readonly RemoteChange[];
type Doubted = Map<string, Doubt>;

/** Whether storage has `known`, another process's change, now that `change` of the same key was told. */
function settles(change: RemoteChange, known: RemoteChange, clockSkew: number): boolean {
  if (change.origin === known.origin) return change.sequence > known.sequence;
  return change.pending !== true && change.at > known.at + clockSkew;
}

/** A change of one key, and who is called when the last of the tiers that missed it has taken it after all. */
interface KeyChange {
  readonly key: string;
  readonly later: (() => void) | undefined;
}

/** Makes one change in all of `tiers`. */
async function everywhere(
  tiers: readonly NamespacedTier[],
  { key, later }: KeyChange,
  write: (tier: NamespacedTier, taken: (() => void) | undefined, depth: number) => Promise<WriteOutcome>,
): Promise<StorageReport> {
  const lacking = new Set(tiers);
  const told = (): void => {
    // Another change of the key may be missing elsewhere: others would believe that tier again. It is told by itself.
    if (lacking.size === 0 && !tiers.some((tier) => tier.lacks(key))) later?.();
  };
  const outcomes = await Promise.all(
    tiers.map(async (tier, depth) => {
      const taken = later && (() => void (lacking.delete(tier) && told()));
      const outcome = await write(tier, taken, depth);
      if (outcome.done) lacking.delete(tier);
      return outcome;
    }),
  );
  return { ...reportOf(outcomes), taken: lacking.size === 0 };
}

function reportOf(outcomes: readonly WriteOutcome[]): StorageReport {
  return { held: outcomes.some(({ held }) => held), taken: outcomes.every(({ done }) => done) };
}

/** Whether `entry` of a storage tier is worth more than `known`, which may be the same one, held for a shorter time. */
function isBetter(entry: HeldEntry<unknown>, known: HeldEntry<unknown> | undefined): boolean {
  if (known === undefined || entry.startedAt > known.startedAt) return true;
  return entry.startedAt === known.startedAt && entry.errorUntil > known.errorUntil;
}
