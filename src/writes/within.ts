import type { Clock, MaybePromise } from '../contracts.js';

/**
 * Runs `run` under a time limit. A synchronous throw rejects as well.
 *
 * After `limit` milliseconds `controller` aborts with the error from `late`, so that work that heeds the signal settles.
 * An answer within as much time again still counts, since the work was done. After that the call rejects with that
 * error, and its outcome is ignored.
 */
export function within<T>(
  clock: Clock,
  limit: number,
  controller: AbortController,
  run: () => MaybePromise<T>,
  late: () => Error,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let cancel = clock.after(limit, () => {
      const error = late();
      cancel = clock.after(limit, () => reject(error));
      controller.abort(error);
    });
    new Promise<T>((done) => done(run())).then(
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

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener('abort', end);
  });
}
