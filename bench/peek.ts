import type { Candidate, Value } from './candidate.ts';
import { ownLoops, ownLruCache } from './own-copies.ts';
import { nanoseconds, ratio, type Findings, type Question } from './question.ts';
import { figures, loopOf, ratios, takeTurns } from './rounds.ts';
import { valueOf } from './upstream.ts';

const KEY = 'post:42';

export const question: Question = {
  title: 'Synchronous read of memory',
  method:
    'A value that memory holds is read without a promise. The measure is `await lru.get(key)` on a raw `lru-cache`, as above.',
  variants: ['hot'],
  passes: 2,
  bound: 20_000,
  unable: (candidate) => (candidate.can.peeks ? undefined : 'read memory synchronously'),
  measure,
  tables: [
    {
      columns: [
        { heading: 'hot key', variant: 'hot', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 0.35' } },
        { heading: 'time', variant: 'hot', figure: 'time', show: nanoseconds },
      ],
    },
  ],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const { LRUCache } = await ownLruCache('reference');
  const lru = new LRUCache<string, Value>({ max: 1_000 });
  lru.set(KEY, valueOf(KEY));
  const opened = candidate.open(async (key) => valueOf(key), { ttl: 3_600_000, staleWhileRevalidate: 0, max: 1_000 });
  if (opened.peek === undefined) return {};
  await opened.read(KEY);

  const { readInTurn } = await ownLoops('reference');
  const { peekInTurn } = await ownLoops('candidate');
  const { peek } = opened;
  const ms = quick ? 1 : 10;
  const contestants = [
    await loopOf('reference', ms, (count) => readInTurn((key) => lru.get(key) as Value, [KEY], count, 0)),
    await loopOf('candidate', ms, (count) => {
      if (peekInTurn(peek, [KEY], count, 0) !== count) throw new Error('Not in memory any more');
    }),
  ];
  const samples = await takeTurns(contestants, { rounds: quick ? 3 : 12, budget: 2_000, sweep: 'minor' });
  await opened.close?.();
  return { ratio: ratios(samples, 'candidate', 'reference', 'time'), time: figures(samples, 'candidate', 'time') };
}
