import type { Events } from '../base/events.js';
import type { BackplaneMessage, Clock } from '../contracts.js';
import type { Fenced } from '../flights/fences.js';
import type { Held } from '../marks/held.js';
import type { Namespace } from '../marks/namespace.js';
import type { TagMarks } from '../marks/tags.js';
import type { PeersPort, StoragePort } from '../ports.js';

/** What the files of this room share, one per cache or namespace. Made by `cache/wiring.ts`. */
export interface Changes<V> {
  readonly clock: Clock;
  readonly held: Held<V>;
  readonly marks: TagMarks;
  readonly space: Namespace;
  /** All that is under way. */
  readonly fences: readonly Fenced[];
  readonly failures: { forget(key: string): void; clear(prefix: string): void };
  readonly storage: StoragePort | undefined;
  readonly peers: PeersPort | undefined;
  readonly events: Events;
}

/** Detaches everything under way for `key`: those who wait get their answer, no tier and no later caller does. */
export function fence<V>({ fences, failures }: Changes<V>, key: string): void {
  for (const flights of fences) flights.fence(key);
  failures.forget(key);
}

/** Detaches everything under way, for whichever key. */
export function fenceAll<V>({ fences }: Changes<V>): void {
  for (const flights of fences) flights.fenceAll();
}

/** Makes what memory holds for `key` unusable now and tells whether it held any. Leaves storage alone. */
export function dropHere<V>(changes: Changes<V>, key: string): boolean {
  fence(changes, key);
  return changes.held.drop(key);
}

/** Makes what memory holds for `key` stale from `at` on. A load under way may have read the upstream before whatever made the caller call. */
export function expireHere<V>(changes: Changes<V>, key: string, at: number): void {
  fence(changes, key);
  changes.held.expire(key, at);
}

/** Makes everything in memory unusable whose key begins with `prefix` and that was loaded before now or `at`; returns the instant to tell others. */
export function clearHere<V>(changes: Changes<V>, at: number, prefix = ''): number {
  const { marks, space, fences, failures, held } = changes;
  const marked = marks.clear(space, at, prefix);
  for (const part of fences) part.fenceAll(prefix);
  failures.clear(prefix);
  held.clear(prefix);
  return marked;
}

/** Does to memory and flights what another process did. It has told storage itself. */
export function applyRemote<V>(changes: Changes<V>, message: BackplaneMessage): void {
  const { kind, keys = [], tags = [], mode = 'invalidate', at } = message;
  // What storage holds for these keys may be older than the change until the sender says that it is not.
  for (const key of keys) void changes.storage?.mark({ kind: 'elsewhere', key, change: message });
  if (kind === 'tags') changes.marks.mark(changes.space, tags, mode, at);
  else if (kind === 'clear') clearHere(changes, at, message.prefix);
  else if (kind === 'expire') for (const key of keys) expireHere(changes, key, at);
  else for (const key of keys) dropHere(changes, key);
  changes.events.emit({ ...message, type: 'remote' });
}
