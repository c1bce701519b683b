import type { MaybePromise } from '../contracts.js';

/** A promise with what settles it. */
export interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** Does nothing, and says so to the type checker. */
export function ignore(): undefined {}

/** Whether `value` has to be waited for. */
export function isThenable<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Marks a rejection as seen, so that a promise nobody happens to await never counts as unhandled. */
export function silenced<T>(promise: Promise<T>): Promise<T> {
  promise.then(undefined, ignore);
  return promise;
}

/** A rejected promise that needs no handler. */
export function rejection(reason: unknown): Promise<never> {
  return silenced(Promise.reject(reason));
}

/** What `run` gives, as a promise also where it throws at once. */
export function promised<T>(run: () => MaybePromise<T>): Promise<T> {
  return new Promise((resolve) => resolve(run()));
}

/** A promise that somebody else settles. */
export function resolvers<T>(): Resolvers<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
