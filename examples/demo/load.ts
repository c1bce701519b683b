import { Client } from './client.ts';
import { endWithParent, listen, now, tell } from './messages.ts';

/*
 * The visitors, a process of their own. Requests go out at the planned instants whether or not earlier ones were
 * answered, and latency counts from the planned instant: a slow server gets no fewer requests for being slow, and no
 * better figures.
 */

export interface LoadOptions {
  readonly port: number;
  readonly requests: number;
  /** Milliseconds over which the requests are spread evenly. */
  readonly over: number;
  /** Posts 1 to `posts` are requested in turn. */
  readonly posts: number;
}

/** Milliseconds after which a visitor gives up. */
const PATIENCE = 5_000;

endWithParent();
const { port, requests, over, posts } = JSON.parse(process.argv[2] ?? '') as LoadOptions;
// A file per connection, and some to spare for the process itself.
const client = new Client(port, openFilesLimit() - 100);
const latencies: number[] = [];
let failed = 0;

await warmUp();
tell({ kind: 'ready' });
listen((command) => {
  if (command.kind === 'start') sendFrom(command.at);
});

/** Both processes compile their hot code before the figures count, as in a server that has been running for a while. */
async function warmUp(): Promise<void> {
  for (let round = 0; round < 100; round++) {
    await Promise.all(Array.from({ length: 20 }, () => client.get('/health', now() + PATIENCE)));
  }
}

function sendFrom(start: number): void {
  const dueAt = (request: number): number => start + (request * over) / requests;
  let next = 0;
  const sending = setInterval(() => {
    while (next < requests && dueAt(next) <= now()) void visit(`/posts/${1 + (next % posts)}`, dueAt(next++));
    if (next === requests) clearInterval(sending);
  }, 1);
  const telling = setInterval(() => tell({ kind: 'failing', failed }), 100);

  async function visit(path: string, due: number): Promise<void> {
    const status = await client.get(path, due + PATIENCE);
    if (status !== 200) failed++;
    if (latencies.push(now() - due) < requests) return;
    clearInterval(telling);
    tell({ kind: 'done', load: { latencies, failed, sentWithin: client.lastSentAt - start } });
  }
}

function openFilesLimit(): number {
  const report = process.report.getReport() as {
    readonly userLimits?: { readonly open_files?: { readonly soft: unknown } };
  };
  const limit = report.userLimits?.open_files?.soft;
  return typeof limit === 'number' ? limit : Infinity;
}
