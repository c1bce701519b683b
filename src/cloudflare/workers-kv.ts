import { checkNames, checkObject } from '../base/checks.js';
import { sealAsText, unseal } from '../codecs/envelope.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type { Codec, KeyPage, KeyRange, StorageAdapter, StorageTier } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, SoloflightError } from '../errors.js';
import { fromName, namePrefix, toName } from '../storage/key-name.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';

/** The part of a KV namespace that is used here. */
export interface WorkersKv {
  get(key: string, type: 'text'): Promise<string | null>;
  get(keys: string[], type: 'text'): Promise<Map<string, string | null>>;
  put(key: string, value: string, options: { expirationTtl?: number; metadata: WorkersKvMetadata }): Promise<void>;
  delete(key: string): Promise<void>;
  /** Needed by `keys` alone. */
  list?(options: { prefix: string; limit: number; cursor?: string | null }): Promise<WorkersKvList>;
}

/** What a KV namespace lists. */
interface WorkersKvList {
  readonly keys: readonly { readonly name: string; readonly metadata?: unknown }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
}

/** The metadata of each entry, for listing a namespace: instants in epoch milliseconds, `null` for never. */
export interface WorkersKvMetadata {
  readonly startedAt: number;
  readonly createdAt: number;
  readonly freshUntil: number | null;
  readonly staleUntil: number | null;
  readonly errorUntil: number | null;
  /** The key, where its name is a hash and there is room for it. */
  readonly key?: string;
}

/** Options of {@link workersKvStorage}. */
export interface WorkersKvStorageOptions extends TierOptions {
  /** Comes before each key, with a colon between: 1 to 60 lower-case letters, digits, `-` and `_`. @default 'soloflight' */
  readonly prefix?: string;
  /** Turns values into text or bytes. Bytes are kept as base64. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
}

/**
 * A storage tier in a namespace of Workers KV.
 *
 * KV is eventually consistent: a write, removal or invalidation in one location may stay invisible in others for a minute
 * or more, and each location may go on finding what it read before. KV takes one write per second and key; others fail
 * and become `tier-error` events. It can't compare what is stored, so there are no versions of keys: a load of one isolate
 * may bring back what another one changed since the load began, until that expires or is changed again. Where all this is
 * too loose, put a Durable Object behind the cache.
 *
 * Keys are any strings: they are stored under names of 1 to 180 letters, digits, `-` and `_` after the `prefix`, long
 * ones as a hash, so that none exceeds the 512 bytes of KV. An encoded entry may take 25 MiB; a larger one rejects. KV
 * itself drops entries that are of no more use, but not before 60 seconds, its shortest ttl.
 *
 * The instants of each entry are its KV metadata ({@link WorkersKvMetadata}), so that `list` tells ages without reading
 * any value. There is no `clear`, which would take a call per key: clear through the cache, which takes one call. `keys` lists, a thousand
 * names per call of KV; keys whose name is a hash and that take more than 800 bytes as JSON are not told.
 *
 * @throws TypeError for anything but a KV namespace, and for an option that makes no sense.
 */
export function workersKvStorage(kv: WorkersKv, options: WorkersKvStorageOptions = {}): StorageTier {
  if (!isWorkersKv(kv)) throw misuse('kv', 'a KV namespace: is the binding in the configuration?', kv);
  checkObject('options', options);
  checkNames(options, ['prefix', 'codec', ...TIER_OPTIONS]);
  const { prefix = 'soloflight', codec = valueCodec } = options;
  if (typeof prefix !== 'string' || !/^[a-z0-9_-]{1,60}$/.test(prefix))
    throw misuse('prefix', 'a name of 1 to 60 lower-case letters, digits, `-` and `_`', prefix);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  return defineStorage(new WorkersKvStorage(kv, prefix, codec), tierOptionsOf(options));
}

/** Seconds. An entry that lives longer than KV can count gets no ttl. */
const SHORTEST_TTL = 60;
const LONGEST_TTL = 2_147_483_647;
/** Bytes of UTF-8. */
const LARGEST_VALUE = 25 * 1024 * 1024;
/** The most names of one listing. */
const MOST_LISTED = 1_000;
/** KV takes 1,024 bytes of metadata. */
const LONGEST_TOLD = 800;
/** The most keys of one read. */
const MOST_AT_ONCE = 100;

function isWorkersKv(value: unknown): value is WorkersKv {
  if (typeof value !== 'object' || value === null) return false;
  const { get, put, delete: remove } = value as Partial<WorkersKv>;
  // A Map has `get` and `delete` as well.
  return typeof get === 'function' && typeof put === 'function' && typeof remove === 'function';
}

class WorkersKvStorage implements StorageAdapter {
  readonly name = 'workers-kv';
  declare readonly keys?: NonNullable<StorageAdapter['keys']>;
  readonly #kv: WorkersKv;
  readonly #prefix: string;
  readonly #codec: Codec;

