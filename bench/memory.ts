import type { Candidate } from './candidate.ts';
import { bytes, type Findings, type Question } from './question.ts';
import { bytesHeld, pause } from './rounds.ts';
import { valueOf } from './upstream.ts';

const ENTRIES = 100_000;

export const question: Question = {
  title: 'Memory per entry',
  method:
    '100,000 entries are loaded into a cache of that size. Keys and values are held elsewhere too, so what remains is what the cache itself keeps per entry. Measured after the loads, and again when each entry was read once.',
  variants: ['all'],
  passes: 1,
  bound: 30_000,
  unable: (candidate) => (candidate.can.keeps ? undefined : 'keep values'),
  measure,
  tables: [
    {
      columns: [
        { heading: 'after the loads', variant: 'all', figure: 'loaded', show: bytes, targets: { soloflight: '≤ 170' } },
        { heading: 'after a hit on each', variant: 'all', figure: 'hit', show: bytes },
      ],
    },
  ],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const ids = Array.from({ length: quick ? ENTRIES / 10 : ENTRIES }, (_, i) => `post:${i}`);
  const values = new Map(ids.map((key) => [key, valueOf(key)]));
  const keys = [...values.keys()];
  const load = async (key: string): Promise<ReturnType<typeof valueOf>> => values.get(key) ?? valueOf(key);
  const settings = { ttl: 3_600_000, staleWhileRevalidate: 3_600_000, max: keys.length };

  // Code, and what is made once, is not an entry's.
  await candidate.open(load, { ...settings, max: 10 }).read('warm');
  await pause(50);
  const before = await bytesHeld();
  const opened = candidate.open(load, settings);
  for (const key of keys) await opened.read(key);
  await pause(50);
  const loaded = (await bytesHeld()) - before;
  for (const key of keys) await opened.read(key);
  await pause(50);
  const hit = (await bytesHeld()) - before;
  await opened.close?.();
  return { loaded: [loaded / keys.length], hit: [hit / keys.length] };
}
