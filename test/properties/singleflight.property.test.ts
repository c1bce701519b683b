import { describe, expect, test } from 'vitest';

import { FlightTimeoutError, Singleflight, SoloflightError, type FlightEvent } from '../../src/index.js';
import { manualClock, scriptedUpstream } from '../../src/testing/index.js';
import { fc, runs } from '../support/property.js';

const MAX_DURATION = 50;
const KEYS = ['a', 'b', '__proto__'] as const;
const SIGNALS = 3;

type Command =
  | { readonly do: 'execute'; readonly key: string; readonly signal: number | undefined; readonly keepAlive: boolean }
  | { readonly do: 'resolve' | 'reject'; readonly run: number }
  | { readonly do: 'abort'; readonly signal: number }
  | { readonly do: 'forget'; readonly key: string }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'toggle' | 'clear' };

const key = fc.constantFrom(...KEYS);
const run = fc.nat({ max: 9 });
const signal = fc.nat({ max: SIGNALS - 1 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('execute' as const),
      key,
      signal: fc.option(signal, { nil: undefined }),
      keepAlive: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('resolve' as const, 'reject' as const), run }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('abort' as const), signal }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: MAX_DURATION }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('toggle' as const, 'clear' as const) }) },
);
const limit = fc.constantFrom(1, 2, 3, Infinity);

/** What a caller sees: a value, an error, the code of one of ours, or nothing yet. */
type Fate = string;

interface ModelFlight {
  readonly key: string;
  readonly since: number;
  readonly waiting: { readonly caller: number; readonly signal: number | undefined }[];
  keepAlive: boolean;
  ended: boolean;
  told: Fate | undefined;
}

/** The rules, written down as plainly as can be: lists that are searched, nothing shared, nothing fast. */
class Model {
  readonly fates: Fate[] = [];
  readonly runs: ModelFlight[] = [];
  readonly joinable: (ModelFlight | undefined)[] = KEYS.map(() => undefined);
  readonly aborted: boolean[] = Array.from({ length: SIGNALS }, () => false);
  readonly totals = { led: 0, joined: 0, succeeded: 0, failed: 0, timedOut: 0, aborted: 0, rejected: 0 };
  coalesce = true;
  now = 0;
  readonly #maxSubscribers: number;
  readonly #maxFlights: number;

  constructor(maxSubscribers: number, maxFlights: number) {
    this.#maxSubscribers = maxSubscribers;
    this.#maxFlights = maxFlights;
  }

  live(): ModelFlight[] {
    return this.runs.filter(({ ended }) => !ended);
  }

  find(own: string): ModelFlight | undefined {
    return this.coalesce ? this.joinable[KEYS.indexOf(own as 'a')] : undefined;
  }

