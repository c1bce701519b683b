import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Candidate, OpenedWrites, Value, WritesSettings } from './candidate.ts';
import { nanoseconds, ratio, whole, type Findings, type Question } from './question.ts';
import { figures, ratios, takeTurns, warmUp, type Contestant } from './rounds.ts';
import { valueOf } from './upstream.ts';

const KEYS = 1_000;
const WRITES = 100_000;
const BATCH = 500;
/** Callers at once, as requests would be. */
const CALLERS = 1_000;

export const question: Question = {
  title: 'Writes behind',
  method: `Accepting: \`put\` is awaited ${whole(WRITES)} times, over ${whole(KEYS)} keys in turn or each time with a new one, and kept in memory; the measure is \`Map.set\` and an awaited promise. Delivering: the same ${whole(WRITES)} writes over ${whole(KEYS)} keys, then a flush; at most ${BATCH} per batch. Durable: ${whole(CALLERS)} callers at once put new keys into a SQLite file with full synchronisation, again and again; more is better.`,
  variants: ['known', 'new', 'delivered', 'durable'],
  passes: 2,
  bound: 30_000,
  unable: (candidate) => (candidate.openWrites ? undefined : 'take writes'),
  measure,
  tables: [
    {
      caption: 'Accepting',
      columns: [
        { heading: 'known keys', variant: 'known', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 3' } },
        { heading: 'per put', variant: 'known', figure: 'time', show: nanoseconds },
        { heading: 'new keys', variant: 'new', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 3' } },
        { heading: 'per put', variant: 'new', figure: 'time', show: nanoseconds },
      ],
    },
    {
      caption: 'Delivering, and keeping',
      columns: [
        {
          heading: 'writes the sink sees',
          variant: 'delivered',
          figure: 'writes',
          show: whole,
          targets: { soloflight: '≤ 1,000' },
        },
        { heading: 'batches', variant: 'delivered', figure: 'batches', show: whole, targets: { soloflight: '2' } },
        {
          heading: 'durable writes per second',
          variant: 'durable',
          figure: 'perSecond',
          show: whole,
          targets: { soloflight: '≥ 20,000' },
        },
      ],
    },
  ],
};

type Open = (settings: WritesSettings, sink?: (keys: readonly string[]) => void) => OpenedWrites;

async function measure({ openWrites }: Candidate, variant: string, quick: boolean): Promise<Findings> {
  if (openWrites === undefined) return {};
  const open: Open = (settings, sink = () => {}) => openWrites(sink, settings);
  if (variant === 'delivered') return countDelivered(open, quick);
  if (variant === 'durable') return countDurable(open, quick);

  const count = quick ? WRITES / 10 : WRITES;
  const keys = Array.from({ length: variant === 'known' ? KEYS : count }, (_, i) => `post:${i}`);
  const values = keys.map(valueOf);
  const contestants = [mapContestant(keys, values, count), putContestant(open, keys, values, count)];
  await warmUp(contestants, quick ? 0 : 300);
  const samples = await takeTurns(contestants, { rounds: quick ? 2 : 20, budget: 4_000, sweep: 'full' });
  return { ratio: ratios(samples, 'put', 'map', 'time'), time: figures(samples, 'put', 'time') };
}

function mapContestant(keys: readonly string[], values: readonly Value[], count: number): Contestant {
  return {
    name: 'map',
    async sample() {
      const map = new Map<string, Value>();
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        map.set(keys[i % keys.length] as string, values[i % keys.length] as Value);
        await Promise.resolve();
      }
      return { time: ((performance.now() - start) * 1e6) / count };
    },
  };
}

function putContestant(open: Open, keys: readonly string[], values: readonly Value[], count: number): Contestant {
  const kept = open({ maxBatch: Infinity });
  return {
    name: 'put',
    async sample() {
      // One is always pending: when the last object of a kind dies, V8 throws away the code made for it.
      await kept.put('kept', values[0] as Value);
      const writes = open({ maxBatch: Infinity });
      const start = performance.now();
      for (let i = 0; i < count; i++)
        await writes.put(keys[i % keys.length] as string, values[i % keys.length] as Value);
      const time = ((performance.now() - start) * 1e6) / count;
      await writes.close();
      return { time };
    },
  };
}

async function countDelivered(open: Open, quick: boolean): Promise<Findings> {
  const batches: number[] = [];
  const writes = open({ maxBatch: BATCH }, (keys) => {
    batches.push(keys.length);
  });
  const count = quick ? WRITES / 10 : WRITES;
  for (let i = 0; i < count; i++) await writes.put(`post:${i % KEYS}`, valueOf(`${i}`));
  await writes.flush();
  await writes.close();
  return { batches: [batches.length], writes: [batches.reduce((sum, size) => sum + size, 0)] };
}

async function countDurable(open: Open, quick: boolean): Promise<Findings> {
  const perSecond: number[] = [];
  for (let sample = 0; sample < (quick ? 1 : 5); sample++) {
    const directory = mkdtempSync(join(tmpdir(), 'soloflight-bench-'));
    const writes = open({ maxBatch: Infinity, file: join(directory, 'writes.db') });
    await writes.put('first', valueOf('first'));
    const rounds = quick ? 5 : 50;
    const start = performance.now();
    for (let round = 0; round < rounds; round++)
      await Promise.all(Array.from({ length: CALLERS }, (_, i) => writes.put(`${round}:${i}`, valueOf(`${i}`))));
    perSecond.push((rounds * CALLERS * 1_000) / (performance.now() - start));
    await writes.close();
    rmSync(directory, { recursive: true });
  }
  return { perSecond };
}
