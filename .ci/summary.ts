// Reads the record of a test run and prints what failed, what did not run, the slowest files and the time of each
// project to stderr, then the numbers of what passed and failed to stdout: `node .ci/summary.ts <record>`.
// `node .ci/summary.ts <record> failed` prints only what failed or did not run, to stdout, with the message of each.
import { readRecord } from '../test/support/record.ts';

const SLOWEST = 20;
const MOST_FAILED = 40;
const [, , path = '', part] = process.argv;
const { files, errors } = readRecord(path);

const tests = files.flatMap(({ file, tests }) => tests.map((test) => ({ ...test, file })));
const passed = tests.filter(({ state }) => state === 'passed').length;
const notPassed = tests.filter(({ state }) => state !== 'passed');
// An error outside of any test fails the run without failing a test, so it is counted itself.
const outside = [...errors, ...files.flatMap(({ file, errors }) => errors.map((error) => `${file}: ${error}`))];

const failures = [
  // One that failed says more than those that did not run because of it.
  ...outside.map((error) => `error outside of any test: ${error.replaceAll('\n', '\n      ')}`),
  ...notPassed
    .toSorted((a, b) => Number(b.state === 'failed') - Number(a.state === 'failed'))
    .map(({ file, name, state, errors }) => [`${state}: ${file} > ${name}`, ...errors.map(firstLine)].join('\n      ')),
];
if (part === 'failed') {
  for (const failure of failures.slice(0, MOST_FAILED)) console.log(`  ${failure}`);
  if (failures.length > MOST_FAILED) console.log(`  … and ${failures.length - MOST_FAILED} more`);
} else {
  print('Failed or not run', failures);
  print(
    `The slowest ${SLOWEST} of ${files.length} files`,
    files
      .toSorted((a, b) => b.ms - a.ms)
      .slice(0, SLOWEST)
      .map(({ file, ms }) => `${seconds(ms)}  ${file}`),
  );
  print(
    'Projects: time of their files one after another, tests, files',
    [...Map.groupBy(files, ({ project }) => project)]
      .map(([project, own]) => ({
        project,
        files: own.length,
        ms: sum(own, ({ ms }) => ms),
        tests: sum(own, (file) => file.tests.length),
      }))
      .toSorted((a, b) => b.ms - a.ms)
      .map(
        ({ project, files, ms, tests }) =>
          `${seconds(ms)} ${String(tests).padStart(6)} ${String(files).padStart(4)}  ${project}`,
      ),
  );
  console.log(passed, notPassed.length + outside.length);
}

function print(title: string, lines: readonly string[]): void {
  if (lines.length > 0) console.error(['', title, ...lines.map((line) => `  ${line}`)].join('\n'));
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1).padStart(6)} s`;
}

function firstLine(text: string): string {
  return text.replace(/\n.*/s, '');
}
