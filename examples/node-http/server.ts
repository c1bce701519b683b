import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

import { TieredCache, toCacheStatus } from 'soloflight';

/* `GET /posts/:id` over a slow database, with nothing but `node:http`. `GET /stats` counts its queries. */

const { PORT = '3000', QUERY_MS = '200' } = process.env;

interface Post {
  readonly id: string;
  readonly title: string;
}

let queries = 0;

/** Stands for a database that takes its time. It has posts 1 to 99, and fails for number 13. */
async function queryPost(id: string, signal: AbortSignal): Promise<Post | undefined> {
  queries += 1;
  await setTimeout(Number(QUERY_MS), undefined, { signal });
  if (id === '13') throw new Error('connect ECONNREFUSED');
  return /^[1-9]\d?$/.test(id) ? { id, title: `Post ${id}` } : undefined;
}

const posts = new TieredCache<Post | undefined>({
  ttl: '10s',
  staleWhileRevalidate: '1m',
  staleIfError: '1h',
  absentTtl: '10s',
  upstream: (id, { signal }) => queryPost(id, signal),
});
posts.on('load-error', ({ key, error }) => console.warn(`Could not load post ${key}: ${String(error)}`));

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', shutDown).once('SIGINT', shutDown);

async function answer({ method, url = '/' }: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = /^\/posts\/(\w+)$/.exec(url)?.[1];
  if (method !== 'GET') send(response, 405, { error: 'Only GET is allowed' }, { allow: 'GET' });
  else if (id !== undefined) await answerPost(id, response);
  else if (url === '/stats') send(response, 200, { queries, inFlight: posts.getStats().inFlight });
  else send(response, 404, { error: 'Not found' });
}

async function answerPost(id: string, response: ServerResponse): Promise<void> {
  const visit = new AbortController();
  // Also emitted when everything is sent; nothing listens to the signal then.
  response.once('close', () => visit.abort());

  try {
    const story = await posts.lookup(id, { signal: visit.signal });
    const headers = { 'cache-status': toCacheStatus(story), age: Math.floor(story.age / 1_000) };
    if (story.value === undefined) send(response, 404, { error: 'No such post' }, headers);
    else send(response, 200, story.value, headers);
  } catch {
    if (!visit.signal.aborted) send(response, 503, { error: 'Unavailable, try again later' }, { 'retry-after': 1 });
  }
}

function send(response: ServerResponse, status: number, content: object, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(content));
}

/** Requests under way have a second to finish. Idle connections, which browsers open ahead of need, end then, too. */
function shutDown(): void {
  server.close(() => void posts.close());
  void setTimeout(1_000, undefined, { ref: false }).then(() => server.closeAllConnections());
}
