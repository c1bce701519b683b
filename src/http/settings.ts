import type { TieredCache } from '../cache/tiered-cache.js';
import type { Clock } from '../contracts.js';
import type { Ask } from './ask.js';
import type { Detours } from './detours.js';
import type { StoringPolicy } from './storable.js';
import type { StoredResponse } from './stored-response.js';
import type { Variants } from './variants.js';

/** Everything that the parts of one HTTP cache share. */
export interface HttpSettings extends StoringPolicy {
  readonly cache: TieredCache<StoredResponse>;
  readonly clock: Clock;
  readonly detours: Detours;
  readonly variants: Variants;
  readonly keyOf: (ask: Ask) => string | undefined;
  /** Whether the `Cache-Control` of requests means nothing. */
  readonly isDeaf: boolean;
  readonly methods: ReadonlySet<string>;
  readonly maxBodySize: number;
  readonly onlyIfCached: boolean;
  /** `undefined` for no `Cache-Status`. */
  readonly name: string | undefined;
  readonly showKey: boolean;
  readonly tagsOf: (url: string, headers: Headers) => readonly string[];
  /** Whether a request can be made again once its caller has an answer. */
  readonly canRevalidate: boolean;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
}

/** Sends the caller's request to the origin, with other headers and another signal. */
export type Origin = (change: {
  readonly headers: Headers;
  readonly signal: AbortSignal | undefined;
  /** To be called for a response that is for this caller alone, whatever it says. It is then handed on as it is. */
  readonly keepApart?: () => void;
}) => Promise<Response>;
