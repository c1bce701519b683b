import { execFileSync } from 'node:child_process';

/** A program that tests need, and where it comes from. */
export interface Program {
  readonly command: string;
  /** Which of its versions will do, by what `--version` says. @default any */
  readonly version?: RegExp;
  /** Of Debian. */
  readonly packageName: string;
  /** For people, where it is missing and can't be installed. */
  readonly whatToDo: string;
}

/** Makes sure that there is the program: as root on Debian, it is installed. @throws Error that says what to do. */
export function ensureInstalled(program: Program): void {
  if (isInstalled(program)) return;
  const { packageName, whatToDo } = program;
  if (process.platform !== 'linux' || process.getuid?.() !== 0) throw new Error(whatToDo);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  try {
    execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'pipe' });
    execFileSync('apt-get', ['install', '-qq', '-y', '--no-install-recommends', packageName], { env, stdio: 'pipe' });
  } catch {
    throw new Error(whatToDo);
  }
  if (!isInstalled(program)) throw new Error(whatToDo);
}

function isInstalled({ command, version = /^/ }: Program): boolean {
  try {
    return version.test(execFileSync(command, ['--version'], { encoding: 'utf8', stdio: 'pipe' }));
  } catch {
    return false;
  }
}
