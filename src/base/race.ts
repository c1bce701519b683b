import type { Clock } from '../contracts.js';

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
