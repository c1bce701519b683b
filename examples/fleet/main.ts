import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { startDatabase, type Database } from './database.ts';
import { startFront } from './front.ts';
import { startRedis, type Redis } from './redis.ts';

/* Four processes with a cache each, one Redis, one slow database: they behave like one. */

const PROCESSES = 4;
const POSTS = 50;
const VISITORS = Number(process.env['FLEET_VISITORS'] ?? 2_000);
const EDITS = 40;

const redis = await startRedis().catch(() => undefined);
if (redis === undefined) {
  console.error('This example needs redis-server. Install it, for example with: apt-get install redis-server');
  process.exit(1);
}
const database = await startDatabase(100);
const env = { ...process.env, REDIS_URL: redis.url, DATABASE_URL: database.url };
const servers = Array.from({ length: PROCESSES }, () =>
  fork(fileURLToPath(new URL('server.ts', import.meta.url)), { env }),
);
const ports = await Promise.all(servers.map(portOf));
const front = await startFront(ports);
const broken: string[] = [];

try {
  // All are connected, and have run once what is measured.
  await Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/posts/first`)).text()));
  await stampede(database);
  await disagreement(database);
  await outage(redis);
} finally {
  front.close();
  for (const server of servers) server.kill('SIGKILL');
  await redis.kill();
  database.close();
}
for (const promise of broken) console.error(`BROKEN: ${promise}`);
process.exitCode = broken.length === 0 ? 0 : 1;

/** Many visitors want the same posts, and no process has any of them yet. */
async function stampede({ queries }: Database): Promise<void> {
  const failures: string[] = [];
  await Promise.all(Array.from({ length: VISITORS }, (_, visitor) => visit(`${visitor % POSTS}`, failures)));
  const most = Math.max(...Array.from({ length: POSTS }, (_, post) => queries.get(`${post}`) ?? 0));
  console.log(
    `${VISITORS} visitors, ${POSTS} cold posts, ${PROCESSES} processes: ${most} load per post, ${failures.length} failed.`,
  );
  if (most !== 1) broken.push(`a post was loaded ${most} times`);
  tell(failures, 'visitors got no answer');
}

/** A post changes, and one process is told. How long do others show the old one? */
async function disagreement({ change }: Database): Promise<void> {
  const windows: number[] = [];
  for (let edit = 0; edit < EDITS; edit += 1) {
    const id = `${edit % POSTS}`;
    const text = change(id);
    await fetch(`${front.url}/posts/${id}`, { method: 'POST' });
    const since = performance.now();
    await Promise.all(ports.map((port) => untilSays(`http://127.0.0.1:${port}/posts/${id}`, text)));
    // All but the last one may have been reloading: the database alone takes 100 ms of it.
    windows.push(performance.now() - since);
  }
  windows.sort((left, right) => left - right);
  const [median, worst] = [windows[EDITS / 2]!, windows.at(-1)!].map((ms) => Math.max(0, Math.round(ms - 100)));
  console.log(
    `${EDITS} edits: all processes show the new post after ${median} ms beyond the load itself (worst ${worst} ms).`,
  );
}

/** Redis is killed, and comes back empty, while visitors come and go. */
async function outage({ kill, start }: Redis): Promise<void> {
  let asked = 0;
  const failures: string[] = [];
  const over = new AbortController();
  const visitors = Array.from({ length: 20 }, async () => {
    while (!over.signal.aborted) {
      asked += 1;
      await visit(`${asked % (2 * POSTS)}`, failures);
    }
  });
  await pause(500);
  await kill();
  await pause(1_500);
  await start();
  await pause(1_000);
  over.abort();
  await Promise.all(visitors);
  console.log(`Redis killed and started again: ${asked} requests meanwhile, ${failures.length} failed.`);
  tell(failures, 'requests failed while Redis was away');
}

/** Notes in `failures` why there was no answer, if there was none. */
async function visit(id: string, failures: string[]): Promise<void> {
  try {
    const response = await fetch(`${front.url}/posts/${id}`);
    const text = await response.text();
    if (response.status !== 200) failures.push(`${response.status} ${text}`);
  } catch (error) {
    failures.push(`${String(error)} ${String((error as Error).cause)}`);
  }
}

function tell(failures: readonly string[], what: string): void {
  if (failures.length > 0) broken.push(`${failures.length} ${what}, the first with: ${failures[0]}`);
}

async function untilSays(url: string, text: string): Promise<void> {
  for (;;) {
    const response = await fetch(url);
    if ((await response.text()) === text) return;
  }
}

async function portOf(server: ChildProcess): Promise<number> {
  const [port] = (await once(server, 'message')) as [number];
  return port;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
