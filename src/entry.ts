/**
 * A stored value with its instants, tags and metadata.
 *
 * All instants are epoch milliseconds and absolute: moving an entry between tiers or processes never extends its life.
 * Windows are half-open and additive after the ttl.
 *
 * @see RFC 5861 for `staleUntil` and `errorUntil`.
 */
export interface Entry<V = unknown> {
  /** `undefined` means absent: the upstream said that there is nothing. */
  readonly value: V | undefined;
  /** When the load that produced the value started. Decides which of two entries is newer. */
  readonly startedAt: number;
  /** When that load settled. */
  readonly createdAt: number;
  /** Servable without a reload before this instant. */
  readonly freshUntil: number;
  /** Servable while revalidating before this instant. */
  readonly staleUntil: number;
  /** Servable after a failed load before this instant; never earlier than `staleUntil`. */
  readonly errorUntil: number;
  /** How long the load took, in milliseconds. */
  readonly loadMs: number;
  readonly tags: readonly string[];
  /** Small JSON data that travels with the value, for example an ETag. */
  readonly meta: unknown;
  /** Written by the cache for storage that may lose what it holds: what tells there whether the entry was invalidated since. */
  readonly claims?: readonly string[] | undefined;
}

/** Whether a stored value may stand in for a load of `key` that failed with `error`. */
export type Covers = (error: unknown, key: string) => boolean;

/** The state of an entry at an instant. */
export type Freshness = 'fresh' | 'stale' | 'expired' | 'gone';

/** The three windows of an entry, in milliseconds, already checked and parsed. */
export interface Windows {
  readonly ttl: number;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
}

/** An entry from further in the future than this is not trusted: the clock that wrote it, or ours, is wrong. */
const FUTURE_TOLERANCE = 5_000;

/** No `Date` lies further from the epoch: an instant beyond is garbage, and would cost the others their precision. */
const FURTHEST = 8_640_000_000_000_000;

const NO_TAGS: readonly string[] = Object.freeze([]);

/** Whether `entry` was created further in the future than a clock may reasonably be off. */
export function isFromFuture(entry: Entry, now: number): boolean {
  return entry.createdAt > now + FUTURE_TOLERANCE;
}

/**
 * The state of `entry` at `now`.
 *
 * Each boundary belongs to the later state: at exactly `freshUntil` an entry is already stale. An entry from the
 * future is at best a fallback.
 */
export function freshness(entry: Entry, now: number): Freshness {
  if (!isFromFuture(entry, now)) {
    if (now < entry.freshUntil) return 'fresh';
    if (now < entry.staleUntil) return 'stale';
  }
  if (now < entry.errorUntil) return 'expired';
  return 'gone';
}

/**
 * The instant that held entries count from; set by the first of them.
 *
 * Small integers lie inside the object that has them. Epoch milliseconds would each be an object of their own: more
 * memory per entry, and one more cache line to fetch per hit.
 */
let base = NaN;

/** An entry as memory holds it, with the one promise that all hits share. */
export class HeldEntry<V> implements Entry<V> {
  readonly value: V | undefined;
  readonly loadMs: number;
  readonly #startedAt: number;
  readonly #createdAt: number;
  readonly #freshUntil: number;
  readonly #staleUntil: number;
  readonly #errorUntil: number;
  /** What few entries have. */
  readonly #more: (Tagging & Pick<Origin, 'meta' | 'uncut' | 'covers'>) | undefined;
  /** Made at the first hit. */
  #answer: Promise<V> | undefined;

  constructor(value: V | undefined, origin: Origin, ends: Ends) {
    if (Number.isNaN(base)) base = Math.floor(origin.createdAt);
    this.value = value;
    this.loadMs = origin.loadMs ?? 0;
    this.#startedAt = origin.startedAt - base;
    this.#createdAt = origin.createdAt - base;
    this.#freshUntil = ends.freshUntil - base;
    this.#staleUntil = ends.staleUntil - base;
    this.#errorUntil = ends.errorUntil - base;
    const { tags = NO_TAGS, meta, epoch = 0, uncut, covers } = origin;
    if (tags.length > 0 || meta !== undefined || uncut !== undefined || covers !== undefined)
      this.#more = { tags, meta, epoch, seen: epoch, uncut, covers };
  }

  /** `entry` itself if it is held already, else a held copy that is as new as `epoch` says. */
  static from<V>(entry: Entry<V>, epoch?: number): HeldEntry<V> {
    if (entry instanceof HeldEntry) return entry;
    return new HeldEntry(entry.value, { ...plain(entry), epoch }, entry);
  }

  /** A copy that is fresh no longer than until `at`. */
  expired(at: number): HeldEntry<V> {
    return this.like(expiredAt(this, at));
  }

