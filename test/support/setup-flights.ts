import { afterEach, expect } from 'vitest';

import { Singleflight, type FlightEvent, type SingleflightOptions } from '../../src/index.js';
import { manualClock, scriptedUpstream, type ManualClock, type ScriptedUpstream } from '../../src/testing/index.js';

/** The parts of one `Singleflight` under test. The test decides when work ends and when time moves. */
export interface Parts {
  readonly flights: Singleflight;
  readonly clock: ManualClock;
  readonly work: ScriptedUpstream<string>;
  /** All events so far. */
  readonly events: FlightEvent[];
}

type Checked = Pick<Parts, 'flights' | 'clock' | 'work'>;

/** Longer than the deadline of every flight that has one. */
const LONG = 100_000_000;

const opened: Checked[] = [];
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

export function setupFlights(options: Partial<SingleflightOptions> = {}): Parts {
  const clock = manualClock();
  const work = scriptedUpstream<string>();
  const events: FlightEvent[] = [];
  const flights = new Singleflight({ clock, onEvent: (event) => events.push(event), ...options });
  opened.push({ flights, clock, work });
  return { flights, clock, work, events };
}

/** Lets all promises that can settle without outside help do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await null;
}

/** Resolves once unhandled rejections have been reported. */
export function turnEnd(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Takes the rejections reported so far, which count as noticed then. */
function takeUnhandled(): unknown[] {
  return unhandled.splice(0);
}

/** Bytes in use after a garbage collection, which vitest.config.ts lets tests run. */
export function heapUsed(): number {
  const collect = (globalThis as { gc?: () => void }).gc;
  if (collect === undefined) throw new Error('Garbage can only be collected with --expose-gc');
  collect();
  return process.memoryUsage().heapUsed;
}

/** The end of each of `promises`, or `'pending'`. */
export async function fates(promises: readonly Promise<unknown>[]): Promise<unknown[]> {
  const found: unknown[] = promises.map(() => 'pending');
  for (const [index, promise] of promises.entries()) {
    promise.then(
      (value) => (found[index] = { value }),
      (error: unknown) => (found[index] = { error }),
    );
  }
  await settle();
  return [...found];
}

/** After every test: the books balance, no flight is left over, and no rejection went unhandled. */
afterEach(async () => {
  for (const { flights, clock, work } of opened.splice(0)) {
    expectBalance(flights);
    work.resolveAll('left over');
    await settle();
    clock.advance(LONG);
    expectBalance(flights);
    expect(flights.getStats()).toMatchObject({ inFlightCount: 0, totalSubscribers: 0, oldestCallAge: null });
    expect(clock.pending).toBe(0);
  }
  await turnEnd();
  expect(takeUnhandled()).toEqual([]);
});

/** Every flight has ended in exactly one way, or is under way. */
function expectBalance(flights: Pick<Singleflight, 'getStats'>): void {
  const { led, joined, succeeded, failed, timedOut, aborted, inFlightCount, coalescingRatio, totalSubscribers } =
    flights.getStats();
  expect(succeeded + failed + timedOut + aborted + inFlightCount).toBe(led);
  expect(coalescingRatio).toBe(led + joined === 0 ? 0 : joined / (led + joined));
  expect(totalSubscribers).toBeGreaterThanOrEqual(0);
}
