import { candidates } from './candidates.ts';
import { questions } from './questions.ts';

/*
 * One candidate, one question, one process: `node --expose-gc bench/measure.ts <question> <candidate> <variant> [quick]`.
 * run.ts starts it; started by hand, with `--cpu-prof` for instance, it prints what it found.
 */

// run.ts was ended.
process.once('disconnect', () => process.exit());

const [questionName = '', candidateName = '', variant = '', quick] = process.argv.slice(2);
const { question } = (await questions[questionName]?.()) ?? unknown('question', questionName);
const { candidate } = (await candidates[candidateName]?.()) ?? unknown('candidate', candidateName);
const findings = await question.measure(candidate, variant || (question.variants[0] ?? ''), quick === 'quick');

// Some candidates keep timers or gated loads; nothing of them is waited for.
if (process.send === undefined) {
  console.log(findings);
  process.exit();
}
process.send(findings, () => process.exit());

function unknown(what: string, name: string): never {
  throw new Error(`No ${what} '${name}'`);
}
