import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

/* An HTTP origin in a thread of its own: `/<bytes>/<anything>` is a body of so many bytes, fresh for an hour. `/count` tells how often it was asked. */

export interface BenchOrigin {
  readonly url: string;
  readonly count: () => Promise<number>;
  readonly close: () => Promise<unknown>;
}

export async function startBenchOrigin(): Promise<BenchOrigin> {
  const worker = new Worker(new URL(import.meta.url));
  const port = await new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    count: async () => Number(await (await fetch(`${url}/count`)).text()),
    close: () => worker.terminate(),
  };
}

function serve(): void {
  let asked = 0;
  const server = createServer((request, response) => {
    const [, size = '', name] = (request.url ?? '').split('/');
    if (size === 'count') return void response.end(String(asked));
    asked += 1;
    const body = 'x'.repeat(Number(size));
    const headers = { 'cache-control': 'max-age=3600', 'content-type': 'text/plain', etag: `"${name}"` };
    setTimeout(() => response.writeHead(200, { ...headers, 'content-length': body.length }).end(body), 5);
  });
  // Longer than any run, and room for a crowd: a request on a connection that is being closed would fail.
  server.keepAliveTimeout = 600_000;
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () =>
    parentPort?.postMessage((server.address() as AddressInfo).port),
  );
}

if (!isMainThread) serve();
