import type { HeldEntry } from '../entry.js';
import type { Stages } from './stages.js';

/** What memory holds for `key` and may still be used, as a use of it. */
export function held<V>(stages: Stages<V>, key: string): HeldEntry<V> | undefined {
  return current(stages, key, stages.memory.get(key) as HeldEntry<V> | undefined);
}

/** The same, not as a use. */
export function heldQuietly<V>(stages: Stages<V>, key: string): HeldEntry<V> | undefined {
  return current(stages, key, stages.memory.peek(key) as HeldEntry<V> | undefined);
}

/** `entry`, which memory holds for `key`, as its tags leave it; memory is brought in step. */
export function current<V>(stages: Stages<V>, key: string, entry: HeldEntry<V> | undefined): HeldEntry<V> | undefined {
  if (entry === undefined) return undefined;
  const now = usable(stages, entry);
  if (now === undefined) stages.memory.delete(key);
  else if (now !== entry) hold(stages, key, now);
  return now;
}

/** `entry` as its tags leave it: as it is, stale, or not at all. */
export function usable<V>({ marks, space, clock, turn }: Stages<V>, entry: HeldEntry<V>): HeldEntry<V> | undefined {
  if (entry.tagging === undefined || entry.tagging.seen === marks.epoch) return entry;
  // Hits go by a reading of the clock that may be a little older than now: to them too, what expired must be stale.
  return marks.current(space, entry, Math.min(clock.now(), turn.now()));
}

/** Puts `entry` into memory. A memory tier that refuses must not go on serving what it held before. */
export function hold<V>(stages: Stages<V>, key: string, entry: HeldEntry<V>): void {
  try {
    stages.memory.set(key, entry);
  } catch (error) {
    stages.memory.delete(key);
    stages.events.emit({ type: 'error', source: 'memory', key, error });
  }
}
