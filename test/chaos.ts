// Lets four processes over a real Redis read and change what they share while it is killed, paused, cut off, failed over to
// a replica that lags, and evicts, and checks what each of them saw:
// `npm run chaos -- [--seconds 60] [--readers 200] [--seed 4711]`. Ends with exit code 1 for a violation.
import { parseArgs } from 'node:util';

import { runCoherenceChaos } from './full/services/fixtures/coherence-chaos.ts';
import { chanceOf, seedOfRun } from './support/chance.ts';
import { setup } from './support/redis-server.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, readers: { type: 'string' }, seed: { type: 'string' } },
});
const wholeNumber = (name: keyof typeof values, otherwise: number): number => {
  const text = values[name];
  if (text !== undefined && !/^\d+$/.test(text))
    throw new TypeError(`Expected --${name} to be a whole number, got '${text}'`);
  return text === undefined ? otherwise : Number(text);
};

setup();
const started = performance.now();
const { verdict, ...report } = await runCoherenceChaos({
  seconds: wholeNumber('seconds', 60),
  readers: wholeNumber('readers', 200),
  chance: chanceOf(wholeNumber('seed', seedOfRun())),
  log: (line) => console.log(`${((performance.now() - started) / 1_000).toFixed(1).padStart(6)} s  ${line}`),
});
console.log(report);
console.log(verdict.ok ? 'No read was older than what had been promised.' : verdict.message);
process.exitCode = verdict.ok && report.failed.length + report.unhandled.length === 0 ? 0 : 1;
