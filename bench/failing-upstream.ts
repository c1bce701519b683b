import type { Candidate, Load } from './candidate.ts';
import { percent, whole, type Findings, type Question } from './question.ts';
import { pause } from './rounds.ts';
import { valueOf } from './upstream.ts';

const CALLERS = 1_000;
const FAILS_AFTER = 5;
const PATIENCE = 3_000;
const TTL = 1_000;
const UNTIL_STALE = 2_200;
const READ_EVERY = 2;

export const question: Question = {
  title: 'Failing upstream',
  method: `Cold: ${CALLERS.toLocaleString('en-US')} callers ask at once for a key that nobody has loaded; the upstream fails after ${FAILS_AFTER} ms; who has an answer, be it the failure, within ${PATIENCE / 1_000} s? Stale: the value is there but past its ttl, the upstream is down, and ${CALLERS.toLocaleString('en-US')} reads come one every ${READ_EVERY} ms.`,
  variants: ['cold', 'stale'],
  passes: 1,
  bound: 20_000,
  unable: (candidate) => (candidate.can.coalesces ? undefined : 'coalesce'),
  measure,
  tables: [
    {
      columns: [
        {
          heading: 'cold: loads',
          variant: 'cold',
          figure: 'calls',
          show: whole,
          targets: { soloflight: '1', 'soloflight-singleflight': '1' },
        },
        {
          heading: 'cold: callers answered',
          variant: 'cold',
          figure: 'answered',
          show: whole,
          targets: { soloflight: whole(CALLERS), 'soloflight-singleflight': whole(CALLERS) },
        },
        { heading: 'stale: loads', variant: 'stale', figure: 'calls', show: whole },
        {
          heading: 'stale: reads answered with the value',
          variant: 'stale',
          figure: 'served',
          show: percent,
          targets: { soloflight: '100 %' },
        },
      ],
    },
  ],
};

function measure(candidate: Candidate, variant: string): Promise<Findings> {
  return variant === 'cold' ? cold(candidate) : stale(candidate);
}

async function cold(candidate: Candidate): Promise<Findings> {
  let calls = 0;
  let answered = 0;
  const load: Load = async () => {
    calls++;
    await pause(FAILS_AFTER);
    throw new Error('Down');
  };
  const { read } = candidate.open(load, { ttl: 60_000, staleWhileRevalidate: 0, max: 1_000 });
  const count = (): void => void answered++;
  const all = Promise.all(
    Array.from({ length: CALLERS }, async () => read('post:42')).map((answer) => answer.then(count, count)),
  );
  await Promise.race([all, pause(PATIENCE)]);
  return { calls: [calls], answered: [answered] };
}

async function stale(candidate: Candidate): Promise<Findings> {
  if (candidate.can.revalidates === undefined) return {};
  let down = false;
  let calls = 0;
  const load: Load = async (key) => {
    if (!down) return valueOf(key);
    calls++;
    await pause(FAILS_AFTER);
    throw new Error('Down');
  };
  const { read } = candidate.open(load, { ttl: TTL, staleWhileRevalidate: 60_000, max: 1_000 });
  await read('post:42');
  await pause(UNTIL_STALE);

  down = true;
  let served = 0;
  const answers: Promise<void>[] = [];
  const note = (value: unknown): void => {
    if (value !== undefined) served++;
  };
  const start = performance.now();
  while (answers.length < CALLERS) {
    // Timers are late; what is due is made up for, so that the load is the same for all.
    const due = Math.min(CALLERS, Math.ceil((performance.now() - start) / READ_EVERY));
    while (answers.length < due) answers.push((async () => read('post:42'))().then(note, () => {}));
    await pause(1);
  }
  await Promise.race([Promise.all(answers), pause(PATIENCE)]);
  return { calls: [calls], served: [served / CALLERS] };
}
