import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import makeFetchHappen from 'make-fetch-happen';
import { lruMemory } from 'soloflight';
import { cachedFetch, sizeOfResponse } from 'soloflight/http';
import { Agent, cacheStores, fetch as undiciFetch, interceptors } from 'undici';

import { startBenchOrigin } from './http-origin.ts';
import { figures, median, takeTurns, warmUp, type Contestant } from './rounds.ts';

/*
 * `node --expose-gc bench/http.ts [--quick]`: HTTP caches side by side, in one process, before one origin. A hit is a
 * `fetch` whose body is read; a crowd is 1,000 of them at once for a URL that nobody asked for before.
 */

interface Peer {
  readonly name: string;
  readonly fetch: (url: string) => Promise<{ arrayBuffer(): Promise<ArrayBuffer> }>;
}

const SIZES = { '1 kB': 1_000, '100 kB': 100_000 };
const CROWD = 1_000;

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const folder = await mkdtemp(join(tmpdir(), 'soloflight-http-bench-'));
const origin = await startBenchOrigin();
const ours = cachedFetch({ cache: { memory: lruMemory({ maxSize: 200_000_000, sizeOf: sizeOfResponse }) } });
const agent = new Agent().compose(interceptors.cache({ store: new cacheStores.MemoryCacheStore() }));
const onDisk = makeFetchHappen.defaults({ cachePath: folder });
const peers: readonly Peer[] = [
  { name: 'soloflight `cachedFetch`', fetch: (url) => ours(url) },
  { name: '`undici` cache interceptor, in memory', fetch: (url) => undiciFetch(url, { dispatcher: agent }) },
  { name: '`make-fetch-happen`, on disk', fetch: (url) => onDisk(url) },
  { name: 'no cache: `fetch`', fetch: (url) => fetch(url) },
];

const columns: (readonly [heading: string, column: ReadonlyMap<string, string>])[] = [];
for (const [label, size] of Object.entries(SIZES)) columns.push([`${label} hits per second`, await hits(size)]);
columns.push([`origin requests for ${CROWD.toLocaleString('en-US')} at once`, await crowds()]);
const rows = peers.map(({ name }) => `| ${name} | ${columns.map(([, column]) => column.get(name)).join(' | ')} |`);
console.log(`Node ${process.version}, ${cpus()[0]?.model.trim()}, ${new Date().toISOString().slice(0, 10)}.\n`);
console.log(
  `| | ${columns.map(([heading]) => heading).join(' | ')} |\n| --- | ${columns.map(() => '---:').join(' | ')} |`,
);
console.log(rows.join('\n'));
await origin.close();
await agent.close();
await rm(folder, { recursive: true, force: true });

/** Hits one after another: the time of each, and from it how many fit into a second. */
async function hits(size: number): Promise<ReadonlyMap<string, string>> {
  const contestants = peers.map(({ name, fetch }): Contestant => ({ name, sample: () => sample(fetch, size) }));
  await warmUp(contestants, flags.quick ? 0 : 300);
  const samples = await takeTurns(contestants, { rounds: flags.quick ? 3 : 40, budget: 20_000, sweep: 'minor' });
  return new Map(
    peers.map(({ name }) => [name, Math.round(1e9 / median(figures(samples, name, 'time'))).toLocaleString('en-US')]),
  );
}

async function sample(fetch: Peer['fetch'], size: number): Promise<{ time: number }> {
  const count = flags.quick ? 20 : 100;
  const start = process.hrtime.bigint();
  for (let at = 0; at < count; at += 1) {
    const { byteLength } = await (await fetch(`${origin.url}/${size}/${at % 10}`)).arrayBuffer();
    if (byteLength !== size) throw new Error(`Expected ${size} bytes, got ${byteLength}`);
  }
  return { time: Number(process.hrtime.bigint() - start) / count };
}

async function crowds(): Promise<ReadonlyMap<string, string>> {
  const asked = new Map<string, string>();
  for (const [index, { name, fetch }] of peers.entries()) {
    const before = await origin.count();
    const url = `${origin.url}/1000/crowd-${index}`;
    await Promise.all(Array.from({ length: CROWD }, async () => (await fetch(url)).arrayBuffer()));
    asked.set(name, ((await origin.count()) - before).toLocaleString('en-US'));
  }
  return asked;
}
