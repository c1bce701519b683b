import { checkNames, checkObject } from '../base/checks.js';
import { sealAsText, unseal } from '../codecs/envelope.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type { Codec, StorageAdapter, StorageTier, StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, UndecodableError } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { toName } from './key-name.js';

/** The part of a `Keyv` that is used here. */
export interface KeyvLike {
  readonly namespace?: string | undefined;
  get(key: string): Promise<unknown>;
  getMany(keys: string[]): Promise<unknown[]>;
  set(key: string, value: string, ttl?: number): Promise<boolean>;
  setMany(entries: KeyvWrite[]): Promise<boolean[]>;
  delete(key: string): Promise<boolean>;
  deleteMany(keys: string[]): Promise<boolean[]>;
  clear(): Promise<void>;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  off(event: 'error', listener: (error: unknown) => void): unknown;
}

/** One value on its way into a `Keyv`. */
export interface KeyvWrite {
  key: string;
  value: string;
  ttl?: number;
}

/** Options of {@link keyvStorage}. */
export interface KeyvStorageOptions extends TierOptions {
  /** Turns values into text or bytes. Bytes are kept as base64. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
}

/**
 * A storage tier in any backend of Keyv 6.
 *
 * Each entry is one text. Keys are any strings; they are stored under names of 1 to 180 lower-case letters, digits, `-`
 * and `_`, so a backend's limits on keys don't matter. The backend limits the size of values.
 *
 * Each entry gets a time to live that is never too short: as long as the entry could be of use when it was new. An entry
 * that is written again later may therefore be kept longer, up to twice. The `ttl` of the `Keyv` is not used.
 *
 * Keyv can't compare what is stored, so there are no versions of keys: a load of one process may bring back what another
 * one changed since the load began. The old value then stays until it expires or is changed again.
 *
 * The `Keyv` belongs to the caller and is not disconnected. `clear` exists only for a `Keyv` with a namespace, and removes
 * the whole namespace. The tier also notices failures that the `Keyv` only emits as `error` events: it listens to them
 * while it waits for an answer.
 *
 * @throws TypeError for anything but a `Keyv`, and for an option that makes no sense.
 */
export function keyvStorage(keyv: KeyvLike, options: KeyvStorageOptions = {}): StorageTier {
  if (!isKeyv(keyv)) throw misuse('keyv', 'an instance of Keyv 6', keyv);
  checkObject('options', options);
  checkNames(options, ['codec', ...TIER_OPTIONS]);
  const { codec = valueCodec } = options;
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  const storage = new KeyvStorage(keyv, codec);
  const tier = tierOptionsOf(options);
  if (keyv.namespace === undefined || keyv.namespace === '') return defineStorage(storage, tier);
  return defineStorage(Object.assign(storage, { clear: () => storage.clearNamespace() }), tier);
}

const METHODS = ['get', 'getMany', 'set', 'setMany', 'delete', 'deleteMany', 'clear', 'on', 'off'] as const;

function isKeyv(value: unknown): value is KeyvLike {
  if (typeof value !== 'object' || value === null) return false;
  return METHODS.every((method) => typeof (value as Partial<KeyvLike>)[method] === 'function');
}

class KeyvStorage implements StorageAdapter {
  readonly name = 'keyv';
  readonly #keyv: KeyvLike;
  readonly #codec: Codec;
  /** Number of calls under way. */
  #calls = 0;
  /** Errors emitted so far while calls were under way, and the last of them. */
  #failures = 0;
  #failure: unknown;
  readonly #note = (error: unknown): void => {
    this.#failures += 1;
    this.#failure = error;
  };

  constructor(keyv: KeyvLike, codec: Codec) {
    this.#keyv = keyv;
    this.#codec = codec;
  }

