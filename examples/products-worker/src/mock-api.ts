/** How long the mock takes: long enough for a thousand requests to come meanwhile. */
const DELAY_MS = 200;

const FIELDS = ['name', 'price', 'currency', 'stock', 'updatedAt'] as const;

/** A product API to try this with: knows every product whose id starts with SKU, and fails for FAIL. */
export async function mockApi(url: URL): Promise<Response> {
  const productId = decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
  await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
  if (productId.startsWith('FAIL')) return Response.json({ error: 'out of order' }, { status: 500 });
  if (!productId.startsWith('SKU')) return Response.json({ error: 'no such product' }, { status: 404 });
  const product = {
    name: `Product ${productId}`,
    price: productId.length * 7 + 0.99,
    currency: 'EUR',
    stock: 42,
    updatedAt: new Date().toISOString(),
  };
  const wanted = url.searchParams.get('fields')?.split(',') ?? FIELDS;
  const chosen = FIELDS.filter((field) => wanted.includes(field)).map((field) => [field, product[field]]);
  return Response.json({ productId, ...Object.fromEntries(chosen) });
}
