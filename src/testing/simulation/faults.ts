/** A range of whole milliseconds, both ends included. */
export type Span = readonly [least: number, most: number];

/** What may go wrong at any time, and how long things take. Probabilities are in [0, 1]. */
export interface FaultPlan {
  /** One way between a process and storage or backplane. @default [1, 3] */
  readonly latency?: Span;
  /** How long the source takes for a load, before it is read and again until the answer arrives. @default [1, 10] */
  readonly loadTime?: Span;
  /** That a load fails. @default 0 */
  readonly loadFailure?: number;
  /** That a request to storage or backplane is lost on its way there: nothing was done. @default 0 */
  readonly requestLoss?: number;
  /** That a reply is lost on its way back: it was done, and the caller can't know. @default 0 */
  readonly replyLoss?: number;
  /** Of requests and replies that are lost, those that nobody hears of: the caller waits for ever. @default 0 */
  readonly silence?: number;
  /** That storage evicts something at random before a request. @default 0 */
  readonly eviction?: number;
  /** From the hub of the backplane to each process. @default `latency` */
  readonly backplaneDelay?: Span;
  /** That a message is lost on its way to one process. It is told of the gap. @default 0 */
  readonly backplaneLoss?: number;
  /** That a message is overtaken by later ones. @default 0 */
  readonly backplaneDisorder?: number;
  /** How long after the gap a process is told that messages may be lost. @default [1, 50] */
  readonly gapNotice?: Span;
  /** How long a queue takes to be on disk. @default [1, 3] */
  readonly syncTime?: Span;
  /** What happens at an instant. @default none */
  readonly events?: readonly FaultEvent[];
}

/** One fault at one instant, milliseconds from the start. */
export type FaultEvent = { readonly at: number } & (
  | { readonly fault: 'crash' | 'restart'; readonly process: string }
  | { readonly fault: 'pause' | 'jump' | 'skew'; readonly process: string; readonly ms: number }
  /** Cuts a process off from `'redis'`, `'backplane'` or any other service. */
  | { readonly fault: 'partition'; readonly process: string; readonly service: string; readonly ms?: number }
  /** Holds what is sent from now on between both for so long. */
  | { readonly fault: 'stall'; readonly process: string; readonly service: string; readonly ms: number }
  | { readonly fault: 'heal' }
  /** The store keeps what it holds now, for a later `restore`. */
  | { readonly fault: 'snapshot' | 'restore'; readonly store: string }
  /** A replica takes over that lacks the changes of the last `ms`. */
  | { readonly fault: 'failover'; readonly store: string; readonly ms: number }
  | { readonly fault: 'hang'; readonly store: string; readonly ms: number }
  | { readonly fault: 'evict'; readonly store: string; readonly count: number }
);

/** A {@link FaultPlan} with nothing left out. */
export type Faults = Required<FaultPlan>;

/** `plan` with its defaults. */
export function resolveFaults(plan: FaultPlan): Faults {
  const { latency = [1, 3] } = plan;
  return {
    latency,
    loadTime: [1, 10],
    loadFailure: 0,
    requestLoss: 0,
    replyLoss: 0,
    silence: 0,
    eviction: 0,
    backplaneDelay: latency,
    backplaneLoss: 0,
    backplaneDisorder: 0,
    gapNotice: [1, 50],
    syncTime: [1, 3],
    events: [],
    ...plan,
  };
}
