import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

import express from 'express';
import type { NextFunction, Request, Response } from 'express';
import { Singleflight, TieredCache, toCacheStatus } from 'soloflight';

/*
 * `GET /posts/:id` over a slow database, with Express 5. The cache saves queries. A `Singleflight` in front of it lets
 * simultaneous requests share one answer, and tells `GET /metrics/singleflight` how many of them wait.
 */

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
  return /^[1-9]\d?$/.test(id) ? { id, title: `Post ${id}, as of query ${queries}` } : undefined;
}

const posts = new TieredCache<Post | undefined>({
  ttl: '10s',
  staleWhileRevalidate: '1m',
  staleIfError: '1h',
  absentTtl: '10s',
  upstream: (id, { signal }) => queryPost(id, signal),
});
const answers = new Singleflight();

const app = express();

app.get('/posts/:id', async ({ params: { id } }, response) => {
  const visit = new AbortController();
  // Also emitted when everything is sent; nothing listens to the signal then.
  response.once('close', () => visit.abort());

  const { result, role } = answers.join(id, ({ signal }) => posts.lookup(id, { signal }), { signal: visit.signal });
  const story = { ...(await result), role };
  response.set({ 'cache-status': toCacheStatus(story), age: String(Math.floor(story.age / 1_000)) });
  if (story.value === undefined) response.status(404).json({ error: 'No such post' });
  else response.json(story.value);
});

app.post('/posts/:id/invalidate', async ({ params: { id } }, response) => {
  // Later requests must not join earlier ones.
  answers.forget(id);
  response.json({ invalidated: await posts.invalidate(id) });
});

app.get('/metrics/singleflight', (_request, response) => {
  const { inFlightCount, totalSubscribers, oldestCallAge } = answers.getStats();
  response.json({
    in_flight_count: inFlightCount,
    total_subscribers: totalSubscribers,
    oldest_call_age_ms: oldestCallAge,
  });
});

app.get('/stats', (_request, response) => {
  response.json({ queries });
});

app.use((_request, response) => {
  response.status(404).json({ error: 'Not found' });
});

// Four parameters tell Express that this handler is for errors.
app.use((error: unknown, { path }: Request, response: Response, _next: NextFunction) => {
  // The client is gone.
  if (response.destroyed) return;
  if (error instanceof URIError) {
    response.status(400).json({ error: 'Bad request' });
    return;
  }
  console.warn(`Could not answer ${path}: ${String(error)}`);
  response.status(503).set('retry-after', '1').json({ error: 'Unavailable, try again later' });
});

const server = app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', shutDown).once('SIGINT', shutDown);

/** Requests under way have a second to finish. Idle connections, which browsers open ahead of need, end then, too. */
function shutDown(): void {
  server.close(() => void posts.close());
  void setTimeout(1_000, undefined, { ref: false }).then(() => server.closeAllConnections());
}
