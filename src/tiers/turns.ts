import { ignore } from '../base/promises.js';
import type { Clock } from '../contracts.js';
import { freshness, type HeldEntry } from '../entry.js';
import type { Stored, Turn, TurnSeeker, TurnTaking } from '../ports.js';
import type { NamespacedTier } from './namespaced-tier.js';

/** How long a lease lasts without being renewed: so long others wait for a process that was killed. */
const LASTS = 3_000;
/** Pauses between two questions whether the lease has ended, milliseconds. Messages may cut them short. */
const SHORTEST_PAUSE = 5;
const LONGEST_PAUSE = 250;

/** A storage tier with leases. */
export interface Leasing {
  readonly tier: NamespacedTier;
  /** Its place among the storage tiers. */
  readonly depth: number;
  readonly clock: Clock;
  /** How long a load waits for its turn, milliseconds. */
  readonly leaseWait: number;
  /** A stored value as the cache keeps it. */
  readonly keep: <T>(value: T) => T;
}

/** Takes turns with other processes by leases on a storage tier. */
export class Turns implements TurnTaking {
  readonly #leasing: Leasing;

  constructor(leasing: Leasing) {
    this.#leasing = leasing;
  }

  async take<V>(seeker: TurnSeeker<V>): Promise<Turn<V> | undefined> {
    const { clock, leaseWait } = this.#leasing;
    const deadline = clock.monotonic() + leaseWait;
    const seeking = new Seeking(this.#leasing, seeker);
    let pause = SHORTEST_PAUSE;
    try {
      for (;;) {
        const turn = await seeking.ask();
        if (turn !== 'held' && turn !== 'again') return turn;
        if (turn === 'again') continue;
        const left = deadline - clock.monotonic();
        if (left <= 0) return undefined;
        await seeking.pause(Math.min(pause, left));
        if (seeker.isOver()) return undefined;
        pause = Math.min(2 * pause, LONGEST_PAUSE);
      }
    } finally {
      seeking.end();
    }
  }
}

/** The questions of one flight for its turn, with pauses that a message ends early, and so does the end of the flight. */
class Seeking<V> {
  readonly #leasing: Leasing;
  readonly #seeker: TurnSeeker<V>;
  /** Start of the newest load whose entry is known already, and won't do. */
  #known: number;
  #stopListening: (() => void) | undefined;
  #goOn: () => void = ignore;
  readonly #wake = (): void => this.#goOn();

  constructor(leasing: Leasing, seeker: TurnSeeker<V>) {
    this.#leasing = leasing;
    this.#seeker = seeker;
    this.#known = seeker.fallback?.entry.startedAt ?? -Infinity;
  }

  async ask(): Promise<Turn<V> | 'held' | 'again' | undefined> {
    const { tier, clock } = this.#leasing;
    const { key, signal, isOver, refused } = this.#seeker;
    const answer = await tier.lease(key, LASTS, this.#known, refused);
    if (answer?.kind === 'lease') {
      // A fenced load still answers those who asked before: only one that is given up leaves the key to others.
      answer.lease.keepUp(clock, LASTS, () => signal.aborted);
      return { kind: 'load', lease: answer.lease };
    }
    // A tier that offers what is known would do so for ever.
    const isKnown = answer?.kind === 'entry' && answer.startedAt <= this.#known;
    if (answer === undefined || isKnown || isOver()) return undefined;
    if (answer.kind === 'held') return 'held';
    const stored = this.#usable(answer.entry as HeldEntry<V> | undefined, answer.startedAt);
    return stored === undefined ? 'again' : { kind: 'found', stored };
  }

  /** `entry` if it answers the flight. If not, it is at least something to fall back on, and not to be offered again. */
  #usable(entry: HeldEntry<V> | undefined, startedAt: number): Stored<V> | undefined {
    const { clock, tier, depth, keep } = this.#leasing;
    this.#known = startedAt;
    if (entry === undefined) return undefined;
    const state = freshness(entry, clock.now());
    const stored = { entry: entry.with(keep(entry.value)), tier: tier.name, depth };
    if (state === 'fresh' || (state === 'stale' && this.#seeker.takesStale)) return stored;
    if (state !== 'gone') this.#seeker.fallback = stored;
    return undefined;
  }

  pause(ms: number): Promise<void> {
    const { clock, tier } = this.#leasing;
    const { key, signal } = this.#seeker;
    if (this.#stopListening === undefined) {
      signal.addEventListener('abort', this.#wake);
      this.#stopListening = tier.onLeaseEnd(key, this.#wake);
    }
    return new Promise((resolve) => {
      const cancel = clock.after(ms, this.#wake);
      this.#goOn = () => {
        cancel();
        resolve();
      };
    });
  }

  end(): void {
    this.#seeker.signal.removeEventListener('abort', this.#wake);
    this.#stopListening?.();
  }
}
