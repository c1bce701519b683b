import type { Candidate, Load, Opened } from './candidate.ts';
import { ownLoops } from './own-copies.ts';
import { microseconds, ratio, whole, type Findings, type Question } from './question.ts';
import { pause, sweep, turn } from './rounds.ts';
import { valueOf, zipf } from './upstream.ts';

const KEYS = 500;
const TTL = 1_000;
const LOAD_TAKES = 20;
const READS_PER_MS = 50;
const LASTS = 2_400;

export const question: Question = {
  title: 'Expiry storm',
  method: `${KEYS} keys, loaded at the same moment with a ttl of ${TTL / 1_000} s and no stale window, so that all outlive it together; ${whole(READS_PER_MS * 1_000)} reads a second, Zipf 0.99, for ${LASTS / 1_000} s; a load takes ${LOAD_TAKES} ms. Loads are compared with those of an ideal cache fed the same reads at the same instants, CPU is that of the whole process, load generator included.`,
  variants: ['all'],
  passes: 1,
  bound: 20_000,
  unable: (candidate) => (candidate.can.expires ? undefined : 'expire values'),
  measure,
  tables: [
    {
      columns: [
        { heading: 'loads × ideal', variant: 'all', figure: 'calls', show: ratio, targets: { soloflight: '1.00' } },
        { heading: 'CPU per request', variant: 'all', figure: 'cpu', show: microseconds },
        {
          heading: 'CPU beyond the load generator alone',
          variant: 'all',
          figure: 'beyond',
          show: microseconds,
          targets: { soloflight: '≤ 3.30' },
        },
      ],
    },
  ],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const keys = Array.from({ length: KEYS }, (_, i) => `post:${i}`);
  const reads = zipf(keys, 2 ** 16);

  const idle = Promise.resolve(valueOf('idle'));
  const generator = await storm('generator', () => idle, reads, quick ? 100 : 700);

  let calls = 0;
  const load: Load = async (key) => {
    calls++;
    await pause(LOAD_TAKES);
    return valueOf(key);
  };
  const { read } = candidate.open(load, { ttl: TTL, staleWhileRevalidate: 0, max: 2 * KEYS });
  const ideal = idealCache();
  for (const key of keys) ideal.read(key, performance.now());
  await Promise.all(keys.map(async (key) => read(key)));
  calls = 0;
  ideal.calls = 0;
  const own = await storm('candidate', read, reads, quick ? 1_500 : LASTS);
  for (const { at, from, to } of own.trace)
    for (let i = from; i < to; i++) ideal.read(reads[i % reads.length] as string, at);
  return { calls: [calls / ideal.calls], cpu: [own.cpu], beyond: [own.cpu - generator.cpu] };
}

interface Storm {
  /** Microseconds per read. */
  readonly cpu: number;
  /** Which reads were made when. */
  readonly trace: readonly { readonly at: number; readonly from: number; readonly to: number }[];
}

/** Steady reads for `lasts` milliseconds. */
async function storm(owner: string, read: Opened['read'], reads: readonly string[], lasts: number): Promise<Storm> {
  const { request } = await ownLoops(owner);
  const trace: Storm['trace'][number][] = [];
  await turn();
  sweep('full');
  const cpu = process.cpuUsage();
  const start = performance.now();
  let made = 0;
  for (let at = start; at - start < lasts; at = performance.now()) {
    const due = Math.floor((at - start) * READS_PER_MS);
    request(read, reads, made, due);
    trace.push({ at, from: made, to: due });
    made = due;
    await pause(1);
  }
  const { user, system } = process.cpuUsage(cpu);
  return { cpu: (user + system) / made, trace };
}

/** One load per key and expiry, joined by all readers while it lasts. */
function idealCache(): { calls: number; read: (key: string, at: number) => void } {
  const freshUntil = new Map<string, number>();
  const ideal = {
    calls: 0,
    read(key: string, at: number) {
      if (at < (freshUntil.get(key) ?? -Infinity)) return;
      ideal.calls++;
      freshUntil.set(key, at + LOAD_TAKES + TTL);
    },
  };
  return ideal;
}
