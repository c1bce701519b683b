import { sealAsText, unseal } from '../codecs/envelope.js';
import { jsonCodec } from '../codecs/json.js';
import { isCodec } from '../codecs/payload.js';
import type { Codec, StorageAdapter, StorageTier, StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, UndecodableError } from '../errors.js';
import { defineStorage, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { toName } from './key-name.js';

/** What is used of a `Keyv`. */
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
  /** Turns values into text or bytes. Bytes are kept as base64. @default jsonCodec */
  readonly codec?: Codec;
}

/**
 * A storage tier in any backend of Keyv 6.
 *
 * Each entry is one text. Keys are any strings; they are stored under names of 1 to 180 lower-case letters, digits, `-`
 * and `_`, so the limits of a backend on keys don't matter. How large a value may be is up to the backend.
 *
 * Each entry is given a time to live, never too short a one: as long as it could be of use when it was new. An entry
 * that is written again later may so be kept for longer, up to twice. The `ttl` of the `Keyv` is not used.
 *
 * The `Keyv` belongs to the caller and is not disconnected. `clear` is there only for one with a namespace, and removes
 * all of that. Failures of the backend are seen also where the `Keyv` only emits them as `error` events: the tier
 * listens to these while it waits for an answer.
 *
 * @throws TypeError for what is no `Keyv`, and for an option that makes no sense.
 */
export function keyvStorage(keyv: KeyvLike, options: KeyvStorageOptions = {}): StorageTier {
  if (!isKeyv(keyv)) throw misuse('keyv', 'an instance of Keyv 6', keyv);
  if (typeof options !== 'object' || options === null) throw misuse('options', 'an object', options);
  const { codec = jsonCodec } = options;
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
  /** Calls under way. */
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
      // So Keyv says that it could not parse what is there.
      if (error instanceof SyntaxError) throw new UndecodableError(key, 'Keyv failed on it', error);
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
      // One of them is not to be parsed, and Keyv does not say which.
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
    // Of two writes of one key, the last one counts, in whichever order a backend makes them.
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
    const [name, value] = await Promise.all([toName(key), sealAsText(entry, this.#codec)]);
    // There is no clock here. At the soonest, now is when the entry was created. `Infinity` is no time to live to Keyv,
    // where `undefined` would be its default one.
    return { key: name, value, ttl: Math.max(1, Math.ceil(keepUntil - entry.createdAt)) };
  }

  /**
   * What `call` gives, or the error that it hides.
   *
   * Keyv answers as if there were nothing when its backend fails, and emits the error. That may be the error of
   * another call at the same time: then this one fails for nothing, but none succeeds for nothing.
   */
  async #call<T>(call: () => Promise<T>, mayHide: (result: T) => boolean): Promise<T> {
    const before = this.#failures;
    // One listener for all calls under way: Keyv warns of many.
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

/** Some backends answer nothing. */
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
