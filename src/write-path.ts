import { isThenable, type MaybePromise } from './contracts.js';
import { FlightTimeoutError, misuse } from './errors.js';
import { ignore } from './flight.js';
import { heldQuietly, hold } from './held.js';
import { entryOf, expire, fence, invalidate, set } from './invalidate.js';
import type { LifetimeSettings } from './lifetime.js';
import { lookup } from './lookup.js';
import { lookupCached } from './probe.js';
import type { Ask, Stages } from './stages.js';
import type { WritePort } from './write-port.js';

/** Writes `value` to the upstream and then into the tiers, or into none of them if the upstream fails. */
export function write<V>(
  stages: Stages<V>,
  writes: WritePort<V>,
  key: string,
  value: V,
  lifetime: LifetimeSettings<V>,
): Promise<void> {
  return inLane(stages, key, async () => {
    const taken = await accepted(stages, writes, key, value, ignore);
    await store(stages, key, taken, lifetime);
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
  return inLane(stages, key, async () => {
    const next = change(await currentOf(stages, key, ask));
    if (isThenable(next)) throw misuse('result of the function', 'a value, not a promise of one', next);
    const entry = entryOf(stages, key, next, ask.lifetime);
    const before = heldQuietly(stages, key);
    fence(stages, key);
    hold(stages, key, entry);
    const taken = await accepted(stages, writes, key, next, () => {
      // Whatever came in between is newer than both.
      if (stages.memory.peek(key) !== entry) return;
      if (before === undefined) stages.memory.delete(key);
      else hold(stages, key, before);
    });
    await store(stages, key, taken, ask.lifetime);
    return taken;
  });
}

/** Brings what the upstream has taken into the tiers, unless a newer value was written past this cache since. */
async function store<V>(stages: Stages<V>, key: string, taken: V, lifetime: LifetimeSettings<V>): Promise<void> {
  if (stages.lanes.takeOutrun(key)) await invalidate(stages, [key]);
  else await set(stages, key, taken, lifetime);
}

function inLane<V, T>(stages: Stages<V>, key: string, work: () => Promise<T>): Promise<T> {
  const turn = stages.lanes.run(key, work);
  stages.deferred.add(turn, 'write');
  return turn;
}

async function currentOf<V>(stages: Stages<V>, key: string, ask: Ask<V>): Promise<V | undefined> {
  const answer = ask.upstream === undefined ? await lookupCached(stages, key, ask) : await lookup(stages, key, ask);
  return stages.settings.isolation.give(answer?.outcome.entry.value);
}

/** Resolves with what the upstream has taken, or rejects after `undo`. A failed write may have reached it all the same: what is stored gets stale. */
async function accepted<V>(
  stages: Stages<V>,
  writes: WritePort<V>,
  key: string,
  value: V,
  undo: () => void,
): Promise<V> {
  stages.lanes.takeOutrun(key);
  try {
    const taken = await withinDuration(stages, key, (signal) => writes.through(key, value, { signal }));
    return taken === undefined ? value : taken;
  } catch (error) {
    undo();
    await expire(stages, [key]);
    throw error;
  }
}

/** What `call` gives, or a `FlightTimeoutError` at `maxDuration`. */
function withinDuration<V, T>(
  { clock, settings }: Stages<V>,
  key: string,
  call: (signal: AbortSignal) => MaybePromise<T>,
): Promise<T> {
  const { maxDuration } = settings.flights;
  const controller = new AbortController();
  const result = (async () => call(controller.signal))();
  if (maxDuration === Infinity) return result;
  return new Promise((resolve, reject) => {
    const cancel = clock.after(maxDuration, () => {
      const error = new FlightTimeoutError(key, maxDuration, maxDuration);
      reject(error);
      controller.abort(error);
    });
    result.then(resolve, reject).then(cancel, cancel);
  });
}
