import type { TurnClock } from '../base/clock.js';
import type { Events } from '../base/events.js';
import type { Clock, MemoryTier } from '../contracts.js';
import type { HeldEntry } from '../entry.js';
import type { Namespace } from './namespace.js';
import type { SetBack } from './set-back.js';
import type { TagMarks } from './tags.js';

/** What {@link Held} is made of. */
export interface HeldParts<V> {
  readonly memory: MemoryTier<V>;
  readonly marks: TagMarks;
  readonly space: Namespace;
  readonly clock: Clock;
  readonly turn: TurnClock;
  readonly events: Events;
  /** A part of `memory` of this cache's own, where it is to be cleared and others have entries in it, too. */
  readonly apart: (memory: MemoryTier<V>) => MemoryTier<V> | undefined;
}

/** The entries that memory holds for one cache or namespace, as marks leave them. */
export class Held<V> {
  readonly #parts: HeldParts<V>;
  readonly #setBack: SetBack;
  #memory: MemoryTier<V>;

  constructor(parts: HeldParts<V>) {
    this.#parts = parts;
    this.#setBack = parts.marks.setBack;
    this.#memory = parts.memory;
  }

  /** The memory tier. */
  get memory(): MemoryTier<V> {
    return this.#memory;
  }

  /** The entry for `key` that may still be used, as a use of it. Whoever goes by a clock's reading takes that first. */
  get(key: string): HeldEntry<V> | undefined {
    const entry = this.#memory.get(key) as HeldEntry<V> | undefined;
    if (entry === undefined || (entry.tagging === undefined && !this.#setBack.matters)) return entry;
    return this.#current(key, entry);
  }

  /** The same, not as a use. */
  peek(key: string): HeldEntry<V> | undefined {
    const entry = this.#memory.peek(key) as HeldEntry<V> | undefined;
    if (entry === undefined) return undefined;
    // Notices that the clock was set back.
    this.#parts.turn.now();
    if (entry.tagging === undefined && !this.#setBack.matters) return entry;
    return this.#current(key, entry);
  }

  /** The same, and memory stays as it is. */
  look(key: string): HeldEntry<V> | undefined {
    this.#parts.turn.now();
    const entry = this.#memory.peek(key) as HeldEntry<V> | undefined;
    return entry && this.usable(this.#lasting(entry));
  }

  /** `entry` as its tags leave it: as it is, stale, or not at all. */
  usable(entry: HeldEntry<V>): HeldEntry<V> | undefined {
    const { marks, space } = this.#parts;
    if (entry.tagging === undefined || entry.tagging.seen === marks.epoch) return entry;
    return marks.current(space, entry, this.now());
  }

  /** Whether `entry` may answer a caller that asked at `epoch`: no tag of it was marked between the start of its load and the question. */
  suits(entry: HeldEntry<V>, epoch: number, keepExpired: boolean): boolean {
    const { marks, space } = this.#parts;
    return marks.suits(space, entry, epoch, keepExpired);
  }

  /** Puts `entry` into memory. A memory tier that refuses must not go on serving what it held before. */
  hold(key: string, entry: HeldEntry<V>): void {
    const { clock, events, turn } = this.#parts;
    const { ttl } = this.#memory;
    turn.now();
    try {
      const kept = ttl === undefined ? entry : entry.cut(clock.now() + ttl);
      if (this.#setBack.matters) this.#setBack.holding(kept);
      this.#memory.set(key, kept);
    } catch (error) {
      this.#memory.delete(key);
      events.emit({ type: 'error', source: 'memory', key, error });
    }
  }

  /** Makes the entry for `key` stale from `at` on. */
  expire(key: string, at: number): void {
    const entry = this.peek(key);
    const from = Math.min(at, this.now());
    if (entry !== undefined && entry.freshUntil > from) this.hold(key, entry.expired(from));
  }

  /** Drops the entry for `key` and tells whether there was one. */
  drop(key: string): boolean {
    return this.#memory.delete(key);
  }

  /** Drops all entries of this namespace, or those whose keys begin with `prefix`. */
  clear(prefix = ''): void {
    if (prefix !== '' && this.#memory.deletePrefix !== undefined) return this.#memory.deletePrefix(prefix);
    this.#memory = this.#parts.apart(this.#memory) ?? this.#memory;
    this.#memory.clear();
  }

  /** Hits go by a reading of the clock that may be a little older than now: what expires now must be stale to them, too. */
  now(): number {
    const { clock, turn } = this.#parts;
    return Math.min(clock.now(), turn.now());
  }

  #current(key: string, entry: HeldEntry<V>): HeldEntry<V> | undefined {
    const now = this.usable(this.#lasting(entry));
    if (now === undefined) this.#memory.delete(key);
    else if (now !== entry) this.hold(key, now);
    return now;
  }

  /** `entry` without the life that a clock gave back to it that was set back. */
  #lasting(entry: HeldEntry<V>): HeldEntry<V> {
    return this.#setBack.matters ? this.#setBack.held(entry, this.now()) : entry;
  }
}
