import { ignore } from '../base/promises.js';
import type { Clock } from '../contracts.js';
import { freshness, type HeldEntry } from '../entry.js';
import type { Stored, TurnSeeker } from '../ports.js';
import type { GuardedLease } from './guarded-lease.js';
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

/**
 * Waits until `seeker` may load: resolves with the lease, with what another process has loaded, with 'alone' if nobody is
 * waited for any longer, or with `undefined` if the tier does not answer.
 */
export async function takeTurn<V>(
  leasing: Leasing,
  seeker: TurnSeeker<V>,
): Promise<GuardedLease | Stored<V> | 'alone' | undefined> {
  const { clock, leaseWait } = leasing;
  const deadline = clock.monotonic() + leaseWait;
  const seeking = new Seeking(leasing, seeker);
  let pause = SHORTEST_PAUSE;
  try {
    for (;;) {
      const turn = await seeking.ask();
      if (turn === 'again') continue;
      if (turn !== 'held') return turn;
      const left = deadline - clock.monotonic();
      if (left <= 0) return 'alone';
      await seeking.pause(Math.min(pause, left));
      if (seeker.isOver()) return undefined;
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  } finally {
    seeking.end();
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

  async ask(): Promise<GuardedLease | Stored<V> | 'held' | 'again' | 'alone' | undefined> {
    const { tier, clock } = this.#leasing;
    const { key, signal, isOver, refused } = this.#seeker;
    const answer = await tier.lease(key, LASTS, this.#known, refused);
    if (answer === undefined) return undefined;
    if (answer === 'none') return 'alone';
    if (answer.kind === 'lease') {
      // A fenced load still answers those who asked before: only one that is given up leaves the key to others.
      answer.lease.keepUp(clock, LASTS, () => signal.aborted);
      return answer.lease;
    }
    if (isOver()) return undefined;
    if (answer.kind === 'held') return 'held';
    if (answer.kind === 'open') return 'alone';
    // A tier that offers what is known would do so for ever.
    if (answer.startedAt <= this.#known) return 'alone';
    return this.#usable(answer.entry as HeldEntry<V> | undefined, answer.startedAt) ?? 'again';
  }

  /** `entry` if it answers the flight. It is not to be offered again. */
  #usable(entry: HeldEntry<V> | undefined, startedAt: number): Stored<V> | undefined {
    const { clock, tier, depth, keep } = this.#leasing;
    this.#known = startedAt;
    if (entry === undefined) return undefined;
    const stored = { entry: entry.with(keep(entry.value)), tier: tier.name, depth };
    return answerOf(this.#seeker, stored, clock.now());
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

/** `stored` if it answers the flight of `seeker`. If not, it is at least something to fall back on. */
export function answerOf<V>(seeker: TurnSeeker<V>, stored: Stored<V>, now: number): Stored<V> | undefined {
  const state = freshness(stored.entry, now);
  if (state === 'fresh' || (state === 'stale' && seeker.takesStale)) return stored;
  if (state !== 'gone') seeker.fallback = stored;
  return undefined;
}
