import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';

import type { Outcome } from './database/profile-table.ts';
import { startDatabase, type Batch } from './database/server.ts';

/* Builds the page, and starts the main database and the Worker that serves the page. All of it on loopback. */

const { PORT = '8787', DATABASE_PORT = '8788', FLUSH_EVERY_MS = '60000' } = process.env;
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const DATA = process.env['DATA'] ?? here('.data');

const quiet = { WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_HIDE_BANNER: 'true' };

mkdirSync(DATA, { recursive: true });
await build({ configFile: here('vite.config.ts'), logLevel: 'warn' });
const database = await startDatabase(`${DATA}/profiles.sqlite`, { port: Number(DATABASE_PORT), arrived: print });
const worker = startWorker(database.url);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => worker.kill('SIGTERM'));

const url = await addressOf(worker).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
});
if (url !== undefined) {
  console.log(`The page: ${url}`);
  console.log(`The main database: ${database.url}. An edit past all caches, as from somebody's script:`);
  console.log(`  node examples/cache-sync/elsewhere.ts ada name "Ada King" ${database.url}`);
  await once(worker, 'close');
}
await database.close();
process.exitCode = url === undefined ? 1 : 0;

/** The Worker under `wrangler dev`, in a group of its own, so that Ctrl+C reaches it from here alone. */
function startWorker(databaseUrl: string): ChildProcess {
  const wrangler = fileURLToPath(new URL('../../node_modules/wrangler/bin/wrangler.js', import.meta.url));
  const options = {
    ...{ ip: '127.0.0.1', port: PORT, 'inspector-port': '0', 'persist-to': `${DATA}/objects` },
    'show-interactive-dev-session': 'false',
  };
  const variables = [`DATABASE_URL:${databaseUrl}`, `FLUSH_EVERY_MS:${FLUSH_EVERY_MS}`];
  return spawn(
    process.execPath,
    [
      ...[wrangler, 'dev', ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)],
      ...variables.flatMap((variable) => ['--var', variable]),
    ],
    {
      cwd: here('.'),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...quiet, NO_COLOR: '1' },
    },
  );
}

async function addressOf(worker: ChildProcess): Promise<string> {
  let output = '';
  const ready = new Promise<string>((resolve) => {
    for (const stream of [worker.stdout, worker.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const address = /Ready on (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
        if (address !== undefined) resolve(address);
      });
    }
  });
  const ended = once(worker, 'close').then(() => {
    throw new Error(`The Worker did not start:\n${output}`);
  });
  return Promise.race([ready, ended]);
}

/** What a batch brought, so that it can be seen how few there are. */
function print({ deliveries, outcomes }: Batch): void {
  const writes = deliveries.map(
    ({ key, value }, index) => `${key} ${wordFor(outcomes[index]!)} (${value.name.value}, ${value.mail.value})`,
  );
  console.log(`Batch of ${deliveries.length}: ${writes.join('; ')}`);
}

function wordFor(outcome: Outcome): string {
  if (outcome === 'ok') return 'stored';
  return 'conflict' in outcome ? 'in conflict' : `rejected: ${outcome.reject}`;
}
