/* oxlint-disable typescript/no-explicit-any -- see below */
import type { Lookup, LookupOutcome } from '../read/outcome.js';
import type { WriteStatus } from '../writes/write-behind.js';

// Results of an object's calls, as their types have to be: a stub's method is `never` where a part of its result may be
// anything, since the types of RPC take `unknown` for something that can't be sent.

/** {@link Lookup}, from an object. The `error` is plain data. */
export interface SentLookup<V> extends Lookup<V> {
  readonly meta: any;
  readonly error?: any;
}

/** {@link LookupOutcome}, from an object. */
export type SentOutcome<V> =
  | (SentLookup<V> & { readonly key: string })
  | (Extract<LookupOutcome<V>, { readonly status: 'failed' }> & { readonly error: any });

/** {@link WriteStatus}, from an object. The `lastError` is plain data. */
export interface SentWriteStatus extends WriteStatus {
  readonly lastError: any;
}
