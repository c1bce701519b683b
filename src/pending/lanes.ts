import { ignore } from '../base/promises.js';
import type { Clock } from '../contracts.js';
import type { Claim } from '../flights/claim.js';
import type { Claims } from '../flights/claims.js';

interface Turn {
  readonly over: Promise<void>;
  readonly claim: Claim | undefined;
}

/** The writes of a cache that go to its upstream: one at a time per key, in the order of the calls. */
export class WriteLanes {
  readonly #last = new Map<string, Turn>();
  /** Keys of which somebody else has written a newer value while the cache's own write was under way. */
  readonly #outrun = new Set<string>();
  readonly #claims: Claims | undefined;
  readonly #clock: Clock | undefined;

  /** `claims`, `clock`: set where the request that writes may end without a trace, to notice that. */
  constructor(claims?: Claims, clock?: Clock) {
    this.#claims = claims;
    this.#clock = clock;
  }

  /** Notes that what the write of `key` under way has written, if there is one, is not the newest value. */
  outrun(key: string): void {
    if (this.#last.has(key)) this.#outrun.add(key);
  }

  /** Whether {@link outrun} was called for `key` since this was last asked. */
  takeOutrun(key: string): boolean {
    return this.#outrun.delete(key);
  }

  /** Calls `write` when the writes of `key` that were asked for before are over; at once if there are none. */
  run<T>(key: string, write: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const result = before === undefined ? write() : ended(before).then(write);
    const turn: Turn = { over: result.then(ignore, ignore), claim: this.#claim() };
    this.#last.set(key, turn);
    void turn.over.then(() => {
      if (turn.claim !== undefined) {
        turn.claim.end();
        this.#claims?.delete(turn.claim);
      }
      if (this.#last.get(key) !== turn) return;
      this.#last.delete(key);
      this.#outrun.delete(key);
    });
    return result;
  }

  #claim(): Claim | undefined {
    const claims = this.#claims;
    if (claims === undefined || this.#clock === undefined) return undefined;
    // Of a request that is gone nobody else would let go.
    claims.sweep(true);
    const claim = claims.grant(this.#clock.monotonic(), (gone) => claims.delete(gone));
    claim.begin(ignore);
    return claim;
  }
}

function ended({ over, claim }: Turn): Promise<void> {
  return claim === undefined ? over : claim.outwait(over, undefined, ignore).catch(ignore);
}
