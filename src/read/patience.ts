import { CallerTimeoutError, SoloflightError } from '../errors.js';
import { covers } from './answering.js';
import type { Outcome } from './outcome.js';
import type { Ask, CacheFlight, Reads } from './reads.js';

/** Milliseconds between two looks at what another request's flight has found. */
const LOOK_AGAIN = 50;

/**
 * `result`, or what a caller gets whose patience ends before the flight does.
 *
 * After `softTimeout` (counted from the start of the flight) that is the stored value, if the caller accepts it; after
 * its own `timeout` the stored value or a `CallerTimeoutError`. The flight goes on either way: its result is wanted.
 */
export function patiently<V>(
  reads: Reads<V>,
  flight: CacheFlight<V>,
  result: Promise<Outcome<V>>,
  ask: Ask<V>,
): Promise<Outcome<V>> {
  const { read } = ask;
  const { clock, rules, flights } = reads;
  const { key, detail } = flight;
  const { timeout, softTimeout = rules.softTimeout } = read;
  if (softTimeout === Infinity && timeout === Infinity) return result;

  return new Promise((resolve, reject) => {
    const cancels: (() => void)[] = [];
    const rest = (): void => {
      for (const cancel of cancels) cancel();
    };
    const leave = (error: SoloflightError, isLast: boolean): void => {
      const fallback = fallbackFor(reads, flight, ask, error);
      if (fallback === undefined && !isLast) return;
      rest();
      letGoOn(reads, flight, read.waitUntil);
      if (fallback === undefined) reject(error);
      else resolve(fallback);
    };
    const soft = (): void => {
      const message = `The load took longer than \`softTimeout\` (${softTimeout} ms) and goes on`;
      const error = new SoloflightError('SOLOFLIGHT_SOFT_TIMEOUT', message, { key });
      leave(error, false);
      // Storage may still be looking for something to answer with.
      if (detail.loadSince !== undefined) return;
      if (flight.claim === undefined) (detail.impatient ??= []).push(() => leave(error, false));
      // The request that leads the flight must not settle this one's promise, so this one looks again.
      else cancels.push(clock.after(LOOK_AGAIN, soft));
    };
    result.then(resolve, reject).then(rest, rest);
    if (softTimeout < Infinity) cancels.push(clock.after(Math.max(0, softTimeout - flights.ageOf(flight)), soft));
    if (timeout < Infinity) cancels.push(clock.after(timeout, () => leave(new CallerTimeoutError(key, timeout), true)));
  });
}

function fallbackFor<V>(
  reads: Reads<V>,
  { key, detail }: CacheFlight<V>,
  ask: Ask<V>,
  error: unknown,
): Outcome<V> | undefined {
  const { held, clock } = reads;
  const { fallback } = detail;
  const entry = fallback === undefined ? undefined : held.usable(fallback.entry);
  if (fallback === undefined || entry === undefined) return undefined;
  if (clock.now() >= Math.min(entry.errorUntil, entry.freshUntil + ask.read.maxStale)) return undefined;
  if (!covers(reads, { key, detail: { ask } }, entry, error)) return undefined;
  return { entry, tier: fallback.tier, status: 'fallback', error, loaded: false, stored: true };
}

/** Keeps `flight` going although a caller left: the next one will want its result. */
function letGoOn<V>(
  { deferred }: Reads<V>,
  flight: CacheFlight<V>,
  waitUntil: ((work: Promise<unknown>) => void) | undefined,
): void {
  if (flight.keepAlive && waitUntil === undefined) return;
  flight.keepAlive = true;
  if (flight.claim !== undefined) return; // It is the leader's request that has to go on, and that knows.
  deferred.add(flight.promise, 'load', waitUntil);
}
