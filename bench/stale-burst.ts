import type { Candidate, Load, Opened } from './candidate.ts';
import { ownLoops } from './own-copies.ts';
import { nanoseconds, percent, ratio, whole, type Findings, type Question } from './question.ts';
import { figures, loopOf, pause, ratios, takeTurns, turn, type Contestant } from './rounds.ts';
import { valueOf } from './upstream.ts';

const CALLERS = 1_000;
const BURSTS = 10;
const TTL = 1_000;
/** Past the ttl also for a clock that is read once a second. */
const UNTIL_STALE = 2_200;
const HOUR = 3_600_000;

export const question: Question = {
  title: 'Stale burst',
  method: `An entry is past its ttl and within its stale window; ${CALLERS.toLocaleString('en-US')} callers ask for it in one turn of the event loop, while the upstream takes its time. Then one caller awaits read after read of a stale entry whose refresh is under way, against the same with a fresh entry.`,
  variants: ['all'],
  passes: 1,
  bound: 20_000,
  unable: (candidate) => (candidate.can.revalidates ? undefined : 'revalidate in the background'),
  measure,
  tables: [
    {
      columns: [
        { heading: 'loads per burst', variant: 'all', figure: 'refreshes', show: whole, targets: { soloflight: '1' } },
        {
          heading: 'answered without waiting for the load',
          variant: 'all',
          figure: 'atOnce',
          show: percent,
          targets: { soloflight: '100 %' },
        },
        {
          heading: 'stale hit × fresh hit',
          variant: 'all',
          figure: 'ratio',
          show: ratio,
          targets: { soloflight: '≤ 1.10' },
        },
        { heading: 'stale hit', variant: 'all', figure: 'time', show: nanoseconds },
      ],
    },
  ],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const calls = new Map<string, number>();
  let gate = Promise.resolve();
  const load: Load = (key) => {
    calls.set(key, (calls.get(key) ?? 0) + 1);
    return gate.then(() => valueOf(key));
  };
  const fresh = candidate.open(load, { ttl: HOUR, staleWhileRevalidate: HOUR, max: 1_000 });
  const stale = candidate.open(load, { ttl: TTL, staleWhileRevalidate: HOUR, max: 1_000 });
  const keys = Array.from({ length: quick ? 2 : BURSTS }, (_, i) => `post:${i}`);
  await fresh.read('hot');
  for (const key of [...keys, 'hot']) await stale.read(key);
  await pause(UNTIL_STALE);

  const refreshes: number[] = [];
  const atOnce: number[] = [];
  for (const key of keys) {
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    const before = calls.get(key) ?? 0;
    atOnce.push((await answeredAtOnce(stale, key)) / CALLERS);
    held.resolve();
    for (let i = 0; i < 5; i++) await turn();
    refreshes.push((calls.get(key) ?? 0) - before);
  }
  if (atOnce.some((share) => share < 1)) return { refreshes, atOnce };

  // From here on no load ends, so the stale entry stays stale.
  gate = new Promise<void>(() => {});
  const ms = quick ? 1 : 8;
  const contestants = [await reader('fresh', fresh, ms), await reader('stale', stale, ms)];
  const samples = await takeTurns(contestants, { rounds: quick ? 3 : 15, budget: 2_000, sweep: 'minor' });
  return {
    refreshes,
    atOnce,
    ratio: ratios(samples, 'stale', 'fresh', 'time'),
    time: figures(samples, 'stale', 'time'),
  };
}

/** How many of the callers have their answer within 100 ms, the load being held up. */
async function answeredAtOnce({ read }: Opened, key: string): Promise<number> {
  let answered = 0;
  const count = (): void => void answered++;
  const all = Promise.all(Array.from({ length: CALLERS }, async () => read(key)).map((answer) => answer.then(count)));
  await Promise.race([all, pause(100)]);
  return answered;
}

async function reader(name: string, { read }: Opened, ms: number): Promise<Contestant> {
  const { readInTurn } = await ownLoops(name);
  return loopOf(name, ms, (count) => readInTurn(read, ['hot'], count, 0));
}
