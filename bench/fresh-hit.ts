import type { Candidate, Opened, Value } from './candidate.ts';
import { ownLoops, ownLruCache } from './own-copies.ts';
import { nanoseconds, ratio, type Findings, type Question } from './question.ts';
import { figures, loopOf, ratios, takeTurns, type Contestant } from './rounds.ts';
import { valueOf, zipf } from './upstream.ts';

const KEYS = 10_000;
const READS = 2 ** 17;

export const question: Question = {
  title: 'Fresh hit',
  method: `One caller awaits one read after another of values that memory holds: always the same key, or ${KEYS.toLocaleString('en-US')} keys drawn by Zipf 0.99. The measure is \`await lru.get(key)\` on a raw \`lru-cache\`.`,
  variants: ['hot', 'zipf'],
  passes: 2,
  bound: 20_000,
  unable: (candidate) => (candidate.can.keeps ? undefined : 'keep values'),
  measure,
  tables: [
    {
      columns: [
        { heading: 'hot key', variant: 'hot', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 0.80' } },
        { heading: '10,000 keys', variant: 'zipf', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 1.50' } },
        { heading: 'hot key, time', variant: 'hot', figure: 'time', show: nanoseconds },
        { heading: '10,000 keys, time', variant: 'zipf', figure: 'time', show: nanoseconds },
      ],
    },
  ],
  panels: [
    { title: 'Fresh hit, hot key (× lru-cache get + await)', variant: 'hot', figure: 'ratio', target: 0.8 },
    { title: 'Fresh hit, 10,000 keys (× lru-cache get + await)', variant: 'zipf', figure: 'ratio', target: 1.5 },
  ],
};

async function measure(candidate: Candidate, variant: string, quick: boolean): Promise<Findings> {
  const keys = variant === 'hot' ? ['post:42'] : Array.from({ length: KEYS }, (_, i) => `post:${i}`);
  const reads = variant === 'hot' ? keys : zipf(keys, READS);
  const { LRUCache } = await ownLruCache('reference');
  const lru = new LRUCache<string, Value>({ max: 2 * KEYS });
  const opened = candidate.open(async (key) => valueOf(key), {
    ttl: 3_600_000,
    staleWhileRevalidate: 0,
    max: 2 * KEYS,
  });
  for (const key of keys) {
    lru.set(key, valueOf(key));
    const value = await opened.read(key);
    if (value?.id !== key) throw new Error(`Expected the value of ${key}, got ${JSON.stringify(value)}`);
  }

  const sampleMs = quick ? 1 : 10;
  const contestants = [
    await reader('reference', (key) => lru.get(key) as Value, reads, sampleMs),
    await reader('candidate', opened.read, reads, sampleMs),
  ];
  const samples = await takeTurns(contestants, { rounds: quick ? 3 : 12, budget: 2_000, sweep: 'minor' });
  await opened.close?.();
  return { ratio: ratios(samples, 'candidate', 'reference', 'time'), time: figures(samples, 'candidate', 'time') };
}

async function reader(name: string, read: Opened['read'], reads: readonly string[], ms: number): Promise<Contestant> {
  const { readInTurn } = await ownLoops(name);
  let from = 0;
  return loopOf(name, ms, async (count) => {
    await readInTurn(read, reads, count, from);
    from += count;
  });
}
