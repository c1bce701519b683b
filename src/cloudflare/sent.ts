import type { Lookup } from '../read/outcome.js';
import type { WriteStatus } from '../writes/write-behind.js';

/**
 * `unknown`, as the types of RPC take it. With `unknown` itself in its result, a stub's method is `never`; with `any` in a list,
 * its type has no end.
 */
// oxlint-disable-next-line typescript/no-generated-empty-object-type -- all but null and undefined, which follow
type Anything = NonNullable<unknown> | null | undefined;

/** {@link Lookup}, from an object. The `error` is plain data. */
export interface SentLookup<V> extends Lookup<V> {
  readonly meta: Anything;
  readonly error?: Anything;
}

/** `LookupOutcome`, from an object. */
export type SentOutcome<V> = SentFound<V> | SentFailure;

/** The story of a read, from an object. */
interface SentFound<V> extends SentLookup<V> {
  readonly key: string;
}

/** The failure of a read, from an object. */
interface SentFailure {
  readonly key: string;
  readonly status: 'failed';
  readonly error: Anything;
}

/** {@link WriteStatus}, from an object. The `lastError` is plain data. */
export interface SentWriteStatus extends WriteStatus {
  readonly lastError: Anything;
}
