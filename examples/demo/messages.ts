/*
 * What the demo's processes tell each other. Instants are epoch milliseconds with fractions, so that they mean the same
 * in each process.
 */

export type Message =
  /** Server: started, here is the port. */
  | { readonly kind: 'listening'; readonly port: number }
  /** Server, ten times a second: queries so far. */
  | { readonly kind: 'queried'; readonly queries: number }
  /** Server, when asked for its report: the instant of each query. */
  | { readonly kind: 'report'; readonly queries: readonly number[] }
  /** Load: connected and warm. */
  | { readonly kind: 'ready' }
  /** Load, ten times a second: requests that failed so far. */
  | { readonly kind: 'failing'; readonly failed: number }
  /** Load: everything has settled. */
  | { readonly kind: 'done'; readonly load: LoadReport };

export type Command =
  /** To the load: send the first request at `at`. */
  | { readonly kind: 'start'; readonly at: number }
  /** To the server: the database is down between these instants. */
  | { readonly kind: 'outage'; readonly from: number; readonly to: number }
  | { readonly kind: 'report' };

export interface LoadReport {
  /** Milliseconds from the intended to the actual end of each request, failed ones included. */
  readonly latencies: readonly number[];
  readonly failed: number;
  /** Milliseconds from the first request on the wire to the last. */
  readonly sentWithin: number;
}

export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Sends a message to the process that started this one. */
export function tell(message: Message): void {
  process.send?.(message);
}

/** Runs `act` for each command from the process that started this one. */
export function listen(act: (command: Command) => void): void {
  process.on('message', act);
}

/** Ends this process when the one that started it ends, in whatever way. */
export function endWithParent(): void {
  process.on('disconnect', () => process.exit());
}
