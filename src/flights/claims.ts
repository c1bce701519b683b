/**
 * A flight's claim to its key, where the request that leads the flight may end without a trace.
 *
 * The leader renews it with timers of its own request; the others only read it, with theirs.
 */
export interface Claim {
  /** Whether the leader is at work. Until then, who subscribes is the leader. */
  readonly begun: boolean;
  /** Whether others have given the leader up. Only ever set to true. */
  lost: boolean;
  /** Milliseconds until the leader counts as gone, at most 0 once it does. */
  readonly left: number;
  /** Keeps the claim from the leader's request, until {@link end}; `timeOut` is called at `maxDuration`. */
  begin(timeOut: () => void): void;
  end(): void;
  /** Lets others give the leader up. */
  giveUp(): void;
  /** `promise` as another request may wait for it; rejects with {@link LEADER_LOST} when the leader is gone first. `left`: `signal` ended the wait. */
  outwait<T>(promise: Promise<T>, signal: AbortSignal | undefined, left: () => void): Promise<T>;
}

/** The claims of a cache and its namespaces, in the order in which they began. */
export interface Claims {
  grant(since: number, giveUp: (claim: Claim) => void): Claim;
  delete(claim: Claim): void;
  /** Gives up the flights whose leader is gone: all of them, or the oldest ones in passing. */
  sweep(inPassing: boolean): void;
}

/** The rejection of followers whose leader is gone. Callers never see it: followers take over, or join who did. */
export const LEADER_LOST: Error = /* @__PURE__ */ new Error('The request that led this flight is gone');
