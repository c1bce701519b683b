import type { Clock } from '../contracts.js';
import { freshness, type HeldEntry } from '../entry.js';
import { heldQuietly } from '../read/held.js';
import { announceFallback, load } from '../read/load.js';
import { land, type CacheFlight, type Leasing, type Stages, type Tiered } from '../read/stages.js';
import { isolated } from '../read/storage-read.js';
import type { GuardedLease } from '../tiers/guarded-lease.js';
import { promote } from '../read/write-back.js';

/** How long a lease lasts without being renewed: so long others wait for a process that was killed. */
const LASTS = 3_000;
const RENEWED_EVERY = 1_000;
/** Pauses between two questions whether the lease has ended, milliseconds. Messages may cut them short. */
const SHORTEST_PAUSE = 5;
const LONGEST_PAUSE = 250;

/** What came of asking for a lease: the right to load, what another process has loaded, or neither. */
type Granted<V> = { readonly lease: GuardedLease } | { readonly entry: HeldEntry<V> } | undefined;

/**
 * The value for `flight`, loaded by this process or, if another one is at it, by that one.
 *
 * Where there is no lease to be had, because storage is away or the other process takes too long, it is loaded here.
 * `follow`: what to do if the flight is fenced before anything is loaded.
 */
export async function loadOnce<V>(
  stages: Stages<V>,
  leasing: Leasing,
  flight: CacheFlight<V>,
  previous: Tiered<V> | undefined,
  follow: () => Promise<V>,
): Promise<V> {
  const { key, detail: journey } = flight;
  // Nothing is going to be loaded, or not by the upstream.
  if (flight.outcome !== undefined || stages.failures.active(key) !== undefined || journey.ask.upstream === undefined)
    return load(stages, flight, previous);
  journey.fallback = previous;
  announceFallback(journey);

  const granted = await new Asking(stages, leasing, flight, previous).granted();
  const lease = granted !== undefined && 'lease' in granted ? granted.lease : undefined;
  const isOver = flight.fenced || flight.outcome !== undefined;
  if (isOver && lease !== undefined) giveBack(stages, lease);
  if (flight.fenced && flight.outcome === undefined) return follow();
  if (isOver || granted === undefined) return load(stages, flight, journey.fallback);
  if ('entry' in granted) return landLoaded(stages, leasing, flight, granted.entry);

  journey.lease = granted.lease;
  const stop = keepUp(stages.clock, granted.lease, flight);
  try {
    return await load(stages, flight, journey.fallback);
  } finally {
    stop();
    if (!granted.lease.ended) giveBack(stages, granted.lease);
  }
}

/** The questions of one flight for the lease on its key. */
class Asking<V> {
  readonly #stages: Stages<V>;
  readonly #leasing: Leasing;
  readonly #flight: CacheFlight<V>;
  /** Start of the newest load whose entry is known already, and won't do. */
  #known: number;

  constructor(stages: Stages<V>, leasing: Leasing, flight: CacheFlight<V>, previous: Tiered<V> | undefined) {
    this.#stages = stages;
    this.#leasing = leasing;
    this.#flight = flight;
    this.#known = previous?.entry.startedAt ?? -Infinity;
  }

  async granted(): Promise<Granted<V>> {
    const { clock, settings } = this.#stages;
    const { tier } = this.#leasing;
    const deadline = clock.monotonic() + settings.leaseWait;
    let pause = SHORTEST_PAUSE;
    let waiting: Waiting | undefined;
    try {
      for (;;) {
        const answer = await tier.lease(this.#flight.key, LASTS, this.#known, () => this.#refused());
        if (answer === undefined || this.#isOver) return answer?.kind === 'lease' ? answer : undefined;
        if (answer.kind === 'lease') return answer;
        if (answer.kind === 'entry') {
          // A tier that offers what is known would do so for ever.
          if (answer.startedAt <= this.#known) return undefined;
          const entry = this.#usable(answer.entry as HeldEntry<V> | undefined, answer.startedAt);
          if (entry !== undefined) return { entry: isolated(this.#stages, entry) };
          continue;
        }
        const left = deadline - clock.monotonic();
        if (left <= 0) return undefined;
        waiting ??= new Waiting(this.#leasing, this.#flight);
        await waiting.pause(clock, Math.min(pause, left));
        if (this.#isOver) return undefined;
        pause = Math.min(2 * pause, LONGEST_PAUSE);
      }
    } finally {
      waiting?.end();
    }
  }

  get #isOver(): boolean {
    return this.#flight.fenced || this.#flight.outcome !== undefined;
  }

  /** `entry` if it answers the flight. If not, it is at least something to fall back on, and not to be offered again. */
  #usable(entry: HeldEntry<V> | undefined, startedAt: number): HeldEntry<V> | undefined {
    const { clock } = this.#stages;
    const { detail: journey } = this.#flight;
    this.#known = startedAt;
    if (entry === undefined) return undefined;
    const state = freshness(entry, clock.now());
    if (state === 'fresh' || (state === 'stale' && journey.reason === 'miss')) return entry;
    if (state !== 'gone') journey.fallback = { entry, tier: this.#leasing.tier.name };
    return undefined;
  }

  /** Others have changed the key since the load began, so what it brought is not to be kept here either. */
  #refused(): void {
    const { memory } = this.#stages;
    const { key, detail } = this.#flight;
    const { outcome } = detail;
    if (outcome !== undefined && heldQuietly(this.#stages, key) === outcome.entry) memory.delete(key);
  }
}

/** The pauses of one who waits for the end of another process's lease: a message ends them early, and so does the flight. */
class Waiting {
  readonly #signal: AbortSignal;
  readonly #stopListening: () => void;
  #goOn: () => void = ignore;
  readonly #wake = (): void => this.#goOn();

  constructor(leasing: Leasing, flight: Pick<CacheFlight<unknown>, 'key' | 'signal'>) {
    this.#signal = flight.signal;
    this.#signal.addEventListener('abort', this.#wake);
    this.#stopListening = leasing.tier.onLeaseEnd(flight.key, this.#wake);
  }

  pause(clock: Clock, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, () => this.#goOn());
      this.#goOn = () => {
        cancel();
        resolve();
      };
    });
  }

  end(): void {
    this.#signal.removeEventListener('abort', this.#wake);
    this.#stopListening();
  }
}

/** Renews `lease` while `flight` loads, and gives it back when that is given up. Returns what ends it. */
function keepUp<V>(clock: Clock, lease: GuardedLease, flight: CacheFlight<V>): () => void {
  let cancel = clock.after(RENEWED_EVERY, renew);
  function renew(): void {
    // Somebody asked for the key to be free; nobody else may have to wait for work that hangs.
    if (flight.outcome !== undefined && !lease.ended) return void lease.release();
    cancel = clock.after(RENEWED_EVERY, renew);
    void lease.renew(LASTS).then((goesOn) => {
      if (!goesOn) cancel();
    });
  }
  return () => cancel();
}

function giveBack<V>(stages: Stages<V>, lease: GuardedLease): void {
  stages.deferred.add(lease.release(), 'write-back');
}

/** Ends `flight` with what another process has loaded. */
function landLoaded<V>(stages: Stages<V>, { tier, depth }: Leasing, flight: CacheFlight<V>, entry: HeldEntry<V>): V {
  promote(stages, flight.key, { entry, tier: tier.name, depth }, flight.detail.ask);
  const status = freshness(entry, stages.clock.now()) === 'fresh' ? 'hit' : 'stale';
  return land(flight, { entry, tier: tier.name, status, loaded: false, stored: true });
}

function ignore(): void {}
