import { isWellFormed } from '../codecs/payload.js';
import { storageError, unavailable } from './storage-errors.js';

/** One of the two web storages: `'local'` outlives the tab and is shared by the whole origin, `'session'` is the tab's own. */
export type WebStorageArea = 'local' | 'session';

/** The part of a `Storage` that is used here. */
interface WebStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(name: string): string | null;
  setItem(name: string, text: string): void;
  removeItem(name: string): void;
}

/**
 * The part of a web storage whose names begin with a prefix.
 *
 * The storage is looked up at each use, because where site data is blocked, merely naming it throws.
 */
export class WebArea {
  /** The name of a tier or a queue in it. */
  readonly name: 'local-storage' | 'session-storage';
  readonly #title: 'localStorage' | 'sessionStorage';
  readonly #prefix: string;
  /** The index at which {@link someKeys} goes on. */
  #next = 0;

  constructor(area: WebStorageArea, prefix: string) {
    this.name = area === 'local' ? 'local-storage' : 'session-storage';
    this.#title = area === 'local' ? 'localStorage' : 'sessionStorage';
    this.#prefix = prefix;
  }

  get(key: string): string | undefined {
    return this.#storage().getItem(this.#nameOf(key)) ?? undefined;
  }

  /** @throws SoloflightError with code `SOLOFLIGHT_STORAGE_FULL`; an earlier text of `key` then stays. */
  set(key: string, text: string): void {
    try {
      this.#storage().setItem(this.#nameOf(key), text);
    } catch (error) {
      throw storageError(this.#title, error, key);
    }
  }

  /** Removes `key` and tells whether it was there. */
  delete(key: string): boolean {
    const storage = this.#storage();
    const name = this.#nameOf(key);
    const there = storage.getItem(name) !== null;
    if (there) storage.removeItem(name);
    return there;
  }

  /** All keys at this moment. */
  keys(): string[] {
    const storage = this.#storage();
    const keys: string[] = [];
    for (let index = 0; index < storage.length; index += 1) this.#collect(storage.key(index), keys);
    return keys;
  }

  /**
   * The keys among the next `looks` names, wrapping around.
   *
   * The browser chooses the order of names, which may change with every write: a key may be passed over for a while.
   */
  someKeys(looks: number): string[] {
    const storage = this.#storage();
    const keys: string[] = [];
    for (let left = Math.min(looks, storage.length); left > 0; left -= 1) {
      if (this.#next >= storage.length) this.#next = 0;
      this.#collect(storage.key(this.#next), keys);
      this.#next += 1;
    }
    return keys;
  }

  #collect(name: string | null, keys: string[]): void {
    if (name?.startsWith(this.#prefix) === true) keys.push(unescapeKey(name.slice(this.#prefix.length)));
  }

  #nameOf(key: string): string {
    return this.#prefix + escapeKey(key);
  }

  #storage(): WebStorage {
    let storage: WebStorage | null | undefined;
    try {
      storage = (globalThis as { readonly [name: string]: unknown })[this.#title] as WebStorage | null | undefined;
    } catch (error) {
      throw unavailable(this.#title, error);
    }
    // Some web views have the property without a value.
    if (storage === null || storage === undefined) throw unavailable(this.#title);
    return storage;
  }
}

/** NUL ends strings in some browsers' databases, and lone surrogates have no UTF-8. */
function escapeKey(key: string): string {
  if (isWellFormed(key) && !/[%\0]/.test(key)) return key;
  return key.replaceAll(/[%\0]|\p{Surrogate}/gu, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function unescapeKey(name: string): string {
  return name.replaceAll(/%([0-9a-f]{4})/g, (_match, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
