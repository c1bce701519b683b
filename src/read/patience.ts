import { CallerTimeoutError, SoloflightError } from '../errors.js';
import { usable } from './held.js';
import type { Ask, CacheFlight, Outcome, Stages } from './stages.js';

/** Milliseconds between two looks at what another request's flight has found. */
const LOOK_AGAIN = 50;

/**
 * `result`, or what a caller gets whose patience ends before the flight does.
 *
 * After `softTimeout` (counted from the start of the flight) that is the stored value, if the caller accepts it; after
 * its own `timeout` the stored value or a `CallerTimeoutError`. The flight goes on either way: its result is wanted.
 */
export function patiently<V>(
  stages: Stages<V>,
  flight: CacheFlight<V>,
  result: Promise<V>,
  ask: Ask<V>,
): Promise<Outcome<V>> {
  const { clock, settings } = stages;
  const softTimeout = ask.read.softTimeout ?? settings.softTimeout;
  const { timeout } = ask.read;
  const outcome = result.then(() => flight.detail.outcome!);
  if (softTimeout === Infinity && timeout === Infinity) return outcome;

  return new Promise((resolve, reject) => {
    const cancels: (() => void)[] = [];
    const rest = (): void => {
      for (const cancel of cancels) cancel();
    };
    const leave = (error: SoloflightError): boolean => {
      const fallback = fallbackFor(stages, flight, ask, error);
      if (fallback === undefined) return false;
      rest();
      letGoOn(stages, flight, ask);
      resolve(fallback);
      return true;
    };
    const soft = (): void => {
      const error = new SoloflightError(
        'SOLOFLIGHT_SOFT_TIMEOUT',
        `The load took longer than \`softTimeout\` (${softTimeout} ms) and goes on in the background`,
        {
          key: flight.key,
        },
      );
      if (leave(error) || flight.detail.loadSince !== undefined) return;
      // Storage may still be looking for something to answer with.
      if (flight.lease === undefined) (flight.detail.impatient ??= []).push(() => void leave(error));
      // The request that leads the flight must not settle this one's promise, so this one looks again.
      else cancels.push(clock.after(LOOK_AGAIN, soft));
    };
    const hard = (): void => {
      const error = new CallerTimeoutError(flight.key, timeout);
      if (leave(error)) return;
      rest();
      letGoOn(stages, flight, ask);
      reject(error);
    };
    outcome.then(
      (landed) => {
        rest();
        resolve(landed);
      },
      (error: unknown) => {
        rest();
        reject(error);
      },
    );
    if (softTimeout < Infinity)
      cancels.push(clock.after(Math.max(0, softTimeout - stages.flights.ageOf(flight)), soft));
    if (timeout < Infinity) cancels.push(clock.after(timeout, hard));
  });
}

function fallbackFor<V>(
  stages: Stages<V>,
  flight: CacheFlight<V>,
  ask: Ask<V>,
  error: unknown,
): Outcome<V> | undefined {
  const { fallback } = flight.detail;
  const entry = fallback === undefined ? undefined : usable(stages, fallback.entry);
  if (fallback === undefined || entry === undefined) return undefined;
  const now = stages.clock.now();
  if (now >= entry.errorUntil || now >= entry.freshUntil + ask.read.maxStale) return undefined;
  return { entry, tier: fallback.tier, status: 'fallback', error, loaded: false, stored: true };
}

/** Keeps `flight` going although a caller left: the next one will want its result. */
function letGoOn<V>(stages: Stages<V>, flight: CacheFlight<V>, ask: Ask<V>): void {
  if (flight.keepAlive && ask.read.waitUntil === undefined) return;
  flight.keepAlive = true;
  if (flight.lease !== undefined) return; // It is the leader's request that has to go on, and that knows.
  stages.deferred.add(flight.promise, 'load', ask.read.waitUntil);
}
