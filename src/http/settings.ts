import type { TieredCache } from '../cache/tiered-cache.js';
import type { Clock, MaybePromise } from '../contracts.js';
import type { ReadOptions } from '../read/read-options.js';
import type { Ask } from './ask.js';
import type { HttpCacheStatus } from './cache-status.js';
import type { Detours } from './detours.js';
import type { StoringPolicy } from './storable.js';
import type { StoredResponse } from './stored-response.js';
import type { Variants } from './variants.js';

/** Something that an HTTP cache can do only if it is passed to the option `use`: what nobody passes is not bundled. */
export interface HttpFeature {
  /** The name of the function that made it. */
  readonly name: string;
}

/** What {@link HttpFeature} is to the cache. */
export interface Feature extends HttpFeature {
  /** Sees each request before the cache does, in the order of `use`, and gives it on, changed or not, or answers it. */
  readonly prepare?: (ask: Ask, settings: HttpSettings) => MaybePromise<Ask | Response>;
  /** Replaces parts of the cache that it is passed to, once. */
  readonly install?: (settings: HttpSettings) => Partial<HttpSettings>;
}

/** Everything that the parts of one HTTP cache share. */
export interface HttpSettings extends StoringPolicy {
  readonly cache: TieredCache<StoredResponse>;
  /** What is stored under a key. */
  readonly read: (key: string, options: ReadOptions | undefined) => Promise<StoredResponse | undefined>;
  /** Hears what became of a request, or of a load. */
  readonly hear?: (about: Told, status: HttpCacheStatus | undefined, loaded: StoredResponse | undefined) => void;
  readonly clock: Clock;
  readonly detours: Detours;
  readonly variants: Variants;
  readonly features: readonly Feature[];
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

/** The request that something is told of. */
export interface Told {
  readonly ask: Ask;
  readonly key: string | undefined;
  /** Whether nobody waits for it. */
  readonly background?: boolean;
}

/** Sends the caller's request to the origin, with other headers and another signal. */
export type Origin = (change: {
  readonly headers: Headers;
  readonly signal: AbortSignal | undefined;
  /** To be called for a response that is for this caller alone, whatever it says. It is then handed on as it is. */
  readonly keepApart?: () => void;
}) => Promise<Response>;