  async get(key: string): Promise<Entry | undefined> {
    const name = await toName(key);
    const sealed = await this.#call(
      () => this.#keyv.get(name),
      (found) => found === undefined,
    ).catch((error: unknown) => {
      // Keyv's way to report that it could not parse the value.
      if (error instanceof SyntaxError) throw new UndecodableError(key, 'Keyv could not parse it', error);
      throw error;
    });
    return sealed === undefined ? undefined : unseal(key, sealed, this.#codec);
  }

  async set(key: string, entry: Entry, keepUntil: number): Promise<void> {
    const { key: name, value, ttl } = await this.#toWrite({ key, entry, keepUntil });
    const stored = await this.#call(() => this.#keyv.set(name, value, ttl), isRefused);
    if (isRefused(stored)) throw refusal();
  }

  async delete(key: string): Promise<boolean> {
    const name = await toName(key);
    return this.#call(
      () => this.#keyv.delete(name),
      (deleted) => !deleted,
    );
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    const names = await Promise.all(keys.map(toName));
    let found: unknown[];
    try {
      found = await this.#call(
        () => this.#keyv.getMany(names),
        (values) => values.includes(undefined),
      );
    } catch (error) {
      // One of the values can't be parsed, and Keyv does not say which.
      if (error instanceof SyntaxError) return Promise.all(keys.map((key) => decodable(() => this.get(key))));
      throw error;
    }
    return Promise.all(
      keys.map(async (key, index) => {
        const sealed = found[index];
        return sealed === undefined ? undefined : decodable(async () => unseal(key, sealed, this.#codec));
      }),
    );
  }

  async setMany(writes: readonly StorageWrite[]): Promise<void> {
    if (writes.length === 0) return;
    // Of two writes of one key only the last is sent: a backend may reorder them.
    const last = new Map(writes.map((write) => [write.key, write]));
    const entries = await Promise.all([...last.values()].map((write) => this.#toWrite(write)));
    const stored = await this.#call(
      () => this.#keyv.setMany(entries),
      (results) => results.some(isRefused),
    );
    if (stored.some(isRefused)) throw refusal();
  }

  async deleteMany(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const names = await Promise.all([...new Set(keys)].map(toName));
    await this.#call(
      () => this.#keyv.deleteMany(names),
      (results) => results.includes(false),
    );
  }

  async clearNamespace(): Promise<void> {
    await this.#call(
      () => this.#keyv.clear(),
      () => true,
    );
  }

  async #toWrite({ key, entry, keepUntil }: StorageWrite): Promise<KeyvWrite> {
    const [name, value] = await Promise.all([toName(key), sealAsText(key, entry, this.#codec)]);
    // There is no clock here, but now is no earlier than the creation of the entry. Keyv takes `Infinity` for no time to
    // live, and `undefined` for its default one.
    return { key: name, value, ttl: Math.max(1, Math.ceil(keepUntil - entry.createdAt)) };
  }

  /**
   * Resolves with the result of `call`, or rejects with the error that it hides.
   *
   * When its backend fails, Keyv answers as if there were nothing, and emits the error. That error may belong to another
   * call at the same time: then this call fails for nothing, but none succeeds for nothing.
   */
  async #call<T>(call: () => Promise<T>, mayHide: (result: T) => boolean): Promise<T> {
    const before = this.#failures;
    // One listener for all calls under way, since Keyv warns of many listeners.
    if (this.#calls === 0) this.#keyv.on('error', this.#note);
    this.#calls += 1;
    try {
      const result = await call();
      if (this.#failures !== before && mayHide(result)) throw this.#failure;
      return result;
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0) this.#keyv.off('error', this.#note);
    }
  }
}

/** `undefined` is no refusal: some backends answer nothing. */
function isRefused(stored: unknown): boolean {
  return stored === false;
}

function refusal(): Error {
  return new Error('Keyv refused to store an entry, and does not say why');
}

async function decodable(read: () => Promise<Entry | undefined>): Promise<Entry | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) return undefined;
    throw error;
  }
}
