import { fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { candidates } from './candidates.ts';
import { chart } from './chart.ts';
import type { Findings } from './question.ts';
import { questions } from './questions.ts';
import { machine, section, setups, type Answers, type Outcome, type Row } from './report.ts';
import { shuffled } from './rounds.ts';

/*
 * `node bench/run.ts [--quick] [--candidates a,b] [question…]` prints the tables of the questions named, or of all. A full
 * run of all questions and candidates also writes results.md and results.svg beside this file.
 */

/** Where Node gives up on a top-level `await` that nothing can settle any more. */
const UNSETTLED = 13;

interface Job {
  readonly question: string;
  readonly candidate: string;
  readonly variant: string;
}

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, candidates: { type: 'string' } },
});
const quick = flags.quick;
const asked = chosen('question', questions, positionals);
const taking = chosen('candidate', candidates, flags.candidates?.split(',') ?? []);

const rows: Row[] = await Promise.all(taking.map(async ([id, load]) => ({ id, candidate: (await load()).candidate })));
const all: Answers[] = [];
let failures = 0;
for (const [id, load] of asked) {
  const { question } = await load();
  const answers = await answersTo(id, question);
  all.push(answers);
  console.log(`${section(answers)}\n`);
}
if (quick) console.log('A quick run: cold code, few samples, rough figures.');
if (!quick && asked.length === Object.keys(questions).length && taking.length === Object.keys(candidates).length)
  await keep();
if (failures > 0) process.exitCode = 1;

async function answersTo(id: string, question: Answers['question']): Promise<Answers> {
  const able = rows.filter(({ candidate }) => question.unable(candidate) === undefined);
  const outcomes = new Map(able.map((row): [string, Map<string, Outcome>] => [row.id, new Map()]));
  const passes = quick ? 1 : question.passes;
  for (let pass = 1; pass <= passes; pass++) {
    for (const [index, variant] of question.variants.entries()) {
      for (const { id: candidate } of shuffled(able)) {
        progress(`${id} ${variant}, pass ${pass} of ${passes}: ${candidate}`);
        const own = outcomes.get(candidate) as Map<string, Outcome>;
        const smaller = question.growing && own.get(question.variants[index - 1] ?? '');
        const outcome =
          smaller === 'does not finish'
            ? smaller
            : await outcomeOf({ question: id, candidate, variant }, question.bound);
        own.set(variant, merged(own.get(variant), outcome));
      }
    }
  }
  progress('');
  return { question, rows, outcomes };
}

/** Measures in a process of its own, which ends with its job or when its time is up. */
function outcomeOf(job: Job, bound: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = fork(
      new URL('measure.ts', import.meta.url),
      [job.question, job.candidate, job.variant, ...(quick ? ['quick'] : [])],
      {
        execArgv: ['--expose-gc', '--max-old-space-size=4096'],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      },
    );
    let outcome: Outcome = 'failed';
    let complaints = '';
    const timer = setTimeout(() => {
      outcome = 'does not finish';
      child.kill('SIGKILL');
    }, bound);
    child.stderr?.on('data', (chunk) => (complaints += String(chunk)));
    child.on('message', (findings) => (outcome = { findings: findings as Findings }));
    child.on('close', (code) => {
      clearTimeout(timer);
      if (outcome === 'failed' && code === UNSETTLED) outcome = 'does not finish';
      if (outcome === 'failed') {
        failures++;
        console.error(`\n${job.question}, ${job.candidate}, ${job.variant} failed:\n${complaints.slice(-1_000)}`);
      }
      resolve(outcome);
    });
  });
}

/** The samples of several passes in one list; not finishing or failing once is the outcome. */
function merged(earlier: Outcome | undefined, later: Outcome): Outcome {
  if (earlier === undefined || typeof later === 'string') return later;
  if (typeof earlier === 'string') return earlier;
  const figures = new Set([...Object.keys(earlier.findings), ...Object.keys(later.findings)]);
  return {
    findings: Object.fromEntries(
      [...figures].map((figure) => [figure, [...(earlier.findings[figure] ?? []), ...(later.findings[figure] ?? [])]]),
    ),
  };
}

async function keep(): Promise<void> {
  const report = [
    '# Benchmark results',
    `Written by \`npm run bench\`: ${machine()}.`,
    'Ratios are formed within a round of alternating samples and are medians over all rounds; nanoseconds and microseconds are for orientation. Less is better, unless a heading says otherwise.',
    '![Chart of the results](results.svg)',
    ...all.map(section),
    setups(rows),
  ];
  await writeFile(new URL('results.md', import.meta.url), `${report.join('\n\n')}\n`);
  await writeFile(new URL('results.svg', import.meta.url), chart(all, machine()));
  console.log('Written: bench/results.md, bench/results.svg');
}

function chosen<T>(what: string, known: Readonly<Record<string, T>>, names: readonly string[]): [string, T][] {
  const strange = names.filter((name) => !Object.hasOwn(known, name));
  if (strange.length > 0)
    throw new TypeError(`Expected ${what}s of ${Object.keys(known).join(', ')}; got ${strange.join(', ')}`);
  return Object.entries(known).filter(([name]) => names.length === 0 || names.includes(name));
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
}
