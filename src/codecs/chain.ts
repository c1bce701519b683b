import { isThenable } from '../base/promises.js';
import type { MaybePromise } from '../contracts.js';

/** `next` of `value`: at once if it is there, else when it comes. What needs no waiting stays synchronous. */
export function chain<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isThenable(value) ? value.then(next) : next(value);
}
