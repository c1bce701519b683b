import { isThenable } from '../base/promises.js';
import type { MaybePromise } from '../contracts.js';

/** `next` of `value`: at once if `value` is there, else when it resolves. Synchronous results stay synchronous. */
export function chain<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isThenable(value) ? value.then(next) : next(value);
}
