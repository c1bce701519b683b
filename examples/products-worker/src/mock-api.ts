import { FIELDS } from './product-query.js';

/** How long the mock takes: long enough for a thousand requests to come meanwhile. */
const DELAY_MS = 200;

/** A product API to try this with: knows every product whose id starts with SKU, and fails for FAIL. */
export async function mockApi(url: URL): Promise<Response> {
  const id = decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
  await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
  if (id.startsWith('FAIL')) return Response.json({ error: 'out of order' }, { status: 500 });
  if (!id.startsWith('SKU')) return Response.json({ error: 'no such product' }, { status: 404 });
  const product = {
    name: `Product ${id}`,
    price: id.length * 7 + 0.99,
    currency: 'EUR',
    stock: 42,
    updatedAt: new Date().toISOString(),
  };
  const wanted = url.searchParams.get('fields')?.split(',') ?? [...FIELDS];
  const chosen = FIELDS.filter((field) => wanted.includes(field)).map((field) => [field, product[field]]);
  return Response.json({ id, ...Object.fromEntries(chosen) });
}
