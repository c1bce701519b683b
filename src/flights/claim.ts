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
