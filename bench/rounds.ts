/*
 * Why not mitata: it runs one benchmark to its end before it starts the next.
 * A change in the machine's speed between two of them (another process, a core that clocks down) ends up in their
 * ratio, and ratios are all that this bench is after. Here contestants take turns in short samples, in an order
 * shuffled anew each round, and a ratio is formed within a round before the median is taken over rounds.
 */

/** Named figures of one sample. */
export type Sample = Readonly<Record<string, number>>;

export interface Contestant {
  readonly name: string;
  readonly sample: () => Promise<Sample>;
}

export interface Limits {
  readonly rounds: number;
  /** Milliseconds after which no further round starts. One round is always made. */
  readonly budget: number;
  /** How much garbage is collected before each sample, so that none pays for another's. */
  readonly sweep: 'minor' | 'full';
}

/** Has each of `contestants` make samples for `ms`, at least one, which count for nothing. */
export async function warmUp(contestants: readonly Contestant[], ms: number): Promise<void> {
  for (const { sample } of contestants) {
    const end = performance.now() + ms;
    do await sample();
    while (performance.now() < end);
  }
}

/** Lets `contestants` take turns; the samples of each are in the order of the rounds. */
export async function takeTurns(
  contestants: readonly Contestant[],
  limits: Limits,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map(contestants.map(({ name }): [string, Sample[]] => [name, []]));
  const end = performance.now() + limits.budget;
  for (let round = 0; round < limits.rounds; round++) {
    if (round > 0 && performance.now() > end) break;
    for (const { name, sample } of shuffled(contestants)) {
      await turn();
      sweep(limits.sweep);
      samples.get(name)?.push(await sample());
    }
  }
  return samples;
}

/** The figure `metric` of `name` divided by that of `reference`, round by round. */
export function ratios(
  samples: ReadonlyMap<string, readonly Sample[]>,
  name: string,
  reference: string,
  metric: string,
): number[] {
  const base = figures(samples, reference, metric);
  return figures(samples, name, metric).map((figure, round) => figure / (base[round] as number));
}

export function figures(samples: ReadonlyMap<string, readonly Sample[]>, name: string, metric: string): number[] {
  return (samples.get(name) ?? []).map((sample) => sample[metric] as number);
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** A contestant whose sample is a loop that takes about `ms`; `run` makes `count` operations. The figure is `time`, in ns per operation. */
export async function loopOf(name: string, ms: number, run: (count: number) => unknown): Promise<Contestant> {
  const count = await countFor(ms, run);
  return {
    name,
    async sample() {
      const start = performance.now();
      await run(count);
      return { time: ((performance.now() - start) * 1e6) / count };
    },
  };
}

/** How many operations take about `ms`, found while `run` warms up. */
async function countFor(ms: number, run: (count: number) => unknown): Promise<number> {
  const warm = performance.now() + 8 * ms;
  for (let count = 16; ;) {
    await turn();
    const start = performance.now();
    await run(count);
    const now = performance.now();
    const fitting = Math.max(1, Math.round((count * ms) / (now - start)));
    if (now > warm) return fitting;
    count = Math.min(2 * count, fitting);
  }
}

export function shuffled<T>(items: readonly T[]): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j] as T, order[i] as T];
  }
  return order;
}

/** Resolves in a later turn of the event loop, when all microtasks have run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Collects garbage; run.ts starts its children with `--expose-gc`. */
export function sweep(how: 'minor' | 'full'): void {
  if (globalThis.gc === undefined) throw new Error('Start with `node bench/run.ts`, or pass --expose-gc');
  if (how === 'minor') globalThis.gc({ type: 'minor', execution: 'sync' });
  else globalThis.gc();
}

/** Bytes the program holds on to, typed arrays included. */
export async function bytesHeld(): Promise<number> {
  // What the microtasks of one turn let go of is garbage only in the next.
  for (let i = 0; i < 3; i++) {
    await turn();
    sweep('full');
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
