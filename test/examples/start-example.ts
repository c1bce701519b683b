import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import { waitPatiently } from '../support/patience.js';

waitPatiently();

/** An example server, a process of its own that ends with the test at the latest. */
export interface RunningExample {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  /** Asks it to end, and resolves with its exit code and all it wrote to stderr. */
  readonly stop: () => Promise<{ readonly code: number | null; readonly stderr: string }>;
}

/** Starts `file` of the examples folder on a free port, and resolves once it has printed its address. */
export async function startExample(file: string, variables: Record<string, string> = {}): Promise<RunningExample> {
  const path = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url));
  // As in development, where frameworks are most talkative.
  const env = { ...process.env, NODE_ENV: 'development', PORT: '0', ...variables };
  const child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });

  const url = await new Promise<string>((resolve, reject) => {
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const address = /http:\/\/127\.0\.0\.1:\d+/.exec(stdout)?.[0];
      if (address !== undefined && stdout.endsWith('\n')) resolve(address);
    });
    void ended.then(() => reject(new Error(`${file} ended without printing an address: ${stderr || stdout}`)));
  });
  const stop: RunningExample['stop'] = async () => {
    child.kill('SIGTERM');
    await ended;
    return { code: child.exitCode, stderr };
  };
  return { url, stop };
}

/** Sends `count` requests at once, and gives their answers with the bodies read. */
export function getAll(url: string, count: number, init: RequestInit = {}): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, () => get(url, init)));
}

/** One answer with its JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export async function get(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  return { status: response.status, headers: response.headers, body: await response.json() };
}
