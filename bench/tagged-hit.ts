import type { Candidate, Opened } from './candidate.ts';
import { ownLoops } from './own-copies.ts';
import { nanoseconds, ratio, type Findings, type Question } from './question.ts';
import { figures, loopOf, ratios, takeTurns, type Contestant } from './rounds.ts';
import { valueOf } from './upstream.ts';

const KEYS = 1_024;
const TAGS = ['posts', 'author:7', 'locale:en'];

export const question: Question = {
  title: 'Fresh hit of a tagged value',
  method: `One caller awaits one read after another of ${KEYS.toLocaleString('en-US')} values with three tags each, which memory holds. The measure is the same without tags.`,
  variants: ['three'],
  passes: 2,
  bound: 20_000,
  unable: (candidate) => (candidate.openTagged === undefined ? 'know tags' : undefined),
  measure,
  tables: [
    {
      columns: [
        { heading: '× untagged', variant: 'three', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 2.00' } },
        { heading: 'time', variant: 'three', figure: 'time', show: nanoseconds },
      ],
    },
  ],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const keys = Array.from({ length: KEYS }, (_, i) => `post:${i}`);
  const settings = { ttl: 3_600_000, staleWhileRevalidate: 0, max: 2 * KEYS };
  const load = async (key: string) => valueOf(key);
  const untagged = candidate.open(load, settings);
  const tagged = candidate.openTagged?.(load, settings, TAGS);
  if (tagged === undefined) return {};
  for (const key of keys) await Promise.all([untagged.read(key), tagged.read(key)]);

  const ms = quick ? 1 : 10;
  const contestants = [await reader('untagged', untagged, keys, ms), await reader('tagged', tagged, keys, ms)];
  const samples = await takeTurns(contestants, { rounds: quick ? 3 : 12, budget: 2_000, sweep: 'minor' });
  await Promise.all([untagged.close?.(), tagged.close?.()]);
  return { ratio: ratios(samples, 'tagged', 'untagged', 'time'), time: figures(samples, 'tagged', 'time') };
}

async function reader(name: string, { read }: Opened, keys: readonly string[], ms: number): Promise<Contestant> {
  const { readInTurn } = await ownLoops(name);
  return loopOf(name, ms, (count) => readInTurn(read, keys, count, 0));
}
