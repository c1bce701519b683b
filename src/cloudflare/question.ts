import type { Duration, TagMode } from '../contracts.js';
import type { LifetimeOptions } from '../read/lifetime.js';
import type { ReadOptions } from '../read/read-options.js';
import type { RemoteAbort } from './abort-link.js';
import type { ErrorData } from './error-data.js';

/** The read options that make sense inside an object. */
export type ObjectReadOptions = Omit<ReadOptions, 'waitUntil'>;

/** A call of a client to an object, as data. */
export type Question =
  | (AskedRead & { readonly verb: 'get' | 'lookup' | 'refresh'; readonly key: string })
  | (AskedRead & { readonly verb: 'lookupMany'; readonly keys: readonly string[] })
  | {
      readonly verb: 'set';
      readonly key: string;
      readonly value: unknown;
      readonly options?: ObjectLifetimeOptions | undefined;
    }
  | { readonly verb: 'update'; readonly key: string; readonly change: unknown }
  | { readonly verb: 'delete'; readonly key: string }
  | { readonly verb: 'invalidate' | 'expire'; readonly key: string | readonly string[] }
  | { readonly verb: 'invalidateTags'; readonly tags: readonly string[]; readonly options?: TagOptions | undefined }
  | { readonly verb: 'closeSockets'; readonly client: string | undefined }
  | { readonly verb: 'clear' | 'getStats' | 'getWriteStatus' | 'flush' };

/** The option of `invalidateTags`. */
export interface TagOptions {
  /** @default 'invalidate' */
  readonly mode?: TagMode;
}

/** The options that all reads take. */
export interface AskedRead {
  readonly options?: Omit<ObjectReadOptions, 'signal'> | undefined;
  readonly abort?: RemoteAbort | undefined;
}

/** The answer to a {@link Question}. Failures are data too: over RPC, thrown errors depend on compatibility flags. */
export type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: ErrorData };

/** The most bytes of a key in UTF-8. */
export const LONGEST_KEY = 2_048;

/** {@link LifetimeOptions} without functions, which can't be sent. */
export type ObjectLifetimeOptions = Omit<LifetimeOptions<never>, 'ttl' | 'tags'> & {
  readonly ttl?: Duration;
  readonly tags?: readonly string[];
};
