import { isStorable, type HeldEntry } from '../entry.js';
import { fence, type Changes } from './changes.js';
import { spread } from './spread.js';

/** Puts `entry` into all tiers. A load that started earlier never overwrites it. */
export async function set<V>(changes: Changes<V>, key: string, entry: HeldEntry<V>): Promise<void> {
  const { held, storage } = changes;
  fence(changes, key);
  const isKept = isStorable(entry);
  // A value that can't be stored still ends the life of the one before it.
  if (isKept) held.hold(key, entry);
  else held.drop(key);
  await spread(changes, { kind: 'set', keys: [key], at: entry.startedAt }, (again) => {
    const later = again(key);
    return [isKept ? storage?.store(key, entry, { keep: true, change: true, later }) : storage?.remove(key, later)];
  });
}
