import type { Clock, MaybePromise } from '../contracts.js';

export { isThenable } from '../contracts.js';

/** What `run` gives, as a promise also where it throws at once. */
export function promised<T>(run: () => MaybePromise<T>): Promise<T> {
  return new Promise((resolve) => resolve(run()));
}

/** `work`, or after `ms` a rejection with what `late` makes. */
export function withDeadline<T>(clock: Clock, ms: number, work: PromiseLike<T>, late: () => unknown): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.after(ms, () => reject(late()));
    // A foreign thenable may throw, or answer with another one.
    Promise.resolve(work).then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}

/** Does nothing, and says so to the type checker. */
export function ignore(): undefined {}
