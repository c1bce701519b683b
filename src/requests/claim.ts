import type { Clock } from '../contracts.js';
import type { CacheFlights } from '../flights/cache-flights.js';
import type { Claim } from '../flights/claim.js';
import { ClaimedFlights } from '../flights/claimed-flights.js';
import { LEADER_LOST, type Claims } from '../flights/claims.js';
import type { FlightMapOptions } from '../flights/flight-map.js';

/** How often a request that leads a flight shows that it is alive. */
const BEAT = 1_000;
/** Without a sign of life for so long, it counts as dead. */
const SILENCE = 3_000;
/** How much later than `maxDuration` others end a flight that its own request should have ended. */
const GRACE = 250;

/**
 * A flight's claim to its key, for as long as the request that leads the flight lives.
 *
 * When a request ends, its work stops without a trace: no `finally` runs and no timer fires. So the claim depends on
 * nothing that the leader has to do at its end. The leader renews it with timers of its own request, the others only
 * read it, with theirs.
 */
class RequestClaim implements Claim {
  readonly #clock: Clock;
  readonly #since: number;
  readonly #maxDuration: number;
  #aliveAt: number;
  #cancel: (() => void) | undefined;
  /** Lets others give the leader up. */
  readonly giveUp: () => void;
  /** Whether the leader is at work. Until then, who subscribes is the leader. */
  begun = false;
  /** Whether others have given the leader up. Only ever set to true. */
  lost = false;

  constructor(clock: Clock, since: number, maxDuration: number, giveUp: () => void) {
    this.giveUp = giveUp;
    this.#clock = clock;
    this.#since = this.#aliveAt = since;
    this.#maxDuration = maxDuration;
  }

  /** Milliseconds until the leader counts as dead, at most 0 once it does. Can only grow while it lives. */
  get left(): number {
    const end = Math.min(this.#aliveAt + SILENCE, this.#since + this.#maxDuration + GRACE);
    return end - this.#clock.monotonic();
  }

  /** Keeps the claim from the leader's request, until {@link end}; `timeOut` is called at `maxDuration`. */
  begin(timeOut: () => void): void {
    this.begun = true;
    const beat = (): void => {
      const now = (this.#aliveAt = this.#clock.monotonic());
      const deadline = this.#since + this.#maxDuration;
      if (now >= deadline) timeOut();
      else this.#cancel = this.#clock.after(Math.max(1, Math.min(BEAT, deadline - now)), beat);
    };
    beat();
  }

  end(): void {
    this.#cancel?.();
  }

  /**
   * `promise`, which is that of another request, or a rejection with {@link LEADER_LOST} when this ends first; `left` is
   * told that `signal` ended the wait.
   *
   * What settles the wait always runs in the waiting request: its own timer, its own signal, its own continuation of the
   * leader's promise. A promise of this request that the leader settled would go on in the leader's place.
   */
  outwait<T>(promise: Promise<T>, signal: AbortSignal | undefined, left: () => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let cancel: (() => void) | undefined;
      const end = (): void => {
        cancel?.();
        signal?.removeEventListener('abort', abort);
      };
      const fail = (reason: unknown): void => {
        end();
        reject(reason);
      };
      const abort = (): void => {
        left();
        fail(signal?.reason);
      };
      const watch = (): void => {
        if (!this.lost && this.left > 0) {
          cancel = this.#clock.after(Math.max(1, this.left), watch);
          return;
        }
        this.giveUp();
        fail(LEADER_LOST);
      };
      promise.then((value) => {
        end();
        resolve(value);
      }, fail);
      if (signal?.aborted === true) return abort();
      signal?.addEventListener('abort', abort);
      watch();
    });
  }
}

/** The claims of a cache and its namespaces, in the order in which they began. */
export class RequestClaims implements Claims {
  readonly #claims = new Set<Claim>();
  readonly #clock: Clock;
  readonly #maxDuration: number;

  constructor(clock: Clock, maxDuration: number) {
    this.#clock = clock;
    this.#maxDuration = maxDuration;
  }

  grant(since: number, giveUp: (claim: Claim) => void): Claim {
    const claim: Claim = new RequestClaim(this.#clock, since, this.#maxDuration, () => giveUp(claim));
    this.#claims.add(claim);
    return claim;
  }

  flights<K, R, D, V>(options: FlightMapOptions<K>): CacheFlights<K, R, D, V> {
    return new ClaimedFlights(this, options);
  }

  delete(claim: Claim): void {
    this.#claims.delete(claim);
  }

  sweep(inPassing: boolean): void {
    for (const claim of this.#claims) {
      if (claim.left <= 0) claim.giveUp();
      else if (inPassing) return;
    }
  }
}
