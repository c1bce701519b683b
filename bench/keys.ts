import type { Candidate } from './candidate.ts';
import { ownLoops } from './own-copies.ts';
import { nanoseconds, ratio, type Findings, type Question } from './question.ts';
import { figures, loopOf, ratios, takeTurns } from './rounds.ts';

/** Arguments as functions take them; 64 of each kind, so that none is taken for a constant. */
const ARGUMENTS: Readonly<Record<string, (number: number) => unknown>> = {
  small: (number) => ({ id: number, locale: 'en' }),
  unordered: (number) => ({ page: number, size: 20, sort: 'date', desc: true }),
  nested: (number) => ({ filter: { from: number, to: number + 5 }, tags: ['a', 'b'] }),
};

export const question: Question = {
  title: 'A key of an argument',
  method:
    'A string is made of an object: two fields, four whose names are not in order, or four in objects and an array. The measure is `JSON.stringify`, which gives other strings for another order of the names.',
  variants: Object.keys(ARGUMENTS),
  passes: 2,
  bound: 20_000,
  unable: (candidate) => (candidate.keyOf === undefined ? 'make keys of arguments for its user' : undefined),
  measure,
  tables: [
    {
      columns: [
        { heading: 'two fields', variant: 'small', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 3.00' } },
        {
          heading: 'four, unordered',
          variant: 'unordered',
          figure: 'ratio',
          show: ratio,
          targets: { soloflight: '≤ 3.00' },
        },
        { heading: 'nested', variant: 'nested', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 3.00' } },
        { heading: 'two fields, time', variant: 'small', figure: 'time', show: nanoseconds },
      ],
    },
  ],
};

async function measure({ keyOf }: Candidate, variant: string, quick: boolean): Promise<Findings> {
  const argumentOf = ARGUMENTS[variant];
  if (keyOf === undefined || argumentOf === undefined) return {};
  const items = Array.from({ length: 64 }, (_, number) => argumentOf(number));
  const ms = quick ? 1 : 10;
  const loops = { reference: await ownLoops('reference'), candidate: await ownLoops('candidate') };
  const contestants = [
    await loopOf('reference', ms, (count) => loops.reference.nameInTurn((item) => JSON.stringify(item), items, count)),
    await loopOf('candidate', ms, (count) => loops.candidate.nameInTurn(keyOf, items, count)),
  ];
  const samples = await takeTurns(contestants, { rounds: quick ? 3 : 12, budget: 2_000, sweep: 'minor' });
  return { ratio: ratios(samples, 'candidate', 'reference', 'time'), time: figures(samples, 'candidate', 'time') };
}
