import { workerCache } from 'soloflight/cloudflare';

import { fetchIds } from './main-database.js';
import type { Env } from './profiles.js';

export { Profiles } from './profiles.js';

let users: ReturnType<typeof makeUsers> | undefined;

function makeUsers({ DATABASE_URL }: Env) {
  return workerCache<string[]>({
    ttl: '1m',
    staleIfError: '1d',
    upstream: (_key, { signal }) => fetchIds(DATABASE_URL, signal),
  });
}

// oxlint-disable-next-line import/no-default-export -- what the platform looks for
export default {
  /** Everything below `/api`; the page itself is served by the platform. */
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/api/health') return new Response(null, { status: 204 });
    if (pathname === '/api/users') return getUsers(request, env);
    const id = /^\/api\/profiles\/([\w-]{1,64})$/.exec(pathname)?.[1];
    if (id === undefined) return failure(404, 'NOT_FOUND', 'There is /api/users and /api/profiles/<id>');
    if (!['GET', 'HEAD', 'PATCH'].includes(request.method))
      return failure(405, 'METHOD_NOT_ALLOWED', `Use GET or PATCH, not ${request.method}`, {
        allow: 'GET, HEAD, PATCH',
      });
    const url = new URL(`/?key=${id}`, request.url);
    return env.PROFILES.getByName(id).fetch(new Request(url, request));
  },
} satisfies ExportedHandler<Env>;

async function getUsers(request: Request, env: Env): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return failure(405, 'METHOD_NOT_ALLOWED', 'Use GET', { allow: 'GET, HEAD' });
  try {
    users ??= makeUsers(env);
    return Response.json(await users.get('all'), { headers: { 'cache-control': 'no-store' } });
  } catch (error) {
    console.error('The users could not be read:', error);
    return failure(503, 'UNAVAILABLE', 'The users are not known right now', { 'retry-after': '1' });
  }
}

function failure(status: number, code: string, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { code, message } }, { status, headers: { 'cache-control': 'no-store', ...headers } });
}
