import { isStorable, type HeldEntry } from '../entry.js';
import { fence, type Changes } from './changes.js';
import { spread } from './spread.js';

/** Puts `entry` into all tiers. A load that started earlier never overwrites it. */
export async function set<V>(changes: Changes<V>, key: string, entry: HeldEntry<V>): Promise<void> {
  const { held, storage } = changes;
  fence(changes, key);
  let write: Promise<unknown> | undefined;
  if (isStorable(entry)) {
    held.hold(key, entry);
    write = storage?.store(key, entry, { keep: true, change: true });
  } else {
    // A value that can't be stored still ends the life of the one before it.
    held.drop(key);
    write = storage?.remove(key);
  }
  await spread(changes, { kind: 'set', keys: [key], at: entry.startedAt }, write);
}
