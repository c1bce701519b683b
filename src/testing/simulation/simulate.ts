import { settled } from './events.js';
import type { FaultPlan } from './faults.js';
import type { History } from './history.js';
import { SimulatedWorld } from './simulated-world.js';
import type { World } from './world.js';

/** Options of {@link simulate}. */
export interface SimulateOptions {
  /** Decides all chance in the world: the same seed gives the same trace, byte for byte. */
  readonly seed: number;
  /** @default none: short latencies and nothing else */
  readonly faults?: FaultPlan;
  /** Events after which the world is taken for one that never ends. @default 1_000_000 */
  readonly maxEvents?: number;
}

/** What came of a simulation. */
export interface Simulated<R> {
  readonly seed: number;
  readonly result: R;
  readonly history: History;
  /** One line per event, one column per process. */
  readonly trace: string;
  /** Milliseconds that passed in the world. */
  readonly time: number;
}

/**
 * Runs real code in a simulated world: several processes, their clocks, a network, storages, a backplane and a source.
 *
 * A pure function of its input, as long as the code in the world takes time and chance from its clock alone. Nothing in it
 * takes real time. Works where `setImmediate` exists, and not under fake timers.
 *
 * @throws Error if `run` waits for something that never happens, and what `run` or a client's script throws.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 * import { checkFreshness, simulate } from 'soloflight/testing';
 *
 * const { history } = await simulate({ seed: 4711 }, async (world) => {
 *   const a = world.process('a', ({ clock, storage, upstream }) =>
 *     new TieredCache<number>({ ttl: '1m', clock, storage: storage('redis'), upstream: upstream() }));
 *   world.client(a, async (ops, cache) => void (await ops.read('k', async () => ({ version: await cache.get('k') }))));
 *   await world.finished();
 * });
 * console.log(checkFreshness(history).ok); // true
 * ```
 */
export async function simulate<R>(options: SimulateOptions, run: (world: World) => Promise<R>): Promise<Simulated<R>> {
  const { seed, faults = {}, maxEvents = 1_000_000 } = options;
  const world = new SimulatedWorld(seed, faults);
  const running = { over: false };
  const end = (): void => void (running.over = true);
  const result = run(world);
  result.then(end, end);
  await settled();
  for (let events = 0; !running.over; events += 1) {
    if (events === maxEvents)
      throw new Error(`More than ${maxEvents} events: does something repeat for ever?\n${world.trace}`);
    if (!world.step()) throw new Error(`The world stands still, and the script still waits\n${world.trace}`);
    await settled();
  }
  const { history, time } = world;
  return {
    seed,
    result: await result,
    history,
    time,
    get trace() {
      return world.trace;
    },
  };
}
