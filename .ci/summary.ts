// Reads the record of a test run and prints what failed, what did not run, the slowest files and the time of each
// project to stderr, then the numbers of what passed and failed to stdout: `node .ci/summary.ts <record>`.
import { readRecord } from '../test/support/record.ts';

const SLOWEST = 20;
const [, , path = ''] = process.argv;
const { files, errors } = readRecord(path);

const tests = files.flatMap(({ file, tests }) => tests.map((test) => ({ ...test, file })));
const passed = tests.filter(({ state }) => state === 'passed').length;
const notPassed = tests.filter(({ state }) => state !== 'passed');
// An error outside of any test fails the run without failing a test, so it is counted itself.
const outside = [...errors, ...files.flatMap(({ file, errors }) => errors.map((error) => `${file}: ${error}`))];

print('Failed or not run', [
  ...notPassed.map(({ file, name, state }) => `${state}: ${file} > ${name}`),
  ...outside.map((error) => `error outside of any test: ${firstLine(error)}`),
]);
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
