import { parseArgs } from 'node:util';

import { jsonCodec } from 'soloflight';
import { structuredCloneCodec, valueCodec, type Codec } from 'soloflight/codecs';

import { ratio } from './question.ts';
import { machine } from './report.ts';
import { median } from './rounds.ts';

/*
 * `npm run bench:codec [-- --quick]` sets the codecs beside `JSON.stringify` and `JSON.parse`: what it takes to write and read
 * plain data, and how much larger it becomes. It prints, and writes nothing.
 */

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const ROUNDS = flags.quick ? 5 : 31;
/** Milliseconds of one round of one codec. */
const LENGTH = flags.quick ? 2 : 20;
const TARGET = 1.15;

const row = (id: number): object => ({
  ...{ id, name: `user ${id}`, email: `u${id}@example.org`, active: id % 2 === 0, score: id * 1.37 },
  ...{ tags: ['a', 'b'], address: { city: 'Berlin', zip: '10115' } },
});

const PAYLOADS: Readonly<Record<string, unknown>> = {
  'one row': row(1),
  '100 rows': Array.from({ length: 100 }, (_, id) => row(id)),
  '60 kB of text': { html: 'abc "x" é '.repeat(5_000) },
  '500 pairs of numbers': Array.from({ length: 500 }, (_, at) => [at * 1.1234567, at / 7]),
};

/** JSON as the platform has it: the measure. */
const bare: Codec = {
  name: 'bare',
  encode: (value) => JSON.stringify(value),
  decode: (payload) => JSON.parse(String(payload)) as unknown,
};

const CODECS: Readonly<Record<string, Codec>> = { valueCodec, jsonCodec, structuredCloneCodec };

console.log(`${machine()}\nWrite and read, beside JSON (valueCodec: at most ${TARGET} ×); bytes beside JSON\n`);
for (const [name, made] of Object.entries(PAYLOADS)) {
  // As a program gets it, not as this one builds it.
  const value: unknown = JSON.parse(JSON.stringify(made));
  const size = sizeOf(bare, value);
  const samples = measure(value, [bare, ...Object.values(CODECS)]);
  const results = Object.entries(CODECS).map(([codec, own], index) => {
    const ratios = samples.map((times) => (times[index + 1] ?? NaN) / (times[0] ?? NaN));
    return `${codec} ${ratio(median(ratios))} (${sizeOf(own, value) - size} B)`;
  });
  console.log(`${name.padEnd(22)} ${results.join('   ')}`);
}

/** Rounds of the time per call of each codec, in turns, so that a busy moment meets them all. */
function measure(value: unknown, codecs: readonly Codec[]): number[][] {
  const calls = codecs.map((codec) => {
    const before = performance.now();
    let count = 0;
    while (performance.now() - before < LENGTH) {
      codec.decode(codec.encode(value) as string);
      count += 1;
    }
    return count;
  });
  return Array.from({ length: ROUNDS }, () =>
    codecs.map((codec, index) => {
      const count = calls[index] ?? 1;
      const before = performance.now();
      for (let call = 0; call < count; call += 1) codec.decode(codec.encode(value) as string);
      return (performance.now() - before) / count;
    }),
  );
}

function sizeOf(codec: Codec, value: unknown): number {
  return Buffer.from(codec.encode(value) as string).length;
}
