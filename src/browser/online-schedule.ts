import { ignore } from '../base/promises.js';
import type { Clock, MaybePromise } from '../contracts.js';

/** The parts that {@link onlineSchedule} works with. */
export interface OnlineScheduleParts {
  readonly connection: { readonly state: string; on(listener: () => void): () => void };
  readonly clock: Clock;
  /** Aborts when nothing must run any more. */
  readonly closing: AbortSignal;
  readonly run: (options: { readonly due: boolean }) => MaybePromise<unknown>;
}

/**
 * Runs `run` when it is due and the state is `'online'`. In other states nothing runs. When the state becomes `'online'`,
 * everything planned runs at once, since pauses were meant for a server that could not be reached.
 */
export function onlineSchedule({ connection, clock, closing, run }: OnlineScheduleParts): (dueAt: number) => void {
  let stop = ignore;
  const go = (due: boolean): void => {
    if (connection.state !== 'online') return;
    stop();
    // `run` reports its own failures.
    new Promise<unknown>((resolve) => resolve(run({ due }))).catch(ignore);
  };
  return (dueAt) => {
    stop();
    if (closing.aborted) return;
    const cancel = clock.after(Math.max(0, dueAt - clock.now()), () => go(true));
    const off = connection.on(() => go(false));
    stop = () => {
      stop = ignore;
      cancel();
      off();
      closing.removeEventListener('abort', end);
    };
    const end = stop;
    closing.addEventListener('abort', end);
  };
}
