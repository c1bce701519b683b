// Faults planted from outside into writes behind: the simulator must find each of them.
import type { FaultEvent, FaultPlan } from '../../src/testing/index.js';
import type { WriteQueue } from '../../src/writes/index.js';
import type { Chance } from './chance.ts';
import {
  runWrites,
  type WritersOptions,
  type WritesCase,
  type WritesFound,
  type WritesKit,
} from './simulation-writes.ts';

/** A situation that holds as it is, and what breaks it. */
export interface PlantedWriteFault {
  readonly name: string;
  /** Rules of the promises that are at stake. */
  readonly rules: string;
  /** Of the first 300 seeds, some that show it where it is planted. */
  readonly seeds: readonly number[];
  readonly writers: WritersOptions;
  readonly make: (chance: Chance) => WritesCase;
  /** `writers` with the fault. */
  readonly plant: (writers: WritersOptions) => WritersOptions;
  /** Breaks what the processes run in, until the returned function is called. */
  readonly sabotage?: () => () => void;
}

/** Runs the case that `chance` makes of `fault`, with it or without. */
export async function runPlantedWrites(
  kit: WritesKit,
  fault: PlantedWriteFault,
  chance: Chance,
  planted: boolean,
): Promise<WritesFound> {
  const restore = planted ? fault.sabotage?.() : undefined;
  try {
    const writers = planted ? fault.plant(fault.writers) : fault.writers;
    return await runWrites(kit, writers, fault.make(chance), chance.seed);
  } finally {
    restore?.();
  }
}

/** Puts of one client, some of them in the same instant. */
function puts(chance: Chance, process: string, count: number, pause: number): WritesCase['scripts'][number] {
  const commands = Array.from({ length: count }, () => ({ after: chance.below(pause), key: chance.oneOf(['k', 'l']) }));
  return { process, commands };
}

/** A queue that answers for what it has refused as if it had forgotten it, and has not. */
function unforgetting(queue: WriteQueue): WriteQueue {
  const failed = new Set<string>();
  const watched = <T extends Pick<WriteQueue, 'put' | 'remove'>>(changes: T): T => ({
    ...changes,
    put: async (writes) => {
      try {
        await changes.put(writes);
      } catch (error) {
        for (const { id } of writes) failed.add(id);
        throw error;
      }
    },
    remove: (ids) => changes.remove(ids.filter((id) => !failed.has(id))),
  });
  const own: WriteQueue['own'] = async (...asked) => {
    const ownership = await queue.own!(...asked);
    return ownership && watched(ownership);
  };
  return { ...watched(queue), own };
}

/** A queue that everybody may change at any time. */
function ownerless(queue: WriteQueue): WriteQueue {
  return {
    name: queue.name,
    load: () => queue.load(),
    put: (writes) => queue.put(writes),
    remove: (ids) => queue.remove(ids),
    listDead: () => queue.listDead(),
  };
}

const LOSSY: FaultPlan = { requestLoss: 0.05, replyLoss: 0.15 };

export const PLANTED_WRITE_FAULTS: readonly PlantedWriteFault[] = [
  {
    name: 'a refused write that stays in the queue',
    rules: '15.2 (C15)',
    seeds: [2, 4, 6],
    writers: { processes: ['a'] },
    make: (chance) => ({
      faults: { ...LOSSY, events: [{ at: 200 + chance.below(300), fault: 'restart', process: 'a' }] },
      scripts: [puts(chance, 'a', 12, 60)],
    }),
    plant: (writers) => ({ ...writers, queue: unforgetting }),
  },
  {
    name: 'a queue with two owners at a time',
    rules: '15.1 (C16)',
    seeds: [1, 2, 5],
    writers: { processes: ['a', 'b'], sinkFailure: 0.2 },
    // A rolling restart: the next one begins while the former one still writes.
    make: (chance) => {
      const [first, second] = [puts(chance, 'a', 10, 40), puts(chance, 'b', 10, 40)];
      const crash: FaultEvent = { at: 200 + chance.below(200), fault: 'crash', process: 'a' };
      return { faults: { events: [crash] }, scripts: [first, second] };
    },
    plant: (writers) => ({ ...writers, queue: ownerless }),
  },
  {
    name: 'a value that stays its caller’s after it was accepted',
    rules: '14.3 (C17)',
    seeds: [1, 2, 3],
    writers: { processes: ['a'], sinkFailure: 0.2 },
    make: (chance) => ({ faults: {}, scripts: [puts(chance, 'a', 6, 80)] }),
    plant: (writers) => writers,
    // Values are maps, which are copied by it.
    sabotage: () => {
      const own = globalThis.structuredClone;
      globalThis.structuredClone = <T>(value: T): T => value;
      return () => void (globalThis.structuredClone = own);
    },
  },
];
