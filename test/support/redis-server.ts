import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ensureInstalled } from './installed.ts';
import { freePort } from './ports.ts';

/** A Redis server of its own on loopback, without persistence. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  /** Ends it in an orderly way; its data are lost. */
  readonly stop: () => Promise<void>;
  /** Kills it without notice. */
  readonly kill: () => Promise<void>;
  /** Starts another, empty server on the same port. The old one must have ended. */
  readonly restart: () => Promise<void>;
  /** Kills it and starts it again from the snapshot that `SAVE` made last. */
  readonly restoreSnapshot: () => Promise<void>;
  /** Stops it (`SIGSTOP`), and lets it go on. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** Stores so many other keys of so many bytes each. */
  readonly flood: (keys: number, bytes: number) => Promise<void>;
  /** Sends one command of plain words. Does not wait for the reply. */
  readonly send: (command: string) => Promise<void>;
}

interface Running {
  readonly child: ChildProcess;
  readonly folder: string;
}

/** Free ports that are tried one after another. */
const PORTS_TRIED = 5;

/** Called once before the tests. Makes sure that there is a redis-server. */
export function setup(): void {
  ensureInstalled({
    command: 'redis-server',
    version: /v=(?:6\.[2-9]|[7-9]|\d\d)/,
    packageName: 'redis-server',
    whatToDo:
      'The tests need a redis-server 6.2 or later on the path. Install it (Debian: apt-get install redis-server; macOS: brew install redis)',
  });
}

/** Starts a server, on a free port unless one is given, and resolves when it answers. `settings` go to its command line. */
export async function startRedis(settings: readonly string[] = [], given?: number): Promise<RedisServer> {
  const { port, running: first } = await launchOn(given, settings);
  let running = first;
  const exit = async (signal: NodeJS.Signals): Promise<void> => {
    const { child } = running;
    if (child.exitCode !== null || child.signalCode !== null) return;
    // A paused server would not receive any other signal.
    child.kill('SIGCONT');
    child.kill(signal);
    await once(child, 'exit');
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    await exit(signal);
    rmSync(running.folder, { recursive: true, force: true });
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return running.child.pid!;
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    restart: async () => {
      running = await launch(port, settings);
    },
    restoreSnapshot: async () => {
      await exit('SIGKILL');
      running = await launch(port, settings, running.folder);
    },
    pause: () => void running.child.kill('SIGSTOP'),
    resume: () => void running.child.kill('SIGCONT'),
    flood: async (keys, bytes) => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      const value = 'x'.repeat(bytes);
      for (let n = 0; n < keys; n += 1)
        if (!socket.write(`SET flood:${n} ${value}\r\n`))
          await Promise.race([once(socket.resume(), 'drain'), once(socket, 'close')]);
      socket.end();
      await once(socket.resume(), 'close');
    },
    send: async (command) => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.end(`${command}\r\n`);
      await once(socket.resume(), 'close');
    },
  };
}

/** On `given`, or on a free port: another process may take that before the server does, and then it is another one. */
async function launchOn(
  given: number | undefined,
  settings: readonly string[],
): Promise<{ readonly port: number; readonly running: Running }> {
  if (given !== undefined) return { port: given, running: await launch(given, settings) };
  for (let left = PORTS_TRIED; ; left -= 1) {
    const port = await freePort();
    try {
      return { port, running: await launch(port, settings) };
    } catch (error) {
      if (left <= 1) throw error;
    }
  }
}

async function launch(
  port: number,
  settings: readonly string[],
  folder: string = mkdtempSync(join(tmpdir(), 'soloflight-redis-')),
): Promise<Running> {
  const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', [...flags, ...settings], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-2_000);
    });
  // The server must not outlive the tests, even if they end by `process.exit`.
  const last = (): void => void child.kill('SIGKILL');
  process.once('exit', last);
  child.once('exit', () => process.off('exit', last));
  const patience = performance.now() + 20_000;
  while (!(await answers(port))) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > patience) {
      child.kill('SIGKILL');
      throw new Error(`redis-server did not come up: ${output.trim()}`);
    }
  }
  return { child, folder };
}

/** Whether a server answers `PING`, even with an error. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString().startsWith('+PONG');
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 10));
    return false;
  } finally {
    socket.destroy();
  }
}
