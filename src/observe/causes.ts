import { systemClock } from '../base/clock.js';
import type { TagMode } from '../contracts.js';
import { hashOf } from './key-hash.js';
import type { ObservedCache } from './observed.js';
import { readable } from './samples.js';

/** What once changed a key, or may have. */
export interface Cause {
  readonly kind: 'set' | 'invalidate' | 'expire' | 'tags' | 'clear';
  /** `'here'`, or the id that another process has on the backplane. */
  readonly from: string;
  /** Milliseconds since this process did it or heard of it. */
  readonly ago: number;
  /** The tags concerned: of `tags`. At most 32 are kept. */
  readonly tags: readonly string[];
  /** What happened to the tags: of `tags`. */
  readonly mode: TagMode;
  /** Whether it is known to have concerned the key. The tags of what is gone are not known any more, so a change by tags is a guess. */
  readonly certain: boolean;
}

/** A change, as the ring keeps it. `high` and `low`: a hash of the key, of changes by key. */
interface Change extends Pick<Cause, 'kind' | 'from' | 'tags' | 'mode'> {
  readonly high: number;
  readonly low: number;
  /** Whether there were more tags than are kept. */
  readonly isCut: boolean;
  /** What cleared keys begin with. */
  readonly prefix: string;
  /** Monotonic milliseconds. */
  readonly at: number;
}

const MOST_CAUSES = 1_000;
const MOST_TAGS = 32;
/** So many causes of one key are told. */
const MOST_TOLD = 10;
const NOTHING = { mode: 'invalidate', tags: [], isCut: false, prefix: '', high: 0, low: 0 } as const;

/** The last 1,000 changes of a cache. Keys are kept as hashes of 64 bits: they may be long, and are nobody's business. */
export class Causes {
  readonly #ring: Change[] = [];
  #next = 0;

  /** Listens to `cache`. Returns what ends that. */
  attach(cache: ObservedCache): (() => void)[] {
    const byKey =
      (kind: 'set' | 'invalidate' | 'expire') =>
      ({ key }: { readonly key: string }): void =>
        this.#noteKey(kind, key, 'here');
    return [
      cache.on('set', byKey('set')),
      cache.on('invalidate', byKey('invalidate')),
      cache.on('expire', byKey('expire')),
      cache.on('tags', ({ tags, mode }) => this.#noteTags(tags, mode, 'here')),
      cache.on('clear', ({ prefix }) => this.#noteClear('here', prefix)),
      cache.on('remote', ({ kind, keys = [], tags = [], mode = 'invalidate', prefix, origin }) => {
        if (kind === 'tags') this.#noteTags(tags, mode, origin);
        else if (kind === 'clear') this.#noteClear(origin, prefix);
        else for (const key of keys) this.#noteKey(kind, key, origin);
      }),
    ];
  }

  /** The latest causes of what is seen of `key`, the newest first. `tags`: those that its entries have. */
  of(key: string, tags: readonly string[]): readonly Cause[] {
    const { high, low } = hashOf(key);
    const now = systemClock.monotonic();
    const own = new Set(tags.map(readable));
    const told: Cause[] = [];
    for (let back = 1; back <= this.#ring.length && told.length < MOST_TOLD; back += 1) {
      const change = this.#ring[(this.#next - back + MOST_CAUSES) % MOST_CAUSES];
      if (change === undefined) continue;
      const { kind, from, mode, at, isCut, prefix } = change;
      const isKeyed = kind !== 'tags' && kind !== 'clear';
      const shared = change.tags.filter((tag) => own.has(tag));
      if (isKeyed && (change.high !== high || change.low !== low)) continue;
      if (!key.startsWith(prefix)) continue;
      // An entry that is there has the tags it has.
      if (kind === 'tags' && shared.length === 0 && own.size > 0 && !isCut) continue;
      const certain = kind !== 'tags' || shared.length > 0;
      told.push({ kind, from, mode, certain, ago: now - at, tags: shared.length > 0 ? shared : change.tags });
    }
    return told;
  }

  #noteKey(kind: 'set' | 'invalidate' | 'expire', key: string, from: string): void {
    this.#note({ ...NOTHING, kind, from, ...hashOf(key) });
  }

  #noteTags(tags: readonly string[], mode: TagMode, from: string): void {
    const kept = tags.slice(0, MOST_TAGS).map(readable);
    this.#note({ ...NOTHING, kind: 'tags', from, mode, tags: kept, isCut: tags.length > MOST_TAGS });
  }

  #noteClear(from: string, prefix = ''): void {
    this.#note({ ...NOTHING, kind: 'clear', from, prefix });
  }

  #note(change: Omit<Change, 'at'>): void {
    this.#ring[this.#next] = { ...change, at: systemClock.monotonic() };
    this.#next = (this.#next + 1) % MOST_CAUSES;
  }
}
