import type { TagMode } from '../contracts.js';

/** How long tag markers stay in storage. A tagged entry there that is older is not believed: its markers may be gone. */
export const MARKER_LIFE: number = 30 * 24 * 3_600_000;

/**
 * Where the entries and markers of a cache, or of one namespace of it, are found in storage.
 *
 * Injective: whatever the names and keys, no two namespaces share a storage key, no key looks like a marker, and keys
 * outside of any namespace stay as they are unless they begin with `@`.
 */
export class Namespace {
  /** Names from the outermost to the innermost; none outside of any namespace. */
  readonly path: readonly string[];
  /** Tells this namespace from all others. */
  readonly id: string;
  /** The storage key of the marker that says until when all entries were cleared. */
  readonly clearMarker: string;

  constructor(path: readonly string[]) {
    this.path = path;
    // Names carry their length, and what follows the last one never begins with a digit.
    this.id = `@${path.map((name) => `${name.length}:${name}`).join('')}`;
    this.clearMarker = `${this.id}!`;
  }

  /** The namespace called `name` inside this one. */
  inner(name: string): Namespace {
    return new Namespace([...this.path, name]);
  }

  /** The storage key of `key`. */
  keyOf(key: string): string {
    return this.path.length === 0 && !key.startsWith('@') ? key : `${this.id}/${key}`;
  }

  /** The storage keys that begin with this are those of the keys that begin with `prefix`, and others that {@link keyAt} tells. */
  prefixOf(prefix: string): string {
    return prefix === '' && this.path.length === 0 ? '' : this.keyOf(prefix);
  }

  /** The key of the entry at `storageKey`; `undefined` for what is none of this namespace. */
  keyAt(storageKey: string): string | undefined {
    if (storageKey.startsWith(`${this.id}/`)) return storageKey.slice(this.id.length + 1);
    return this.path.length > 0 || storageKey.startsWith('@') ? undefined : storageKey;
  }

  /** The storage key of the marker that says when entries with `tag` were last invalidated, or expired. */
  markerOf(tag: string, mode: TagMode): string {
    return `${this.id}${mode === 'invalidate' ? '#' : '~'}${tag}`;
  }
}

/** The key that readers know the entry at `storageKey` by; `undefined` for a marker. */
export function keyInStorage(storageKey: string): string | undefined {
  if (!storageKey.startsWith('@')) return storageKey;
  let at = 1;
  for (let length = leadingNumber(storageKey, at); length !== undefined; length = leadingNumber(storageKey, at))
    at = storageKey.indexOf(':', at) + 1 + length;
  return storageKey[at] === '/' ? storageKey.slice(at + 1) : undefined;
}

function leadingNumber(text: string, at: number): number | undefined {
  const digits = /^\d+(?=:)/.exec(text.slice(at, at + 16))?.[0];
  return digits === undefined ? undefined : Number(digits);
}
