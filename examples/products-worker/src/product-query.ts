/** The fields that the API knows. Any others would be rows in the object for nothing. */
export const FIELDS = ['name', 'price', 'currency', 'stock', 'updatedAt'] as const;

/** A client's question: a product, and which of its fields (none named: all). */
export interface ProductQuery {
  readonly productId: string;
  readonly fields: readonly string[];
}

const LONGEST = 256;

/** The query in `params`, or the reason why it is invalid. `price, name` and `name,price,name` are the same query. */
export function parseQuery(params: URLSearchParams): ProductQuery | string {
  const productId = params.get('productId')?.trim() ?? '';
  if (productId === '') return 'Expected `productId`, as in /products?productId=SKU123';
  // As a part of a path, encoded or not, these lead out of the folder of products.
  if (productId === '.' || productId === '..') return `\`productId\` can't be ${productId}`;
  const list = params.getAll('fields').join(',');
  if (productId.length > LONGEST || list.length > LONGEST)
    return `Expected \`productId\` and \`fields\` of at most ${LONGEST} characters`;
  const fields = new Set(list.split(',').map((field) => field.trim()));
  fields.delete('');
  const unknown = [...fields].find((field) => !(FIELDS as readonly string[]).includes(field));
  if (unknown !== undefined) return `There is no field ${JSON.stringify(unknown)}: ${FIELDS.join(', ')}`;
  return { productId, fields: [...fields].toSorted() };
}

/** One cache key per query. */
export function keyFor({ productId, fields }: ProductQuery): string {
  return new URLSearchParams([
    ['productId', productId],
    ...(fields.length === 0 ? [] : [['fields', fields.join(',')]]),
  ]).toString();
}

/** The query that {@link keyFor} turned into `key`. */
export function queryOf(key: string): ProductQuery {
  const params = new URLSearchParams(key);
  return { productId: params.get('productId') ?? '', fields: params.get('fields')?.split(',') ?? [] };
}
