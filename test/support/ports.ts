import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** Below the ports that systems give to outgoing connections, so that none of those takes one between two starts of a server. */
const LOWEST = 10_000;
const HIGHEST = 20_000;
/** The nodes of a Redis cluster talk to each other on their port plus this. */
const BUS = 10_000;
const TRIES = 100;

/** A file for each port that a process of these tests has: a server of another one must not come up while it restarts its own. */
const TAKEN = join(tmpdir(), `soloflight-ports-${userInfo().uid}`);

/** The files of this process. */
const files = new Set<string>();
process.once('exit', () => {
  for (const file of files) rmSync(file, { force: true });
});

/** A loopback port that nobody listens on, and neither on its cluster bus port. It is this process's own until that ends. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST);
    if (take(port) && (await isFree(port)) && (await isFree(port + BUS))) return port;
  }
  throw new Error(`No free port was found from ${LOWEST} to ${HIGHEST} in ${TRIES} tries`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** Whether the port was nobody's, or of a process that has ended. */
function take(port: number): boolean {
  mkdirSync(TAKEN, { recursive: true });
  const file = join(TAKEN, String(port));
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch {
    if (!isLeftBehind(file)) return false;
    rmSync(file, { force: true });
    return take(port);
  }
  files.add(file);
  return true;
}

function isLeftBehind(file: string): boolean {
  let owner = 0;
  try {
    owner = Number(readFileSync(file, 'utf8'));
    // An empty one is being written just now.
    return owner > 0 && !process.kill(owner, 0);
  } catch (error) {
    return owner > 0 && (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
