import { loaded, type LoadContext, type Loaded } from 'soloflight';
import { CacheObject, type DurableCacheOptions } from 'soloflight/cloudflare';

import { queryOf, type ProductQuery } from './product-query.js';

/** Bindings and variables, as wrangler.jsonc sets them. */
export interface Env {
  readonly PRODUCTS: DurableObjectNamespace<Products>;
  readonly SELF: Fetcher;
  readonly PRODUCT_API_BASE: string;
  readonly FRESH_TTL_MS: string;
  readonly STALE_TTL_MS: string;
}

/** The API's answer: a product (200), or that it has none for this client (4xx). */
export interface ProductAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** One object per product, wherever its clients are: the API gets one request per expiry, not one per data centre. */
export class Products extends CacheObject<Env, ProductAnswer> {
  protected override configure({ FRESH_TTL_MS, STALE_TTL_MS }: Env): DurableCacheOptions<ProductAnswer> {
    const fresh = milliseconds('FRESH_TTL_MS', FRESH_TTL_MS);
    const stale = milliseconds('STALE_TTL_MS', STALE_TTL_MS);
    return {
      ttl: fresh,
      staleWhileRevalidate: Math.max(0, stale - fresh),
      staleIfError: '30d', // the last known good; after that the hourly sweep removes it
      idleTtl: '30d', // until nobody has asked for a month
      maxDuration: '10s',
      upstream: (key, load) => this.#load(queryOf(key), load),
    };
  }

  async #load(
    query: ProductQuery,
    { key, signal, stale }: LoadContext<ProductAnswer>,
  ): Promise<ProductAnswer | Loaded<ProductAnswer>> {
    const response = await this.#ask(query, signal);
    const body = await response.text();
    if (response.status >= 500) throw new Error(`The product API answered ${response.status}`);
    const contentType = response.headers.get('content-type') ?? 'application/json';
    const answer = { status: response.status, contentType, body };
    if (response.ok) {
      JSON.parse(body); // what is no JSON is a failure of the API, and no reason to forget the last good answer
      return answer;
    }
    // A product that is gone must not come back when the API is down tomorrow.
    if (stale !== undefined && (response.status === 404 || response.status === 410)) void this.cache.invalidate(key);
    return loaded(answer, { store: false });
  }

  #ask({ productId, fields }: ProductQuery, signal: AbortSignal): Promise<Response> {
    const path = `/products/${encodeURIComponent(productId)}`;
    const query = fields.length === 0 ? '' : `?fields=${fields.map(encodeURIComponent).join(',')}`;
    const { PRODUCT_API_BASE: base, SELF } = this.env;
    if (base === '') return SELF.fetch(`http://products-worker/mock${path}${query}`, { signal });
    return fetch(`${base.replace(/\/$/, '')}${path}${query}`, { signal });
  }
}

/** A variable of wrangler.jsonc, as it is meant. Said at once, and by its name: a cache would only complain of `ttl`. */
export function milliseconds(name: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new TypeError(`Expected ${name} to be a number of milliseconds, got ${JSON.stringify(text)}`);
}
