// Processes that write behind in a simulated world, over one queue that they share, and what their sink makes of it.
import type {
  FaultPlan,
  Operation,
  ProcessParts,
  Recorder,
  simulate,
  Simulated,
  Verdict,
} from '../../src/testing/index.js';
import type { PendingWrite, WriteBehind, WriteQueue } from '../../src/writes/index.js';

/** The parts of the library that run here. */
export interface WritesKit {
  readonly WriteBehind: typeof WriteBehind;
  readonly simulate: typeof simulate;
}

/** A value that its caller goes on using after it was accepted. */
type Value = Map<'version', number>;

/** One write, after a pause of `after` milliseconds. */
interface WriteCommand {
  readonly after: number;
  readonly key: string;
}

export interface WritesCase {
  readonly faults: FaultPlan;
  /** What clients of each process write, one script after the other in time. */
  readonly scripts: readonly { readonly process: string; readonly commands: readonly WriteCommand[] }[];
}

export interface WritersOptions {
  readonly processes: readonly string[];
  /** Alters the queue, for example to plant a fault. */
  readonly queue?: (queue: WriteQueue) => WriteQueue;
  /** How often a delivery fails as a whole, after the sink has taken it. */
  readonly sinkFailure?: number;
}

/** What came of one case. */
export interface WritesFound extends Simulated<void> {
  readonly verdict: Verdict;
}

/** What a sink that remembers ids has taken, in its order. */
interface Taken {
  readonly id: string;
  readonly key: string;
  readonly version: number;
}

/** Who learns of a rejection whether the write may still be delivered. */
type Rejections = Map<number, { readonly unknown: boolean }>;

/** So long the world goes on without faults, until all that can be delivered is. */
const REST = 120_000;

/** Runs `given`, and checks what reached the sink. */
export async function runWrites(
  kit: WritesKit,
  options: WritersOptions,
  given: WritesCase,
  seed: number,
): Promise<WritesFound> {
  const sink = new RememberingSink();
  const rejections: Rejections = new Map();
  const simulated = await kit.simulate({ seed, faults: given.faults }, async (world) => {
    const started = options.processes.map((name) =>
      world.process(name, (parts) => openWrites(kit, options, parts, sink)),
    );
    for (const { process, commands } of given.scripts)
      world.client(
        started.find(({ name }) => name === process)!,
        (ops, writes) => follow(ops, writes, commands, rejections),
      );
    await world.finished();
    world.heal();
    // What is over was closed by its process; what lives on delivers.
    for (const each of started) if (!each.running) world.restart(each);
    await world.sleep(REST);
  });
  const { result, history, time } = simulated;
  return {
    ...{ seed, result, history, time },
    verdict: sink.verdict(history.operations, rejections),
    get trace() {
      return simulated.trace;
    },
  };
}

function openWrites(
  kit: WritesKit,
  { queue = (it) => it, sinkFailure = 0 }: WritersOptions,
  { clock, queue: open }: ProcessParts,
  sink: RememberingSink,
): WriteBehind<Value> {
  return new kit.WriteBehind<Value>({
    clock,
    queue: queue(open('redis')),
    flushEvery: 50,
    ownerWait: '10m',
    retry: { initial: 100, max: '5s' },
    sink: async (batch) => {
      await new Promise<void>((resolve) => void clock.after(1 + clock.random() * 20, resolve));
      sink.take(batch);
      await new Promise<void>((resolve) => void clock.after(1 + clock.random() * 20, resolve));
      if (clock.random() < sinkFailure) throw new Error('No answer of the sink');
    },
  });
}

async function follow(
  ops: Recorder,
  writes: WriteBehind<Value>,
  commands: readonly WriteCommand[],
  rejections: Rejections,
): Promise<void> {
  for (const { after, key } of commands) {
    await ops.sleep(after);
    const version = ops.write(key);
    const value: Value = new Map([['version', version]]);
    const put = async (): Promise<void> => {
      try {
        await writes.put(key, value);
      } catch (error) {
        rejections.set(idOf(key, version), { unknown: (error as { unknown?: boolean }).unknown === true });
        throw error;
      }
    };
    // Not waited for: the next one may overtake it.
    void ops.act('update', key, put, version).then(() => value.set('version', -version));
  }
  await ops.sleep(500);
}

/** Versions are counted for each key. */
function idOf(key: string, version: number): number {
  return version * 100 + key.charCodeAt(0);
}

/** A sink that takes each id once, as a table with a unique column does. */
class RememberingSink {
  readonly #taken: Taken[] = [];
  readonly #ids = new Map<string, number>();
  /** An id that stood for two values. */
  #ambiguous: (Taken & { readonly first: number }) | undefined;

  take(batch: readonly PendingWrite<Value>[]): void {
    for (const { id, key, value } of batch) {
      const version = value?.get('version') ?? 0;
      const first = this.#ids.get(id);
      if (first === undefined) {
        this.#ids.set(id, version);
        this.#taken.push({ id, key, version });
      } else if (first !== version) this.#ambiguous ??= { id, key, version, first };
    }
  }

  /** Nothing that was refused, nothing twice, nothing out of order, and all that was accepted, unless a later one replaced it. */
  verdict(operations: readonly Operation[], rejections: Rejections): Verdict {
    const puts = operations.filter(({ kind }) => kind === 'update');
    const putOf = (key: string, version: number): Operation =>
      puts.find(({ keys, input }) => keys?.[0] === key && input === version) ?? puts[0]!;
    const violation = (key: string, message: string, one: number, other: number): Verdict => ({
      ...{ ok: false, key, message: `Of ${key}: ${message}` },
      events: [putOf(key, one), putOf(key, other)],
    });
    if (this.#ambiguous !== undefined) {
      const { key, version, first } = this.#ambiguous;
      return violation(key, `one id stood for ${first} and for ${version}`, first, version);
    }
    for (const [index, { key, version }] of this.#taken.entries()) {
      if (version < 1) return violation(key, `the sink got ${version}, which nobody has put`, -version, -version);
      if (rejections.get(idOf(key, version))?.unknown === false)
        return violation(key, `the sink got ${version}, which was refused`, version, version);
      const { end = Infinity } = putOf(key, version);
      const later = this.#taken
        .slice(0, index)
        .find((other) => other.key === key && putOf(key, other.version).begin > end);
      if (later !== undefined)
        return violation(key, `the sink got ${version} after ${later.version}`, version, later.version);
    }
    for (const { keys, input, begin, end, error } of puts) {
      const key = keys![0]!;
      if (end === undefined || error !== undefined) continue;
      const isTaken = this.#taken.some(
        ({ key: its, version }) => its === key && (version === input || (putOf(key, version).end ?? Infinity) > begin),
      );
      if (!isTaken)
        return violation(key, `${String(input)} was accepted and never delivered`, input as number, input as number);
    }
    return { ok: true };
  }
}
