import { execFile } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';

export const root: string = join(import.meta.dirname, '../..');

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `file`, with the Node that runs this script first in the path, and resolves however it ends. */
export function attempt(file: string, args: readonly string[], cwd: string = root): Promise<Output> {
  const env = {
    ...process.env,
    NO_COLOR: '1',
    DENO_NO_UPDATE_CHECK: '1',
    DO_NOT_TRACK: '1',
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`,
  };
  return new Promise((resolve) => {
    execFile(file, args, { cwd, env, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({
        code: Number.isInteger(code) ? code : 1,
        stdout,
        stderr: stderr || (stdout === '' ? (error?.message ?? '') : ''),
      });
    });
  });
}

/** Runs `file` and resolves to what it prints. Rejects with all it said when it fails. */
export async function run(file: string, args: readonly string[], cwd?: string): Promise<string> {
  const { code, stdout, stderr } = await attempt(file, args, cwd);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} failed\n${stdout}${stderr}`.trimEnd());
  return stdout;
}

/** The path of a tool installed in this repository. */
export function tool(name: string): string {
  return join(root, 'node_modules/.bin', name);
}
