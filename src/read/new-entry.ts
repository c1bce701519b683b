import type { Loaded, LoadControl } from '../contracts.js';
import { createEntry, type HeldEntry, type Origin, type Windows } from '../entry.js';
import { coverage, NO_WINDOWS, tagsOf, windowsOf, type LifetimeContext, type LifetimeSettings } from './lifetime.js';
import type { CacheFlight, Reads } from './reads.js';

/** What a load has brought. */
interface Brought<V> {
  readonly value: V | undefined;
  /** What the upstream said of it. */
  readonly told: Loaded<V> | undefined;
  readonly times: Origin;
}

/** What the entry of a value that is written, not loaded, follows from. */
export interface WrittenParts<V> {
  readonly reads: Pick<Reads<V>, 'rules' | 'clock' | 'marks' | 'events'>;
  readonly key: string;
  readonly lifetime: LifetimeSettings<V>;
}

/** The entry of a value that is written, not loaded. */
export function writtenEntry<V>({ reads, key, lifetime }: WrittenParts<V>, value: V | undefined): HeldEntry<V> {
  const { rules, clock, marks } = reads;
  const now = clock.now();
  const windows = windowsOf(lifetime, value, contextOf(reads, key, undefined));
  const { ownCovers: covers } = lifetime;
  const origin = { startedAt: now, createdAt: now, tags: tagsOf(lifetime, value, key), epoch: marks.epoch, covers };
  return createEntry(rules.isolation.keep(value), windows, origin);
}

/** The entry of a value that pending writes will make. Where it can't be told how long to keep it, it is handed out and not kept. */
export function pendingEntryOf<V>(parts: WrittenParts<V>, value: V | undefined): HeldEntry<V> {
  const { rules, clock, marks, events } = parts.reads;
  try {
    return writtenEntry(parts, value);
  } catch (error) {
    events.emit({ type: 'error', source: 'ttl', key: parts.key, error });
    const now = clock.now();
    return createEntry(rules.isolation.keep(value), NO_WINDOWS, { startedAt: now, createdAt: now, epoch: marks.epoch });
  }
}

/**
 * The entry of a loaded value: what the upstream said of it comes first, then the previous entry if it is renewed, then the
 * options. Where lifetime or tags can't be told, the value is good all the same: it is handed out and not kept.
 */
export function loadedEntry<V>(
  reads: Reads<V>,
  { key, detail }: CacheFlight<V>,
  { value, told, times }: Brought<V>,
): HeldEntry<V> {
  const { lifetime } = detail.ask;
  const control = told?.control;
  const renewed = told?.kind === 'not-modified' ? detail.fallback?.entry : undefined;
  let windows: Windows = NO_WINDOWS;
  let tags = control?.tags?.slice() ?? renewed?.tags;
  let source = 'tags';
  try {
    tags ??= tagsOf(lifetime, value, key);
    source = 'ttl';
    windows = windowsOf(lifetime, value, contextOf(reads, key, control));
  } catch (error) {
    reads.events.emit({ type: 'error', source, key, error });
  }
  const covers = coverage(control?.staleIfError).when ?? renewed?.covers ?? lifetime.ownCovers;
  return createEntry(value, windows, { ...times, tags, meta: control?.meta ?? renewed?.meta, covers });
}

function contextOf<V>(
  { rules, clock }: Pick<Reads<V>, 'rules' | 'clock'>,
  key: string,
  control: LoadControl | undefined,
): LifetimeContext {
  return { key, control, absentTtl: rules.absentTtl, jitter: rules.jitter, clock };
}