  /** A held copy of `entry`, which is made of this one and as new. */
  like(entry: Entry<V>): HeldEntry<V> {
    if (entry instanceof HeldEntry) return entry;
    return new HeldEntry(entry.value, { ...plain(entry), epoch: this.#more?.epoch, covers: this.covers }, entry);
  }

  /** A copy that is not used beyond `at`. */
  cut(at: number): HeldEntry<V> {
    const entry = cutAt(this, at);
    if (entry === this) return this;
    const { uncut, covers } = this;
    return new HeldEntry(entry.value, { ...entry, epoch: this.#more?.epoch, uncut, covers }, entry);
  }

  /** A copy with another value. */
  with(value: V | undefined): HeldEntry<V> {
    if (value === this.value) return this;
    return this.like({ ...plain(this), value });
  }

  /** What its tags are checked by; `undefined` for sure where it has none. */
  get tagging(): Tagging | undefined {
    return this.#more;
  }

  get startedAt(): number {
    return base + this.#startedAt;
  }

  get createdAt(): number {
    return base + this.#createdAt;
  }

  get freshUntil(): number {
    return base + this.#freshUntil;
  }

  /** Until when the entry would be fresh if it had not been {@link cut}. */
  get uncut(): number {
    return this.#more?.uncut ?? this.freshUntil;
  }

  /** Which failures the value may stand in for, where that was said with it. */
  get covers(): Covers | undefined {
    return this.#more?.covers;
  }

  get staleUntil(): number {
    return base + this.#staleUntil;
  }

  get errorUntil(): number {
    return base + this.#errorUntil;
  }

  get tags(): readonly string[] {
    return this.#more?.tags ?? NO_TAGS;
  }

  get meta(): unknown {
    return this.#more?.meta;
  }

  /** The value as a promise that is already resolved. */
  get answer(): Promise<V> {
    return (this.#answer ??= Promise.resolve(this.value as V));
  }
}

/** The tags of an entry, and what is known of them. */
export interface Tagging {
  readonly tags: readonly string[];
  /** Number of invalidations by tag in this process that the entry is newer than. */
  readonly epoch: number;
  /** The same number when the entry was last found valid: nothing to check again until it changes. */
  seen: number;
}

/** The parts of a new entry that do not follow from its windows. */
export interface Origin {
  readonly startedAt: number;
  readonly createdAt: number;
  /** @default 0 */
  readonly loadMs?: number;
  readonly tags?: readonly string[] | undefined;
  readonly meta?: unknown;
  /** @default 0 @see Tagging */
  readonly epoch?: number | undefined;
  /** Until when the value is fresh, where a tier holds it for a shorter time. @default the end that the entry has itself */
  readonly uncut?: number | undefined;
  /** Which failures the value may stand in for. Storage can't keep that. @default as the read says */
  readonly covers?: Covers | undefined;
}

type Ends = Pick<Entry, 'freshUntil' | 'staleUntil' | 'errorUntil'>;

/** Makes an entry whose instants follow from `windows`, counted from `origin.createdAt`. */
export function createEntry<V>(value: V | undefined, windows: Windows, origin: Origin): HeldEntry<V> {
  const freshUntil = origin.createdAt + windows.ttl;
  return new HeldEntry(value, origin, {
    freshUntil,
    staleUntil: freshUntil + windows.staleWhileRevalidate,
    errorUntil: freshUntil + Math.max(windows.staleWhileRevalidate, windows.staleIfError),
  });
}

/** A copy of `entry` that is fresh no longer than until `at`; its other windows stay where they were. */
export function expiredAt<V>(entry: Entry<V>, at: number): Entry<V> {
  return { ...plain(entry), freshUntil: Math.min(entry.freshUntil, at) };
}

/** A copy of `entry` none of whose windows reaches beyond `at`; `entry` itself if that is so already. */
export function cutAt<V>(entry: Entry<V>, at: number): Entry<V> {
  if (entry.errorUntil <= at) return entry;
  const until = (end: number): number => Math.min(end, at);
  return {
    ...plain(entry),
    freshUntil: until(entry.freshUntil),
    staleUntil: until(entry.staleUntil),
    errorUntil: until(entry.errorUntil),
  };
}

/** A copy of `entry`: what of it ended by `until` ends no later than at `now`, an earlier instant. */
export function endedBy<V>(entry: Entry<V>, until: number, now: number): Entry<V> {
  const ended = (end: number): number => (end <= until ? Math.min(end, now) : end);
  return {
    ...plain(entry),
    freshUntil: ended(entry.freshUntil),
    staleUntil: ended(entry.staleUntil),
    errorUntil: ended(entry.errorUntil),
  };
}

/** Whether two entries come of one load: one may be a copy of the other that a tier holds for a shorter time. */
export function isSameLoad(one: Entry | undefined, other: Entry | undefined): boolean {
  return one?.startedAt === other?.startedAt && one?.value === other?.value;
}

/** Whether there is any instant after `createdAt` at which `entry` could be served. */
export function isStorable(entry: Entry): boolean {
  return entry.errorUntil > entry.createdAt;
}

/** `entry` as a plain object, the form that storage tiers are given. */
export function plain<V>(entry: Entry<V>): Entry<V> {
  return {
    value: entry.value,
    startedAt: entry.startedAt,
    createdAt: entry.createdAt,
    freshUntil: entry.freshUntil,
    staleUntil: entry.staleUntil,
    errorUntil: entry.errorUntil,
    loadMs: entry.loadMs,
    tags: entry.tags,
    meta: entry.meta,
    ...(entry.claims === undefined ? {} : { claims: entry.claims }),
  };
}

/** Whether `candidate`, something a storage tier returned, has the shape of an entry. */
export function isEntry(candidate: unknown): candidate is Entry {
  if (typeof candidate !== 'object' || candidate === null) return false;
  const entry = candidate as Partial<Entry>;
  return (
    isMoment(entry.startedAt) &&
    isMoment(entry.createdAt) &&
    isInstant(entry.freshUntil) &&
    isInstant(entry.staleUntil) &&
    isInstant(entry.errorUntil) &&
    Number.isFinite(entry.loadMs) &&
    isTexts(entry.tags) &&
    (entry.claims === undefined || isTexts(entry.claims))
  );
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function isMoment(value: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) <= FURTHEST;
}

function isInstant(value: unknown): boolean {
  return typeof value === 'number' && !Number.isNaN(value);
}