  constructor(kv: WorkersKv, prefix: string, codec: Codec) {
    if (typeof kv.list === 'function') this.keys = (range) => this.#list(range);
    this.#kv = kv;
    this.#prefix = prefix;
    this.#codec = codec;
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#unseal(key, await this.#kv.get(await this.#nameOf(key), 'text'));
  }

  async set(key: string, entry: Entry, keepUntil: number): Promise<void> {
    const [name, value] = await Promise.all([this.#nameOf(key), sealAsText(key, entry, this.#codec)]);
    checkSize(key, value);
    const told = fromName(name.slice(this.#prefix.length + 1)) === undefined && isShort(key) ? { key } : {};
    await this.#kv.put(name, value, { ...lifeOf(entry, keepUntil), metadata: { ...metadataOf(entry), ...told } });
  }

  async delete(key: string): Promise<void> {
    await this.#kv.delete(await this.#nameOf(key));
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    const names = await Promise.all(keys.map((key) => this.#nameOf(key)));
    const distinct = [...new Set(names)];
    const batches: Promise<ReadonlyMap<string, string | null>>[] = [];
    while (distinct.length > 0) batches.push(this.#read(distinct.splice(0, MOST_AT_ONCE)));
    const found = new Map((await Promise.all(batches)).flatMap((batch) => [...batch]));
    return Promise.all(keys.map((key, index) => this.#decodable(key, found.get(names[index]!) ?? null)));
  }

  async #read(names: string[]): Promise<ReadonlyMap<string, string | null>> {
    const [only] = names;
    if (names.length > 1) {
      try {
        return await this.#kv.get(names, 'text');
      } catch {
        // One call answers at most 25 MB, and older simulators of KV lack it.
      }
    }
    if (only === undefined) return new Map();
    return new Map(await Promise.all(names.map(async (name) => [name, await this.#kv.get(name, 'text')] as const)));
  }

  /** First the names that are keys, then the hashes: the first letter of the cursor tells which. */
  async #list({ prefix, limit, cursor = 'k' }: KeyRange): Promise<KeyPage> {
    const isHashed = cursor.startsWith('h');
    const begin = `${this.#prefix}:`;
    const at = cursor.slice(1);
    const { keys, ...page } = await this.#kv.list!({
      prefix: begin + (isHashed ? 'h' : namePrefix(prefix)),
      limit: Math.min(limit, MOST_LISTED),
      ...(at !== '' && { cursor: at }),
    });
    const found = keys.map(({ name, metadata }) =>
      isHashed ? (Object(metadata) as Partial<WorkersKvMetadata>).key : fromName(name.slice(begin.length)),
    );
    const told = { keys: found.filter((key) => key?.startsWith(prefix)) as string[] };
    if (!page.list_complete) return { ...told, cursor: cursor.charAt(0) + (page.cursor ?? '') };
    return isHashed ? told : { ...told, cursor: 'h' };
  }

  async #nameOf(key: string): Promise<string> {
    return `${this.#prefix}:${await toName(key)}`;
  }

  async #unseal(key: string, sealed: string | null): Promise<Entry | undefined> {
    return sealed === null ? undefined : unseal(key, sealed, this.#codec);
  }

  async #decodable(key: string, sealed: string | null): Promise<Entry | undefined> {
    try {
      return await this.#unseal(key, sealed);
    } catch (error) {
      if (isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) return undefined;
      throw error;
    }
  }
}

function lifeOf({ createdAt }: Entry, keepUntil: number): { expirationTtl?: number } {
  // There is no clock here, but now is no earlier than the creation of the entry.
  const seconds = Math.ceil((keepUntil - createdAt) / 1_000);
  return seconds > LONGEST_TTL ? {} : { expirationTtl: Math.max(SHORTEST_TTL, seconds) };
}

function metadataOf({ startedAt, createdAt, freshUntil, staleUntil, errorUntil }: Entry): WorkersKvMetadata {
  const instant = (at: number): number | null => (Number.isFinite(at) ? at : null);
  return {
    startedAt,
    createdAt,
    freshUntil: instant(freshUntil),
    staleUntil: instant(staleUntil),
    errorUntil: instant(errorUntil),
  };
}

function isShort(key: string): boolean {
  return key.length < LONGEST_TOLD && new TextEncoder().encode(JSON.stringify(key)).length <= LONGEST_TOLD;
}

function checkSize(key: string, value: string): void {
  // A unit of UTF-16 takes at most three bytes, so most values need no counting.
  if (value.length * 3 <= LARGEST_VALUE) return;
  const size = new TextEncoder().encode(value).length;
  if (size <= LARGEST_VALUE) return;
  throw new SoloflightError(
    'SOLOFLIGHT_VALUE_TOO_LARGE',
    `The entry of '${key.slice(0, 80)}' takes ${size} bytes, and Workers KV stores no more than ${LARGEST_VALUE} (25 MiB) of one. Keep it elsewhere (R2) and cache where it is, or compress it: \`codec: gzip(valueCodec)\``,
    { key },
  );
}
