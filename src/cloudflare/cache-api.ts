import { checkNames, checkObject } from '../base/checks.js';
import { sealAsBytes, unseal } from '../codecs/envelope.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type { Codec, StorageAdapter, StorageTier } from '../contracts.js';
import type { Entry } from '../entry.js';
import { misuse } from '../errors.js';
import { toName } from '../storage/key-name.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';

/** The part of a `Cache`, such as `caches.default`, that is used here. */
export interface CacheLike {
  match(url: string): Promise<CachedResponse | undefined>;
  put(url: string, response: Response): Promise<unknown>;
  delete(url: string): Promise<boolean>;
}

/** The part of a cached response that is used here. */
export interface CachedResponse {
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Options of {@link cacheApiStorage}. */
export interface CacheApiStorageOptions extends TierOptions {
  /**
   * Comes before each key: an http or https URL without query, on a host whose own URLs this cache never holds.
   * @default 'https://soloflight.invalid/'
   */
  readonly base?: string;
  /** Turns values into text or bytes. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
}

/**
 * A storage tier in the Cache API of a data centre: `cacheApiStorage(caches.default)`.
 *
 * Costs nothing, and saves other requests in the same data centre a load. That is all: each data centre has its own cache,
 * `invalidate` reaches no other, and entries may be dropped at any time. On `workers.dev` and in previews the platform
 * stores nothing, and every read is a miss. It can't compare what is stored, so there are no versions of keys: a load of one
 * isolate may bring back what another one changed since the load began, until that expires or is changed again.
 *
 * Keys are any strings: each is a URL under `base` that nobody ever fetches, a long one as a hash. The response's
 * `Cache-Control: max-age` covers the time in which the entry can be of use, stale windows included, and at least a
 * second; the entry itself holds its freshness. A response may take 512 MB.
 *
 * @throws TypeError for anything but a cache, and for an option that makes no sense.
 */
export function cacheApiStorage(cache: CacheLike, options: CacheApiStorageOptions = {}): StorageTier {
  if (!isCache(cache)) throw misuse('cache', 'a `Cache`, for example `caches.default`', cache);
  checkObject('options', options);
  checkNames(options, ['base', 'codec', ...TIER_OPTIONS]);
  const { base = 'https://soloflight.invalid/', codec = valueCodec } = options;
  if (!isBase(base)) throw misuse('base', 'an http or https URL without query or fragment', base);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  const adapter = new CacheApiStorage(cache, base.endsWith('/') ? base : `${base}/`, codec);
  return defineStorage(adapter, tierOptionsOf(options));
}

/** The `max-age` of entries without an end, in seconds: a year is as long as caches go. */
const LONGEST_AGE = 31_536_000;

function isCache(value: unknown): value is CacheLike {
  if (typeof value !== 'object' || value === null) return false;
  const { match, put, delete: remove } = value as Partial<CacheLike>;
  return typeof match === 'function' && typeof put === 'function' && typeof remove === 'function';
}

function isBase(base: unknown): base is string {
  return typeof base === 'string' && /^https?:\/\/[^?#]+$/.test(base) && URL.canParse(base);
}

class CacheApiStorage implements StorageAdapter {
  readonly name = 'cache-api';
  readonly #cache: CacheLike;
  readonly #base: string;
  readonly #codec: Codec;

  constructor(cache: CacheLike, base: string, codec: Codec) {
    this.#cache = cache;
    this.#base = base;
    this.#codec = codec;
  }

  async get(key: string): Promise<Entry | undefined> {
    const response = await this.#cache.match(await this.#urlOf(key));
    if (response === undefined) return undefined;
    // Read at once to its end: a body belongs to the request that got it.
    return unseal(key, new Uint8Array(await response.arrayBuffer()), this.#codec);
  }

  async set(key: string, entry: Entry, keepUntil: number): Promise<void> {
    const [url, body] = await Promise.all([this.#urlOf(key), sealAsBytes(key, entry, this.#codec)]);
    const headers = {
      'content-type': 'application/octet-stream',
      'cache-control': `max-age=${ageOf(entry, keepUntil)}`,
    };
    await this.#cache.put(url, new Response(body as Uint8Array<ArrayBuffer>, { headers }));
  }

  async delete(key: string): Promise<boolean> {
    return this.#cache.delete(await this.#urlOf(key));
  }

  async #urlOf(key: string): Promise<string> {
    return `${this.#base}${await toName(key)}`;
  }
}

/** There is no clock here, but now is no earlier than the creation of the entry. */
function ageOf({ createdAt }: Entry, keepUntil: number): number {
  return Math.min(LONGEST_AGE, Math.max(1, Math.ceil((keepUntil - createdAt) / 1_000)));
}
