import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections, so that none of those takes one between two starts of a server. */
const LOWEST = 10_000;
const HIGHEST = 20_000;
/** The nodes of a Redis cluster talk to each other on their port plus this. */
const BUS = 10_000;
const TRIES = 100;

/** A loopback port that nobody listens on, and neither on its cluster bus port. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST);
    if ((await isFree(port)) && (await isFree(port + BUS))) return port;
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
