import type { Candidate, Value } from './candidate.ts';
import { ownLoops } from './own-copies.ts';
import { microseconds, ratio, type Findings, type Question } from './question.ts';
import { figures, loopOf, ratios, takeTurns } from './rounds.ts';
import { valueOf } from './upstream.ts';

const KEYS = 1_000;

export const question: Question = {
  title: 'A thousand keys in one call',
  method:
    'One caller awaits the values of 1,000 keys, all of which memory holds. The measure is 1,000 `Map.get`s into an array, and one promise of it.',
  variants: ['thousand'],
  passes: 2,
  bound: 20_000,
  unable: (candidate) => (candidate.can.readsMany ? undefined : 'read several keys in one call'),
  measure,
  tables: [
    {
      columns: [
        {
          heading: '× `Map.get`',
          variant: 'thousand',
          figure: 'ratio',
          show: ratio,
          targets: { soloflight: '≤ 1.50' },
        },
        { heading: 'time', variant: 'thousand', figure: 'time', show: microseconds },
      ],
    },
  ],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const keys = Array.from({ length: KEYS }, (_, i) => `post:${i}`);
  const values = new Map<string, Value>(keys.map((key) => [key, valueOf(key)]));
  const opened = candidate.open(async (key) => valueOf(key), {
    ttl: 3_600_000,
    staleWhileRevalidate: 0,
    max: 2 * KEYS,
  });
  const { readMany } = opened;
  if (readMany === undefined) return {};
  for (const key of keys) await opened.read(key);
  const found = await readMany(keys);
  if (found.some((value, index) => (value as Value | undefined)?.id !== keys[index]))
    throw new Error('Not the values of the keys');

  const ms = quick ? 1 : 10;
  const loops = { reference: await ownLoops('reference'), candidate: await ownLoops('candidate') };
  const contestants = [
    await loopOf('reference', ms, (count) => loops.reference.readManyInTurn(mapped(values), keys, count)),
    await loopOf('candidate', ms, (count) => loops.candidate.readManyInTurn(readMany, keys, count)),
  ];
  const samples = await takeTurns(contestants, { rounds: quick ? 3 : 12, budget: 2_000, sweep: 'minor' });
  await opened.close?.();
  return {
    ratio: ratios(samples, 'candidate', 'reference', 'time'),
    time: figures(samples, 'candidate', 'time').map((time) => time / 1_000),
  };
}

function mapped(values: ReadonlyMap<string, Value>): (keys: readonly string[]) => Promise<readonly unknown[]> {
  return (keys) => {
    const found: unknown[] = [];
    for (const key of keys) found.push(values.get(key));
    return Promise.resolve(found);
  };
}
