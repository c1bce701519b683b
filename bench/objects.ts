import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';

import { answersWithin } from './objects/load.ts';

/*
 * `node bench/objects.ts [--quick]` measures what a Durable Object's cache costs beside one that only gives a constant, and
 * what a Worker's memory costs beside a Worker that only gives a constant: requests per second over a socket of workerd's
 * own, without a proxy. Pairs take turns; the ratios are medians over all rounds. Then a rush on a cold key.
 */

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const [rounds, sample] = flags.quick ? [3, 200] : [21, 400];
const CONNECTIONS = 32;

const pairs = [
  ['a hit in the memory of the Worker / a Worker alone', '/memory', '/worker', 0.8],
  ['a hit in the object / an object with a constant, by RPC', '/object', '/constant', 0.7],
  ['a hit in the object / an object with a constant, by fetch', '/object-fetch', '/constant-fetch', 0.7],
] as const;

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL('objects/worker.ts', import.meta.url))],
  bundle: true,
  minify: true,
  format: 'esm',
  external: ['cloudflare:workers'],
  write: false,
});
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    name: 'bench',
    modules: [{ type: 'ESModule', path: 'worker.js', contents: outputFiles[0]?.text ?? '' }],
    compatibilityDate: '2026-10-23',
    durableObjects: {
      CONSTANT: { className: 'Constant', useSQLite: true },
      PRODUCTS: { className: 'Products', useSQLite: true },
    },
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    cf: false,
  }),
);
try {
  const base = await miniflare.unsafeGetDirectURL('bench');
  for (const path of pairs.flatMap(([, ...paths]) => paths.slice(0, 2)))
    await answersWithin(new URL(String(path), base), CONNECTIONS, sample);
  for (const [what, path, floor, target] of pairs) console.log(await compare(base, what, path, floor, target));
  console.log(await rush(base));
} finally {
  await miniflare.dispose();
}

async function compare(base: URL, what: string, path: string, floor: string, target: number): Promise<string> {
  const ratios: number[] = [];
  const rates: [number, number] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    // The order changes, so that what a sample leaves behind is charged to both.
    const paths = round % 2 === 0 ? [path, floor] : [floor, path];
    const counts = new Map<string, number>();
    for (const each of paths) counts.set(each, await answersWithin(new URL(each, base), CONNECTIONS, sample));
    const [own = 0, other = 0] = [counts.get(path), counts.get(floor)];
    rates[0] += own;
    rates[1] += other;
    ratios.push(own / other);
  }
  const [own, other] = rates.map((count) => Math.round((count * 1_000) / (sample * rounds)).toLocaleString('en'));
  return `${what}: ${Math.round(100 * median(ratios))} % (target ≥ ${100 * target} %), ${own} / ${other} requests a second`;
}

/** A hundred requests at once, each of which asks a hundred times at once: more sockets than that are not to be had everywhere. */
async function rush(base: URL): Promise<string> {
  const visits = Array.from({ length: 100 }, async () => {
    const response = await fetch(new URL('/rush?key=cold', base));
    return ((await response.json()) as { readonly answers: number }).answers;
  });
  const answers = (await Promise.all(visits)).reduce((sum, count) => sum + count, 0);
  const loads = await (await fetch(new URL('/loads?key=cold', base))).text();
  return `${answers.toLocaleString('en')} reads at once of a cold key: ${loads} upstream calls`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
