import type { Candidate, Load } from './candidate.ts';
import { ownCoalescer, ownLoops } from './own-copies.ts';
import { nanoseconds, ratio, type Findings, type Question } from './question.ts';
import { figures, ratios, takeTurns, turn, warmUp, type Contestant } from './rounds.ts';
import { distantUpstream, gatedUpstream, keepOneFlying } from './upstream.ts';

const KEYS = 100_000;

export const question: Question = {
  title: '100,000 distinct keys at once',
  method:
    '100,000 callers ask for a key each, in one turn of the event loop, of an empty cache; then the upstream answers each in a callback of its own. Two measures: the bare upstream called directly, and a hand-written coalescer.',
  variants: ['all'],
  passes: 1,
  bound: 20_000,
  unable: () => undefined,
  measure,
  tables: [
    {
      columns: [
        {
          heading: '× bare upstream',
          variant: 'all',
          figure: 'upstream',
          show: ratio,
          targets: { soloflight: '≤ 4.00' },
        },
        {
          heading: '× hand-written coalescer',
          variant: 'all',
          figure: 'coalescer',
          show: ratio,
          targets: { 'soloflight-singleflight': '≤ 1.30' },
        },
        { heading: 'per key', variant: 'all', figure: 'time', show: nanoseconds },
      ],
    },
  ],
  panels: [{ title: '100,000 distinct keys at once (× bare upstream)', variant: 'all', figure: 'upstream', target: 4 }],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const keys = Array.from({ length: quick ? KEYS / 10 : KEYS }, (_, i) => `post:${i}`);
  const coalescer = await ownCoalescer('reference');
  const contestants = [
    await asker('upstream', (load) => ({ read: load }), keys),
    await asker('coalescer', coalescer.candidate.open, keys),
    await asker('candidate', candidate.open, keys),
  ];
  await warmUp(contestants, quick ? 0 : 300);
  const samples = await takeTurns(contestants, { rounds: quick ? 2 : 9, budget: 2_500, sweep: 'full' });
  return {
    upstream: ratios(samples, 'candidate', 'upstream', 'time'),
    coalescer: ratios(samples, 'candidate', 'coalescer', 'time'),
    time: figures(samples, 'candidate', 'time'),
  };
}

async function asker(name: string, open: Candidate['open'], keys: readonly string[]): Promise<Contestant> {
  const { askForAll } = await ownLoops(name);
  const settings = { ttl: 60_000, staleWhileRevalidate: 0, max: keys.length };
  const pending = gatedUpstream();
  await keepOneFlying(pending, open(pending.load, settings));
  return {
    name,
    async sample() {
      let calls = 0;
      const load: Load = (key) => {
        calls++;
        return distantUpstream(key);
      };
      const { read, close } = open(load, settings);
      const everybody = Promise.withResolvers<void>();
      let waiting = keys.length;
      const arrived = (): void => {
        if (--waiting === 0) everybody.resolve();
      };
      const held: unknown[] = Array(keys.length).fill(undefined);
      await turn();

      const start = performance.now();
      askForAll(read, keys, arrived, held);
      await everybody.promise;
      const time = ((performance.now() - start) * 1e6) / keys.length;

      if (calls !== keys.length) throw new Error(`Expected ${keys.length} loads, got ${calls}`);
      await close?.();
      return { time };
    },
  };
}
