// A fleet of caches in a simulated world, driven by commands that are plain data: what fast-check makes, or a seed.
import type { TieredCache, TieredCacheOptions } from '../../src/index.js';
import type {
  FaultPlan,
  FreshnessOptions,
  ProcessParts,
  Recorder,
  Simulated,
  SimProcess,
  simulate,
  StorageOptions,
  Verdict,
  World,
  checkFreshness,
} from '../../src/testing/index.js';
import type { Chance } from './chance.ts';

/** The parts of the library that run here: from its source in tests, from its build in programs. */
export interface Kit {
  readonly TieredCache: typeof TieredCache;
  readonly simulate: typeof simulate;
  readonly checkFreshness: typeof checkFreshness;
}

/** One thing that a client does, after a pause of `after` milliseconds. */
export interface Command {
  readonly after: number;
  /** All but `get`, `getFresh` and `refresh` write to the source first; `renew` then refreshes, `write` does nothing more. */
  readonly do:
    | 'get'
    | 'getFresh'
    | 'refresh'
    | 'renew'
    | 'write'
    | 'change'
    | 'changeMany'
    | 'set'
    | 'expire'
    | 'tags'
    | 'clear';
  readonly key: string;
}

/** The commands of one client, and where it lives. */
export interface Script {
  readonly process: string;
  readonly commands: readonly Command[];
}

/** What is simulated: caches, clients and faults. All of it is data, but for what is planted. */
export interface Case {
  readonly faults: FaultPlan;
  readonly scripts: readonly Script[];
}

type Store = 'redis' | 'sqlite';

/** How the caches of a fleet are made. */
export interface FleetOptions {
  readonly processes: readonly string[];
  /** Nearest first where there are several. */
  readonly storage?: Store | readonly Store[];
  readonly storageOptions?: (parts: ProcessParts) => StorageOptions;
  readonly backplane?: boolean | ((parts: ProcessParts) => ReturnType<ProcessParts['backplane']>);
  readonly cache?: Partial<TieredCacheOptions<number>> | (() => Partial<TieredCacheOptions<number>>);
  /** Namespace that the clients live in. @default none */
  readonly namespace?: string;
  readonly freshness?: FreshnessOptions;
  /** Milliseconds for which the world goes on after the last command. */
  readonly rest?: number;
}

/** What came of one case. */
export interface Found extends Simulated<void> {
  readonly verdict: Verdict;
}

/** Runs `given` in a fleet made by `options`, and checks what its clients saw. */
export async function runCase(kit: Kit, options: FleetOptions, given: Case, seed: number): Promise<Found> {
  const simulated = await kit.simulate({ seed, faults: given.faults }, async (world) => {
    const fleet = new Map(options.processes.map((name) => [name, startCache(kit, world, name, options)]));
    for (const { process, commands } of given.scripts)
      world.client(fleet.get(process)!, (ops, cache) => follow(ops, cache, commands));
    await world.finished();
    await world.sleep(options.rest ?? 0);
  });
  const { result, history, time } = simulated;
  return {
    seed,
    result,
    history,
    time,
    verdict: kit.checkFreshness(simulated.history, options.freshness),
    // Made only for those that want to see it.
    get trace() {
      return simulated.trace;
    },
  };
}

function startCache(
  kit: Kit,
  world: World,
  name: string,
  { storage = [], storageOptions, backplane = true, cache, namespace }: FleetOptions,
): SimProcess<TieredCache<number>> {
  return world.process(name, (parts) => {
    const peers = typeof backplane === 'function' ? backplane(parts) : backplane ? parts.backplane() : undefined;
    const stores = typeof storage === 'string' ? [storage] : storage;
    const whole = new kit.TieredCache<number>({
      ttl: '10m',
      tags: (_, key) => [`tag ${key}`],
      ...(typeof cache === 'function' ? cache() : cache),
      clock: parts.clock,
      upstream: parts.upstream(),
      ...(stores.length > 0 && { storage: stores.map((store) => parts.storage(store, storageOptions?.(parts))) }),
      ...(peers !== undefined && { backplane: peers }),
    });
    return namespace === undefined ? whole : whole.namespace(namespace);
  });
}

async function follow(ops: Recorder, cache: TieredCache<number>, commands: readonly Command[]): Promise<void> {
  for (const command of commands) {
    await ops.sleep(command.after);
    await obey(ops, cache, command);
  }
}

/** A change goes to the source first, and then to the cache, in the same instant. */
async function obey(ops: Recorder, cache: TieredCache<number>, { do: verb, key }: Command): Promise<void> {
  const reading = async (maxStale?: number): Promise<Reading> => {
    const { value, status, tier } = await cache.lookup(key, maxStale === undefined ? undefined : { maxStale });
    return { version: value, status, tier };
  };
  switch (verb) {
    case 'get':
      return void (await ops.read(key, () => reading()));
    case 'getFresh':
      return void (await ops.read(key, () => reading(0)));
    case 'write':
      ops.write(key);
      return;
    case 'renew':
      ops.write(key);
      return void (await ops.read(key, async () => ({ version: await cache.refresh(key) }), 'refresh'));
    case 'refresh':
      return void (await ops.read(key, async () => ({ version: await cache.refresh(key) }), 'refresh'));
    case 'change':
      ops.write(key);
      return void (await ops.act('invalidate', key, () => cache.invalidate(key)));
    case 'changeMany': {
      ops.write(key);
      const keys = [key, ...manyKeys];
      return void (await ops.act('invalidate', keys, () => cache.invalidate(keys)));
    }
    case 'set': {
      const version = ops.write(key);
      await ops.act('set', key, () => cache.set(key, version), version);
      return;
    }
    case 'expire':
      ops.write(key);
      await ops.act('expire', key, () => cache.expire(key));
      return;
    case 'tags':
      ops.write(key);
      await ops.act('tags', key, () => cache.invalidateTags(`tag ${key}`));
      return;
    case 'clear':
      ops.write(key);
      await ops.act('clear', undefined, () => cache.clear());
      return;
  }
}

const manyKeys = Array.from({ length: 25_000 }, (_, index) => `many ${index}`);

type Reading = Parameters<Recorder['read']>[1] extends () => PromiseLike<infer R> ? R : never;

/** What a random script is made of. */
export interface ScriptOptions {
  readonly processes: readonly string[];
  readonly keys?: readonly string[];
  readonly verbs: readonly Command['do'][];
  readonly clients?: number;
  readonly commands?: number;
  /** The longest pause between two commands. */
  readonly pause?: number;
}

/** Scripts of clients that are spread over the processes. */
export function randomScripts(chance: Chance, options: ScriptOptions): Script[] {
  const { processes, keys = ['k'], verbs, clients = processes.length, commands = 12, pause = 30 } = options;
  return Array.from({ length: clients }, (_, index) => ({
    process: processes[index % processes.length]!,
    commands: Array.from({ length: commands }, () => ({
      after: chance.below(pause),
      do: chance.oneOf(verbs),
      key: chance.oneOf(keys),
    })),
  }));
}

/** What a violation is reported as: how to repeat it, what clients did, and what contradicts what. */
export function reportOf({ seed, verdict }: Found, { faults, scripts }: Case): string {
  if (verdict.ok) return `Seed ${seed}: no violation`;
  const clients = scripts.map(
    ({ process, commands }) =>
      `  in ${process}: ${commands.map(({ after, do: verb, key }) => `+${after} ${verb} ${key}`).join(', ') || 'nothing'}`,
  );
  return [`Seed ${seed}. ${verdict.message}`, `Faults: ${JSON.stringify(faults)}`, 'Clients:', ...clients].join('\n');
}
