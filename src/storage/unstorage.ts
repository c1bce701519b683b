import { checkNames, checkObject } from '../base/checks.js';
import { sealAsText, unseal } from '../codecs/envelope.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type { Codec, StorageAdapter, StorageTier, StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { toName } from './key-name.js';

/** The part of an unstorage storage that is used here. */
export interface UnstorageLike {
  getItem(key: string): Promise<unknown>;
  getItems(keys: string[]): Promise<{ key: string; value: unknown }[]>;
  setItem(key: string, value: string, options: { ttl?: number }): Promise<void>;
  setItems(items: { key: string; value: string; options: { ttl?: number } }[]): Promise<void>;
  removeItem(key: string): Promise<void>;
}

/** Options of {@link unstorageStorage}. */
export interface UnstorageStorageOptions extends TierOptions {
  /** Comes before each key, with a colon between: 1 to 60 lower-case letters, digits, `-` and `_`. @default 'soloflight' */
  readonly base?: string;
  /** Turns values into text or bytes. Bytes are kept as base64. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
}

/**
 * A storage tier in any driver of unstorage that can be written to.
 *
 * Each entry is one text. Keys are any strings; they are stored under names of 1 to 180 lower-case letters, digits, `-`
 * and `_` after the `base`, which unstorage's normalisation of keys and file systems leave alone. The driver limits the
 * size of values. unstorage silently ignores writes and removals if a driver is read-only.
 *
 * Each entry gets a `ttl` for the drivers that know it, never one that is too short: as long as the entry could be of use
 * when it was new, in whole seconds, and at least a minute. Other drivers keep entries until they are removed or replaced.
 *
 * unstorage can't compare what is stored, so there are no versions of keys: a load of one process may bring back what another
 * one changed since the load began. The old value then stays until it expires or is changed again.
 *
 * The storage belongs to the caller and is not disposed. There is no `clear`, since some drivers can't list their keys.
 *
 * @throws TypeError for anything but an unstorage storage, and for an option that makes no sense.
 */
export function unstorageStorage(storage: UnstorageLike, options: UnstorageStorageOptions = {}): StorageTier {
  if (!isUnstorage(storage)) throw misuse('storage', 'a storage made by `createStorage` of unstorage', storage);
  checkObject('options', options);
  checkNames(options, ['base', 'codec', ...TIER_OPTIONS]);
  const { base = 'soloflight', codec = valueCodec } = options;
  if (typeof base !== 'string' || !/^[a-z0-9_-]{1,60}$/.test(base))
    throw misuse('base', 'a name of 1 to 60 lower-case letters, digits, `-` and `_`', base);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  return defineStorage(new UnstorageStorage(storage, base, codec), tierOptionsOf(options));
}

/** Cloudflare KV refuses shorter ones. */
const SHORTEST_TTL = 60;

const METHODS = ['getItem', 'getItems', 'setItem', 'setItems', 'removeItem'] as const;

function isUnstorage(value: unknown): value is UnstorageLike {
  if (typeof value !== 'object' || value === null) return false;
  return METHODS.every((method) => typeof (value as Partial<UnstorageLike>)[method] === 'function');
}

class UnstorageStorage implements StorageAdapter {
  readonly name = 'unstorage';
  readonly #storage: UnstorageLike;
  readonly #base: string;
  readonly #codec: Codec;

  constructor(storage: UnstorageLike, base: string, codec: Codec) {
    this.#storage = storage;
    this.#base = base;
    this.#codec = codec;
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#unseal(key, await this.#storage.getItem(await this.#nameOf(key)));
  }

  async set(key: string, entry: Entry, keepUntil: number): Promise<void> {
    const item = await this.#toItem({ key, entry, keepUntil });
    await this.#storage.setItem(item.key, item.value, item.options);
  }

  async delete(key: string): Promise<void> {
    await this.#storage.removeItem(await this.#nameOf(key));
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    if (keys.length === 0) return [];
    const names = await Promise.all(keys.map((key) => this.#nameOf(key)));
    const items = await this.#storage.getItems([...new Set(names)]);
    // The order of the items depends on the drivers.
    const found = new Map(items.map(({ key, value }) => [key, value]));
    return Promise.all(keys.map((key, index) => this.#decodable(key, found.get(names[index] ?? ''))));
  }

  async setMany(writes: readonly StorageWrite[]): Promise<void> {
    if (writes.length === 0) return;
    // Of two writes of one key only the last is sent: a driver may reorder them.
    const last = new Map(writes.map((write) => [write.key, write]));
    await this.#storage.setItems(await Promise.all([...last.values()].map((write) => this.#toItem(write))));
  }

  async #nameOf(key: string): Promise<string> {
    return `${this.#base}:${await toName(key)}`;
  }

  async #toItem({ key, entry, keepUntil }: StorageWrite): Promise<Item> {
    const [name, value] = await Promise.all([this.#nameOf(key), sealAsText(key, entry, this.#codec)]);
    if (keepUntil === Infinity) return { key: name, value, options: {} };
    // There is no clock here, but now is no earlier than the creation of the entry.
    const seconds = Math.ceil((keepUntil - entry.createdAt) / 1_000);
    return { key: name, value, options: { ttl: Math.max(SHORTEST_TTL, seconds) } };
  }

  async #unseal(key: string, sealed: unknown): Promise<Entry | undefined> {
    return sealed === null || sealed === undefined ? undefined : unseal(key, sealed, this.#codec);
  }

  async #decodable(key: string, sealed: unknown): Promise<Entry | undefined> {
    try {
      return await this.#unseal(key, sealed);
    } catch (error) {
      if (isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) return undefined;
      throw error;
    }
  }
}

interface Item {
  readonly key: string;
  readonly value: string;
  readonly options: { ttl?: number };
}
