const BUCKETS = 1_024;

/** The bucket of `key`, from 0 to 1,023: FNV-1a over its UTF-16 code units. Keys of one bucket share a version. */
export function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
}

/**
 * Versions of keys in one process, in a space that does not depend on the number of keys.
 *
 * Keys share counters, so a change may alter the version of another key too. That costs the result of a load, never the order
 * of changes.
 */
export class Versions {
  readonly #counts: number[] = [];
  #clears = 0;

  of(key: string): string {
    return `${this.#clears}.${this.#counts[bucketOf(key)] ?? 0}`;
  }

  alter(key: string): void {
    const bucket = bucketOf(key);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  alterAll(): void {
    this.#clears += 1;
  }
}
