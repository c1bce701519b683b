import { toCacheStatus, type Lookup } from 'soloflight';
import { durableCache, type DurableCacheClient } from 'soloflight/cloudflare';

import { mockApi } from './mock-api.js';
import { keyFor, parseQuery, queryOf } from './product-query.js';
import { milliseconds, type Env, type ProductAnswer } from './products.js';

export { Products } from './products.js';

// oxlint-disable-next-line import/no-default-export -- what the platform looks for
export default {
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith('/mock/products/')) return mockApi(url);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return failure(405, `Use GET, not ${request.method}`, { allow: 'GET, HEAD' });
    const mistake = mistakeIn(env);
    if (mistake !== undefined) return failure(500, mistake);
    const products = durableCache(env.PRODUCTS, { route: (key) => queryOf(key).productId });
    if (url.pathname === '/products') return getProduct(products, url.searchParams);
    if (url.pathname === '/stats') return getStats(products, url.searchParams);
    return failure(404, 'There is /products?productId=… and /stats?productId=…');
  },
} satisfies ExportedHandler<Env>;

/** What is wrong with the variables, for whoever deploys this. */
function mistakeIn({ FRESH_TTL_MS, STALE_TTL_MS }: Env): string | undefined {
  try {
    milliseconds('FRESH_TTL_MS', FRESH_TTL_MS);
    milliseconds('STALE_TTL_MS', STALE_TTL_MS);
    return undefined;
  } catch (error) {
    console.error(error);
    return String(error);
  }
}

async function getProduct(products: DurableCacheClient<ProductAnswer>, params: URLSearchParams): Promise<Response> {
  const query = parseQuery(params);
  if (typeof query === 'string') return failure(400, query);
  try {
    return respond(await products.lookup(keyFor(query)));
  } catch (error) {
    console.error(`No answer for product ${query.productId}:`, error);
    return failure(503, 'The product is not available right now', { 'retry-after': '1' });
  }
}

/** The counts of a product's object since it was last loaded into memory. */
async function getStats(products: DurableCacheClient<ProductAnswer>, params: URLSearchParams): Promise<Response> {
  const query = parseQuery(params);
  if (typeof query === 'string') return failure(400, query);
  const { loads, loadFailures, hits, staleHits, coalesced } = await products.getStats(keyFor(query));
  return Response.json({ loads, loadFailures, hits, staleHits, coalesced });
}

/** Passes a refusal of the API on. For a product, adds its age and how long it may be kept. */
function respond(lookup: Lookup<ProductAnswer>): Response {
  const { value, age, freshFor, staleFor } = lookup;
  const headers = { 'content-type': value.contentType, 'cache-status': toCacheStatus(lookup, 'products') };
  if (value.status !== 200)
    return new Response(value.body, { status: value.status, headers: { ...headers, 'cache-control': 'no-store' } });
  const [maxAge, stale] = [seconds(age + freshFor), seconds(staleFor - freshFor)];
  return new Response(value.body, {
    headers: {
      ...headers,
      age: String(seconds(age)),
      'cache-control': `max-age=${maxAge}, stale-while-revalidate=${stale}`,
    },
  });
}

function failure(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers: { 'cache-control': 'no-store', ...headers } });
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
