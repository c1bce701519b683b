import { readFileSync, writeFileSync } from 'node:fs';

import type { Reporter, TestModule } from 'vitest/node';

/** The record of a run of Vitest. */
export interface RunRecord {
  readonly files: readonly FileRecord[];
  /** The messages of errors that no test was asked for, such as rejections that nobody handled: where, and whence. */
  readonly errors: readonly string[];
}

interface FileRecord {
  readonly project: string;
  readonly file: string;
  /** The time that the imports, the hooks and the tests of the file took, in ms. */
  readonly ms: number;
  readonly tests: readonly TestRecord[];
  /** The messages of errors outside of any test: in an import, or in a hook around several tests. */
  readonly errors: readonly string[];
}

interface TestRecord {
  readonly name: string;
  /** Anything but `passed` and `failed` means that the test did not run to its end. */
  readonly state: string;
  readonly errors: readonly string[];
}

/** A reporter that writes a {@link RunRecord} to `path` at the end of the run. */
export function recordTo(path: string): Reporter {
  return {
    onTestRunEnd: (modules, errors) => {
      const run: RunRecord = { files: modules.map(recordOf), errors: errors.map(strayOf) };
      writeFileSync(path, JSON.stringify(run));
    },
  };
}

/** Reads the file of {@link recordTo}. */
export function readRecord(path: string): RunRecord {
  return JSON.parse(readFileSync(path, 'utf8')) as RunRecord;
}

function recordOf(module: TestModule): FileRecord {
  const { prepareDuration, environmentSetupDuration, setupDuration, collectDuration, duration } = module.diagnostic();
  return {
    project: module.project.name,
    file: module.relativeModuleId,
    ms: prepareDuration + environmentSetupDuration + setupDuration + collectDuration + duration,
    tests: Array.from(module.children.allTests(), (test) => {
      const { state, errors = [] } = test.result();
      return { name: test.fullName, state, errors: errors.map(messageOf) };
    }),
    errors: [module, ...module.children.allSuites()].flatMap((part) => part.errors().map(messageOf)),
  };
}

function messageOf({ name = 'Error', message }: { readonly name?: string; readonly message: string }): string {
  return `${name}: ${message}`;
}

/** Vitest names the file that ran, and the last test in it, beside a stray error. */
function strayOf(error: {
  readonly name?: string;
  readonly message: string;
  readonly stack?: string;
  readonly [extra: string]: unknown;
}): string {
  const { VITEST_TEST_PATH: file = 'unknown file', VITEST_TEST_NAME: test = 'no test', stack = '' } = error;
  const frames = stack.split('\n').filter((line) => /^\s*at /.test(line));
  return [`${messageOf(error)} (${String(file)}, ${String(test)})`, ...frames.slice(0, 8)].join('\n');
}
