import { isThenable, type MaybePromise } from '../contracts.js';
import { FlightTimeoutError, misuse } from '../errors.js';
import { silenced } from '../flights/flight.js';
import { heldQuietly, hold } from '../read/held.js';
import { entryOf, expire, fence, invalidate, set } from '../change/invalidate.js';
import type { LifetimeSettings } from '../read/lifetime.js';
import { lookup } from '../read/lookup.js';
import { lookupCached } from '../read/probe.js';
import type { Ask, Stages } from '../read/stages.js';
import type { Taken, WritePort } from './write-port.js';

/** Writes `value` to the upstream and then into the tiers, or into none of them if the upstream fails. */
export function write<V>(
  stages: Stages<V>,
  writes: WritePort<V>,
  key: string,
  value: V,
  lifetime: LifetimeSettings<V>,
): Promise<void> {
  return inLane(stages, key, async () => {
    const taken = await accepted(
      stages,
      key,
      (signal) => writes.through(key, value, { signal }),
      () => true,
    );
    await store(stages, key, taken ?? { value }, lifetime);
  });
}

/**
 * Writes what `change` makes of the current value. Memory has it from then on; if the upstream fails, what memory held
 * before comes back, as stale.
 */
export function update<V>(
  stages: Stages<V>,
  writes: WritePort<V>,
  key: string,
  change: (current: V | undefined) => V,
  ask: Ask<V>,
): Promise<V> {
  const current = (): Promise<V | undefined> => currentOf(stages, key, ask);
  return inLane(stages, key, async () => {
    let shown: Shown<V> | undefined;
    const show = (value: V | undefined): V => {
      shown = showAhead(stages, key, change(stages.settings.isolation.give(value)), ask.lifetime);
      return shown.value;
    };
    const { update } = writes;
    let write: Write<V>;
    if (update === undefined) {
      const next = show(await current());
      write = (signal) => writes.through(key, next, { signal });
    } else write = (signal) => update(key, show, { signal, current });
    const taken = await accepted(stages, key, write, () => shown?.undo() ?? false);
    const { value: next } = shown as Shown<V>;
    await store(stages, key, taken ?? { value: next }, ask.lifetime);
    return update === undefined && taken !== undefined ? (taken.value as V) : next;
  });
}

type Write<V> = (signal: AbortSignal) => Promise<Taken<V> | undefined>;

/** A value that readers see before it is written. */
interface Shown<V> {
  readonly value: V;
  /** Takes it back. */
  readonly undo: () => true;
}

function showAhead<V>(stages: Stages<V>, key: string, value: V, lifetime: LifetimeSettings<V>): Shown<V> {
  if (isThenable(value)) throw misuse('result of the function', 'a value, not a promise of one', value);
  const entry = entryOf(stages, key, value, lifetime);
  const before = heldQuietly(stages, key);
  fence(stages, key);
  hold(stages, key, entry);
  const undo = (): true => {
    const now = stages.memory.peek(key);
    // Whatever came in between is newer than both, unless it only made this one stale.
    if (now === undefined || now.value !== entry.value || now.startedAt !== entry.startedAt) return true;
    if (before === undefined) stages.memory.delete(key);
    else hold(stages, key, before);
    return true;
  };
  return { value, undo };
}

/** Brings what the upstream has taken into the tiers, unless a newer value was written past this cache since. */
async function store<V>(
  stages: Stages<V>,
  key: string,
  { value }: Taken<V>,
  lifetime: LifetimeSettings<V>,
): Promise<void> {
  if (stages.lanes.takeOutrun(key)) await invalidate(stages, [key]);
  else await set(stages, key, value as V, lifetime);
}

function inLane<V, T>(stages: Stages<V>, key: string, work: () => Promise<T>): Promise<T> {
  const turn = stages.lanes.run(key, work);
  stages.deferred.add(turn, 'write');
  return turn;
}

async function currentOf<V>(stages: Stages<V>, key: string, ask: Ask<V>): Promise<V | undefined> {
  const answer = ask.upstream === undefined ? await lookupCached(stages, key, ask) : await lookup(stages, key, ask);
  return answer?.outcome.entry.value;
}

/**
 * Resolves with what `write` gives, or rejects after `undo`, which tells whether anything was written. A failed write may
 * have reached the upstream all the same: what is stored gets stale.
 */
async function accepted<V>(
  stages: Stages<V>,
  key: string,
  write: Write<V>,
  undo: () => boolean,
): Promise<Taken<V> | undefined> {
  stages.lanes.takeOutrun(key);
  try {
    return await withinDuration(stages, key, write);
  } catch (error) {
    if (undo()) await expire(stages, [key]);
    throw error;
  }
}

/** What `call` gives, or a `FlightTimeoutError` at `maxDuration`. */
function withinDuration<V, T>(
  stages: Stages<V>,
  key: string,
  call: (signal: AbortSignal) => MaybePromise<T>,
): Promise<T> {
  const { clock, settings } = stages;
  const { maxDuration } = settings.flights;
  const controller = new AbortController();
  const result = (async () => call(controller.signal))();
  if (maxDuration === Infinity) return result;
  return new Promise((resolve, reject) => {
    const cancel = clock.after(maxDuration, () => {
      const error = new FlightTimeoutError(key, maxDuration, maxDuration);
      reject(error);
      controller.abort(error);
      // It may have landed only now: after what was loaded meanwhile, and after later writes.
      const late = (): void => void silenced(expire(stages, [key]));
      result.then(late, late);
    });
    result.then(resolve, reject).then(cancel, cancel);
  });
}
