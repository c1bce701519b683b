import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { waitPatiently } from '../support/patience.js';

waitPatiently();

/** A Worker under `wrangler dev`. */
export interface RunningWorker {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  /** All that was printed so far. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

/** How to start it otherwise. */
export interface WranglerOptions {
  /** @default a free one */
  readonly port?: number;
  /** Folder that keeps what objects store. @default one of its own, which is removed at the end */
  readonly storage?: string;
  /** More arguments. */
  readonly args?: readonly string[];
}

const wrangler = fileURLToPath(new URL('../../node_modules/wrangler/bin/wrangler.js', import.meta.url));

/** Starts the Worker in `folder` of the examples, and resolves once it listens. */
export async function startWrangler(
  folder: string,
  variables: Record<string, string> = {},
  options: WranglerOptions = {},
): Promise<RunningWorker> {
  const { port = 0, args = [] } = options;
  const storage = options.storage ?? (await mkdtemp(join(tmpdir(), 'soloflight-wrangler-')));
  const vars = Object.entries(variables).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  const child = spawn(
    process.execPath,
    [
      ...[wrangler, 'dev', '--ip', '127.0.0.1', '--port', `${port}`, '--inspector-port', '0'],
      ...['--persist-to', storage, '--show-interactive-dev-session=false', ...vars, ...args],
    ],
    // In a group of its own, so that workerd ends with it.
    {
      cwd: fileURLToPath(new URL(`../../examples/${folder}`, import.meta.url)),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, NO_COLOR: '1' },
    },
  );
  const ended = once(child, 'close');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGTERM');
    await ended;
    if (options.storage === undefined) await rm(storage, { recursive: true, force: true });
  };

  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const address = /Ready on (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
      if (address !== undefined) resolve(address);
    });
    void ended.then(() => reject(new Error(`wrangler ended without listening: ${output}`)));
  });
  return { url, output: () => output, stop };
}
