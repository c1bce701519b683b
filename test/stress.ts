// Runs the tests again and again while as many busy processes as there are cores take the time they need, and lists
// what ever failed: `npm run test:stress -- [times] [arguments of vitest]`. Ten times `npm test` unless told otherwise.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

import { readRecord, type RunRecord } from './support/record.ts';

const { times, selection } = readArguments(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'soloflight-stress-'));
const failures = new Map<string, number>();

const burners = Array.from({ length: availableParallelism() }, startBurner);
for (let run = 1; run <= times; run += 1) await runOnce(run);
for (const burner of burners) burner.kill();

const total = [...failures].toSorted(([, a], [, b]) => b - a);
console.log(total.length === 0 ? '\nNothing failed.' : `\nFailed, of ${times} runs:`);
for (const [what, count] of total) console.log(`  ${count} × ${what}`);
process.exitCode = total.length === 0 ? 0 : 1;

function readArguments(given: readonly string[]): { readonly times: number; readonly selection: readonly string[] } {
  const [first = '', ...rest] = given;
  const isNumber = /^\d+$/.test(first);
  const selection = isNumber ? rest : given;
  const isSelected = selection.some((argument) => argument.startsWith('--project'));
  return {
    times: isNumber ? Number(first) : 10,
    selection: isSelected ? selection : ['--project=!full-*', ...selection],
  };
}

/** A process that keeps a core busy. It ends with this one, whatever ends this one. */
function startBurner(): ChildProcess {
  return fork(new URL('./support/burn.ts', import.meta.url), { stdio: 'ignore' });
}

async function runOnce(run: number): Promise<void> {
  const log = join(folder, `${run}.log`);
  const record = join(folder, `${run}.json`);
  const seed = String(Math.floor(Math.random() * 2 ** 31));
  const start = performance.now();

  const vitest = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...selection], {
    env: { ...process.env, SOLOFLIGHT_SEED: seed, SOLOFLIGHT_RECORD: record },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = createWriteStream(log);
  vitest.stdout.pipe(output, { end: false });
  vitest.stderr.pipe(output, { end: false });
  const [code] = (await once(vitest, 'close')) as [number | null];
  output.end();

  const failed = code === 0 ? [] : failuresOf(record);
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  console.log(`run ${run} of ${times}: ${seconds} s, ${failed.length} failed`);
  for (const { what, error } of failed) {
    failures.set(what, (failures.get(what) ?? 0) + 1);
    console.log(`  ${what}\n    ${firstLine(error)}`);
  }
  if (failed.length > 0) console.log(`  SOLOFLIGHT_SEED=${seed}, output: ${log}`);
}

interface Failure {
  readonly what: string;
  readonly error: string;
}

function failuresOf(record: string): readonly Failure[] {
  const { files, errors } = readRun(record);
  const failures = [
    ...files.flatMap(({ file, tests, errors }) => [
      ...tests
        .filter(({ state }) => state !== 'passed')
        .map(({ name, state, errors }) => ({ what: `${file} > ${name}`, error: errors[0] ?? state })),
      ...errors.map((error) => ({ what: `${file}, outside of any test: ${firstLine(error)}`, error })),
    ]),
    ...errors.map((error) => ({ what: `outside of any file: ${firstLine(error)}`, error })),
  ];
  return failures.length > 0 ? failures : [{ what: 'the run', error: 'ended with an error, see its output' }];
}

/** The record of a run, or one without anything if Vitest ended before it wrote one. */
function readRun(record: string): RunRecord {
  try {
    return readRecord(record);
  } catch {
    return { files: [], errors: [] };
  }
}

function firstLine(text: string): string {
  return text.replace(/\n.*/s, '');
}
