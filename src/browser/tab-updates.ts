import { isThenable } from '../base/promises.js';
import type { MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import type { PendingWrite } from '../writes/pending-write.js';
import type { Call } from './tab-messages.js';

/** An update that the leading tab knows of. */
export interface Begun<V> {
  /** Lets the tab that computes the update write its result, as long as nothing else was written. */
  readonly token: string;
  readonly pending: PendingWrite<V> | undefined;
}

/** One update of a tab that does not lead. */
export interface TabUpdate<V> {
  readonly key: string;
  readonly fn: (current: V | undefined) => V;
  /** Gives the value of a key without pending writes. */
  readonly current: (() => MaybePromise<V | undefined>) | undefined;
  readonly ask: (call: Call) => Promise<unknown>;
}

/** Writes what `fn` makes of the current value, and makes it anew as long as other tabs come first. */
export async function updateFromAfar<V>({ key, fn, current, ask }: TabUpdate<V>): Promise<V> {
  let begun = (await ask(['begin', key])) as Begun<V>;
  for (;;) {
    const { token, pending } = begun;
    const value = fn(pending === undefined ? await current?.() : pending.value);
    if (value === undefined) throw misuse('result of fn', 'a value (use `delete` to remove a key)', value);
    if (isThenable(value)) throw misuse('result of fn', 'a value, not a promise of one', value);
    const other = (await ask(['swap', key, value, token])) as Begun<V> | undefined;
    if (other === undefined) return value;
    begun = other;
  }
}
