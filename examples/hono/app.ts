import { Hono } from 'hono';
import { TieredCache, toCacheStatus } from 'soloflight';

/* `GET /posts/:id` over a slow database, with Hono. Nothing here needs Node: `Deno.serve(createApp().app.fetch)` serves it too. */

interface Post {
  readonly id: string;
  readonly title: string;
}

/** The app, and the cache to close when it ends. Each query takes `queryMs` milliseconds. */
export function createApp(queryMs = 200) {
  let queries = 0;

  /** Stands for a database that takes its time. It has posts 1 to 99, and fails for number 13. */
  const queryPost = async (id: string, signal: AbortSignal): Promise<Post | undefined> => {
    queries += 1;
    await pause(queryMs, signal);
    if (id === '13') throw new Error('connect ECONNREFUSED');
    return /^[1-9]\d?$/.test(id) ? { id, title: `Post ${id}` } : undefined;
  };

  const posts = new TieredCache<Post | undefined>({
    ttl: '10s',
    staleWhileRevalidate: '1m',
    staleIfError: '1h',
    absentTtl: '10s',
    upstream: (id, { signal }) => queryPost(id, signal),
  });
  posts.on('load-error', ({ key, error }) => console.warn(`Could not load post ${key}: ${String(error)}`));

  const app = new Hono()
    .get('/posts/:id', async (context) => {
      const story = await posts.lookup(context.req.param('id'), { signal: context.req.raw.signal });
      context.header('cache-status', toCacheStatus(story));
      context.header('age', String(Math.floor(story.age / 1_000)));
      return story.value === undefined ? context.json({ error: 'No such post' }, 404) : context.json(story.value);
    })
    .get('/stats', (context) => context.json({ queries, inFlight: posts.getStats().inFlight }))
    .notFound((context) => context.json({ error: 'Not found' }, 404))
    .onError((_error, context) => context.json({ error: 'Unavailable, try again later' }, 503, { 'retry-after': '1' }));
  return { app, posts };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    const giveUp = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', giveUp, { once: true });
  });
}
