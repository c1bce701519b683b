// Fires 1,000 requests for one product at the same time, and prints how many requests the product API got.
const base = process.argv[2] ?? 'http://127.0.0.1:8787';
const productId = `SKU-${Date.now()}`;

const answers = await Promise.all(
  Array.from({ length: 1_000 }, async () => {
    const response = await fetch(`${base}/products?productId=${productId}`);
    return `${response.status} ${await response.text()}`;
  }),
);

const stats = (await (await fetch(`${base}/stats?productId=${productId}`)).json()) as { readonly loads: number };
console.log(
  `requests = ${answers.length}, different answers = ${new Set(answers).size}, upstream calls = ${stats.loads}`,
);
