import { DurableObject, env } from 'cloudflare:workers';
import { TieredCache } from 'soloflight';
import { CacheObject, durableCache, type DurableCacheOptions } from 'soloflight/cloudflare';

interface Env {
  readonly CONSTANT: DurableObjectNamespace<Constant>;
  readonly PRODUCTS: DurableObjectNamespace<Products>;
}
interface Product {
  readonly id: string;
  readonly name: string;
  readonly price: number;
}

const PRODUCT: Product = { id: 'SKU123', name: 'Product SKU123', price: 9.99 };
const { CONSTANT, PRODUCTS } = env as unknown as Env;

/** The floor of the objects: nothing but a value. */
export class Constant extends DurableObject {
  async get(_key: string): Promise<Product> {
    return PRODUCT;
  }

  override async fetch(): Promise<Response> {
    return Response.json(PRODUCT);
  }
}

export class Products extends CacheObject<Env, Product> {
  protected override configure(): DurableCacheOptions<Product> {
    return {
      ttl: '1h',
      upstream: async (id) => {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return { ...PRODUCT, id };
      },
    };
  }
}

const products = durableCache(PRODUCTS);
const front = new TieredCache<Product>({ ttl: '1h', upstream: products.upstream });

/** What a request for a path does, all with the same answer. */
const ways: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
  '/worker': async () => PRODUCT,
  '/memory': (key) => front.get(key),
  '/constant': (key) => CONSTANT.getByName(key).get(key),
  '/object': (key) => products.get(key),
  '/rush': async (key) => {
    const reads = await Promise.all(Array.from({ length: 100 }, () => products.get(key)));
    return { answers: reads.filter(({ id }) => id === key).length };
  },
  '/loads': async (key) => (await products.getStats(key)).loads,
};

// oxlint-disable-next-line import/no-default-export -- what the platform looks for
export default {
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const key = url.searchParams.get('key') ?? 'SKU123';
    if (url.pathname === '/constant-fetch') return CONSTANT.getByName(key).fetch('http://object/');
    if (url.pathname === '/object-fetch') return PRODUCTS.getByName(key).fetch(`http://object/?key=${key}`);
    return Response.json(await ways[url.pathname]?.(key));
  },
};
