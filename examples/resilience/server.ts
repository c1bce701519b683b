import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

import {
  BrokenCircuitError,
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleWhen,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import { TieredCache, toCacheStatus } from 'soloflight';

/*
 * `GET /posts/:id` over a database that `POST /database/…` makes `down`, `hanging` and `up` again. cockatiel decides how
 * hard to try: retries, a breaker, a timeout. soloflight decides what to answer when all that failed.
 */

const { PORT = '3000', QUERY_MS = '50', TIMEOUT_MS = '300', HALF_OPEN_MS = '2000', TTL_MS = '2000' } = process.env;

interface Post {
  readonly id: string;
  readonly title: string;
}

let database = 'up';
let attempts = 0;

async function queryPost(id: string, signal: AbortSignal): Promise<Post> {
  attempts += 1;
  if (database === 'down') throw new Error('connect ECONNREFUSED');
  await setTimeout(database === 'hanging' ? 600_000 : Number(QUERY_MS), undefined, { signal });
  return { id, title: `Post ${id}` };
}

/** Thrown for an attempt that nobody waits for any more: no reason to retry, and none to open the breaker. */
class Departure extends Error {}

const breaker = circuitBreaker(
  handleWhen((error) => !(error instanceof Departure)),
  { breaker: new ConsecutiveBreaker(3), halfOpenAfter: Number(HALF_OPEN_MS) },
);
const attempt = wrap(
  retry(
    handleWhen((error) => !(error instanceof Departure || error instanceof BrokenCircuitError)),
    { maxAttempts: 2, backoff: new ExponentialBackoff({ initialDelay: 20, maxDelay: 100 }) },
  ),
  breaker,
  timeout(Number(TIMEOUT_MS), TimeoutStrategy.Cooperative),
);

const posts = new TieredCache<Post>({
  ttl: Number(TTL_MS),
  staleIfError: '1h',
  errorBackoff: { initial: '200ms', max: '1s' },
  upstream: (id, load) =>
    attempt.execute(async ({ signal }) => {
      try {
        return await queryPost(id, signal);
      } catch (error) {
        throw load.signal.aborted ? new Departure() : error;
      }
    }, load.signal),
});
posts.on('load-error', ({ key, error }) => console.warn(`Could not load post ${key}: ${String(error)}`));

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', shutDown).once('SIGINT', shutDown);

async function answer({ method, url = '/' }: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, id] = /^\/posts\/(\d{1,9})$/.exec(url) ?? [];
  const [, state] = /^\/database\/(up|down|hanging)$/.exec(url) ?? [];
  if (method === 'GET' && id !== undefined) {
    await answerPost(id, response);
  } else if (method === 'POST' && state !== undefined) {
    database = state;
    send(response, 200, { database });
  } else if (method === 'GET' && url === '/stats') {
    const { inFlight, fallbacks } = posts.getStats();
    send(response, 200, { attempts, breaker: CircuitState[breaker.state], inFlight, fallbacks });
  } else {
    send(response, 404, { error: 'Not found' });
  }
}

async function answerPost(id: string, response: ServerResponse): Promise<void> {
  const visit = new AbortController();
  // Also emitted when everything is sent; nothing listens to the signal then.
  response.once('close', () => visit.abort());

  try {
    const story = await posts.lookup(id, { signal: visit.signal });
    send(response, 200, story.value, {
      'cache-status': toCacheStatus(story),
      age: Math.floor(story.age / 1_000),
    });
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