  execute(own: string, through: number | undefined, keepAlive: boolean): void {
    const caller = this.fates.length;
    if (through !== undefined && this.aborted[through] === true) return void this.fates.push(`aborted ${through}`);
    let flight = this.find(own);
    if (flight !== undefined && flight.waiting.length >= this.#maxSubscribers)
      return this.#refuse('SOLOFLIGHT_TOO_MANY_SUBSCRIBERS');
    if (flight === undefined && this.live().length >= this.#maxFlights)
      return this.#refuse('SOLOFLIGHT_TOO_MANY_FLIGHTS');
    if (flight === undefined) {
      flight = { key: own, since: this.now, waiting: [], keepAlive: false, ended: false, told: undefined };
      this.runs.push(flight);
      if (this.coalesce) this.joinable[KEYS.indexOf(own as 'a')] = flight;
      this.totals.led += 1;
    } else this.totals.joined += 1;
    if (keepAlive) flight.keepAlive = true;
    flight.waiting.push({ caller, signal: through });
    this.fates.push('waits');
  }

  end(flight: ModelFlight, how: 'succeeded' | 'failed' | 'timedOut' | 'aborted', fate: Fate): void {
    if (flight.ended) return;
    flight.ended = true;
    this.totals[how] += 1;
    for (const { caller } of flight.waiting) this.fates[caller] = fate;
    flight.waiting.length = 0;
    if (how === 'timedOut' || how === 'aborted') flight.told = fate;
    this.joinable.forEach((other, index) => {
      if (other === flight) this.joinable[index] = undefined;
    });
  }

  abort(through: number): void {
    if (this.aborted[through] === true) return;
    this.aborted[through] = true;
    for (const flight of this.live()) {
      const leave = flight.waiting.filter(({ signal: own }) => own === through);
      for (const { caller } of leave) this.fates[caller] = `aborted ${through}`;
      const stay = flight.waiting.filter((subscriber) => !leave.includes(subscriber));
      flight.waiting.splice(0, Infinity, ...stay);
      if (leave.length > 0 && stay.length === 0 && !flight.keepAlive) this.end(flight, 'aborted', `aborted ${through}`);
    }
  }

  advance(ms: number): void {
    this.now += ms;
    for (const flight of this.live())
      if (this.now - flight.since >= MAX_DURATION) this.end(flight, 'timedOut', 'SOLOFLIGHT_FLIGHT_TIMEOUT');
  }

  forget(own: string): boolean {
    const index = KEYS.indexOf(own as 'a');
    const known = this.joinable[index] !== undefined;
    this.joinable[index] = undefined;
    return known;
  }

  stats(): object {
    const live = this.live();
    const { led, joined } = this.totals;
    return {
      ...this.totals,
      inFlightCount: live.length,
      totalSubscribers: live.reduce((sum, { waiting }) => sum + waiting.length, 0),
      oldestCallAge: live.length === 0 ? null : this.now - Math.min(...live.map(({ since }) => since)),
      coalescingRatio: led + joined === 0 ? 0 : joined / (led + joined),
    };
  }

  #refuse(code: string): void {
    this.totals.rejected += 1;
    this.fates.push(code);
  }
}

describe('Singleflight', () => {
  test('does what the rules say, whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 60 }),
        limit,
        limit,
        async (commands, maxSubscribers, maxFlights) => {
          const model = new Model(maxSubscribers, maxFlights);
          const events: FlightEvent[] = [];
          const clock = manualClock();
          const flights = new Singleflight({
            ...{ clock, maxSubscribers, maxFlights, maxDuration: MAX_DURATION, coalesce: () => model.coalesce },
            onEvent: (event) => events.push(event),
          });
          const work = scriptedUpstream<string>();
          const controllers = Array.from({ length: SIGNALS }, () => new AbortController());
          const fates: Fate[] = [];
          const perform = (step: Command): void => {
            if (step.do === 'execute') {
              const caller = fates.length;
              fates.push('waits');
              const options = {
                keepAlive: step.keepAlive,
                ...(step.signal === undefined ? {} : { signal: controllers[step.signal]!.signal }),
              };
              flights.execute(step.key, work, options).then(
                (value) => (fates[caller] = value),
                (error: unknown) => (fates[caller] = error instanceof SoloflightError ? error.code : String(error)),
              );
              model.execute(step.key, step.signal, step.keepAlive);
            } else if (step.do === 'resolve' || step.do === 'reject') {
              const call = work.calls[step.run];
              if (call === undefined || call.settled) return;
              call[step.do](`${step.do} ${step.run}`);
              model.end(
                model.runs[step.run]!,
                step.do === 'resolve' ? 'succeeded' : 'failed',
                `${step.do} ${step.run}`,
              );
            } else if (step.do === 'abort') {
              controllers[step.signal]!.abort(`aborted ${step.signal}`);
              model.abort(step.signal);
            } else if (step.do === 'advance') {
              clock.advance(step.ms);
              model.advance(step.ms);
            } else if (step.do === 'forget') expect(flights.forget(step.key)).toBe(model.forget(step.key));
            else if (step.do === 'toggle') model.coalesce = !model.coalesce;
            else {
              flights.clear();
              for (const own of KEYS) model.forget(own);
            }
          };

          for (const step of [...commands, { do: 'advance', ms: MAX_DURATION } as const]) {
            perform(step);
            for (let turn = 0; turn < 6; turn += 1) await null;

            expect(fates).toEqual(model.fates);
            expect(flights.getStats()).toEqual(model.stats());
            expect(KEYS.map((own) => flights.has(own))).toEqual(KEYS.map((own) => model.find(own) !== undefined));
            expect(work.calls.map(({ key: own }) => own)).toEqual(model.runs.map(({ key: own }) => own));
            expect(work.calls.map(({ signal: own }) => tellOf(own))).toEqual(model.runs.map(({ told }) => told));
          }

          expect(fates).not.toContain('waits');
          expect(flights.getStats()).toMatchObject({ inFlightCount: 0, totalSubscribers: 0, oldestCallAge: null });
          expect(tally(events)).toEqual(model.totals);
          clock.advance(MAX_DURATION);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: runs(500) },
    );
  });
});

/** What work was told by its signal. */
function tellOf({ aborted, reason }: AbortSignal): Fate | undefined {
  if (!aborted) return undefined;
  return reason instanceof FlightTimeoutError ? reason.code : String(reason);
}

/** The totals once more, as a listener would count them. */
function tally(events: readonly FlightEvent[]): Model['totals'] {
  const totals = { led: 0, joined: 0, succeeded: 0, failed: 0, timedOut: 0, aborted: 0, rejected: 0 };
  const names = { lead: 'led', join: 'joined', timeout: 'timedOut', abort: 'aborted', reject: 'rejected' } as const;
  for (const event of events) {
    if (event.type === 'settle') totals[event.outcome] += 1;
    else if (event.type !== 'forget') totals[names[event.type]] += 1;
  }
  return totals;
}
