import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { LRUCache } from 'lru-cache';
import { lruMemory, sieveMemory, TieredCache, type Entry, type MemoryTier } from 'soloflight';

import type { Value } from './candidate.ts';
import { ownLoops, ownLruCache } from './own-copies.ts';
import { percent, ratio } from './question.ts';
import { machine } from './report.ts';
import { loopOf, median, ratios, takeTurns } from './rounds.ts';
import { valueOf } from './upstream.ts';

/*
 * `npm run bench:hit-ratio [-- --quick --seed 1]` sets the memory tiers beside each other: how often LRU and SIEVE find what
 * is asked for, on traces drawn from one seed, and what a read takes. It prints, and writes nothing.
 */

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, seed: { type: 'string' }, time: { type: 'string' } },
});
const seed = Number(flags.seed ?? Date.now() % 2 ** 31);
const random = mulberry32(seed);

const KEYS = 100_000;
const SIZES = [KEYS / 100, KEYS / 10];
const REQUESTS = flags.quick ? 100_000 : 2_000_000;
/** The first requests fill the memory and count for nothing. */
const UNCOUNTED = REQUESTS / 4;

const MEMORIES = { lruMemory, sieveMemory };
type Name = keyof typeof MEMORIES;

/** The key of the next request. */
type Trace = () => number;

/** Traces by name, for a memory of `max` entries. */
const TRACES: Readonly<Record<string, (max: number) => Trace>> = {
  'Zipf 0.6': () => zipf(KEYS, 0.6),
  'Zipf 0.8': () => zipf(KEYS, 0.8),
  'Zipf 1.0': () => zipf(KEYS, 1),
  'Zipf 1.2': () => zipf(KEYS, 1.2),
  'Zipf 0.8, and scans': (max) => withScans(zipf(KEYS, 0.8), max),
  'Zipf 1.0, and scans': (max) => withScans(zipf(KEYS, 1), max),
  'loop over 1.1 × the memory': (max) => loop(1.1 * max),
  'loop over 2 × the memory': (max) => loop(2 * max),
  'hot set that jumps': (max) => hotSet(max, (step) => Math.floor(step / (20 * max)) * (max / 2)),
  'hot set that drifts': (max) => hotSet(max, (step) => Math.floor(step / 40)),
};

if (flags.time === undefined) await report();
else console.log(JSON.stringify(await timesOf(flags.time)));

async function report(): Promise<void> {
  console.log(`${machine()}, seed ${seed}\n`);
  console.log('| hits | LRU | SIEVE | LRU | SIEVE |\n| --- | ---: | ---: | ---: | ---: |');
  console.log(
    `| entries in memory | ${SIZES.flatMap((max) => [max, max].map((size) => size.toLocaleString('en-US'))).join(' | ')} |`,
  );
  for (const [name, traceFor] of Object.entries(TRACES)) {
    const cells = SIZES.flatMap((max) => hitRatios(traceFor(max), max)).map(percent);
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
  console.log('\n| time of a read, × `lru-cache` | one hot key | 10,000 keys, Zipf 1.0 |\n| --- | ---: | ---: |');
  for (const face of ['get', 'await']) {
    for (const name of Object.keys(MEMORIES)) {
      const { hot, many } = await timesInOwnProcess(`${face} ${name}`);
      console.log(
        `| ${face === 'get' ? `\`${name}().get\`` : `\`await cache.get\` over \`${name}\``} | ${ratio(hot)} | ${ratio(many)} |`,
      );
    }
  }
}

/** How many of the same requests LRU and SIEVE can answer, in this order. */
function hitRatios(trace: Trace, max: number): number[] {
  const lru = new LRUCache<string, Entry<number>>({ max });
  const sieve = sieveMemory<number>({ max });
  const hits = [0, 0];
  for (let request = 0; request < REQUESTS; request++) {
    const key = String(trace());
    for (const [index, memory] of [lru, sieve].entries()) {
      if (memory.get(key) === undefined) memory.set(key, entryOf(0));
      else if (request >= UNCOUNTED) hits[index]! += 1;
    }
  }
  return hits.map((count) => count / (REQUESTS - UNCOUNTED));
}

interface Times {
  readonly hot: number;
  readonly many: number;
}

/** In a process of its own, so that V8 compiles the code for one memory. */
async function timesInOwnProcess(what: string): Promise<Times> {
  const args = ['--expose-gc', fileURLToPath(import.meta.url), '--time', what, '--seed', String(seed)];
  return JSON.parse(execFileSync(process.execPath, [...args, ...(flags.quick ? ['--quick'] : [])]).toString()) as Times;
}

async function timesOf(what: string): Promise<Times> {
  const [face, name] = what.split(' ') as ['get' | 'await', Name];
  const draw = zipf(10_000, 1);
  const keys = Array.from({ length: 2 ** 16 }, () => `post:${draw()}`);
  return { hot: await timeOf(face, name, ['post:42']), many: await timeOf(face, name, keys) };
}

/** The time of a read of `keys` in turn, all of which memory holds, divided by that of a raw lru-cache. */
async function timeOf(face: 'get' | 'await', name: Name, keys: readonly string[]): Promise<number> {
  const max = 20_000;
  const { LRUCache: OwnLru } = await ownLruCache(`reference ${keys.length}`);
  const lru = new OwnLru<string, Entry<Value>>({ max });
  const memory: MemoryTier<Value> = MEMORIES[name]<Value>({ max });
  const cache = new TieredCache<Value>({ ttl: '1h', memory, upstream: (key) => valueOf(key) });
  for (const key of new Set(keys)) {
    lru.set(key, entryOf(valueOf(key)));
    await cache.get(key);
  }
  const reference = await ownLoops(`reference ${keys.length}`);
  const candidate = await ownLoops(`candidate ${keys.length}`);
  const ms = flags.quick ? 1 : 10;
  const contestants =
    face === 'get'
      ? [
          await loopOf('reference', ms, (count) => reference.peekInTurn((key) => lru.get(key)?.value, keys, count, 0)),
          await loopOf('candidate', ms, (count) =>
            candidate.peekInTurn((key) => memory.get(key)?.value, keys, count, 0),
          ),
        ]
      : [
          await loopOf('reference', ms, (count) => reference.readInTurn((key) => lru.get(key)!.value!, keys, count, 0)),
          await loopOf('candidate', ms, (count) => candidate.readInTurn((key) => cache.get(key), keys, count, 0)),
        ];
  const samples = await takeTurns(contestants, { rounds: flags.quick ? 3 : 100, budget: 6_000, sweep: 'minor' });
  await cache.close();
  return median(ratios(samples, 'candidate', 'reference', 'time'));
}

function entryOf<V>(value: V): Entry<V> {
  const at = 1_000;
  return {
    ...{ value, startedAt: at, createdAt: at, freshUntil: at, staleUntil: at, errorUntil: at },
    ...{ loadMs: 0, tags: [], meta: undefined },
  };
}

/** Draws from `count` keys, of which the nth popular comes up in proportion to 1 / n^skew. */
function zipf(count: number, skew: number): Trace {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) sums[rank] = sum += (rank + 1) ** -skew;
  return () => {
    const drawn = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** After every ten memories' worth of requests, two memories' worth of keys that come once. */
function withScans(trace: Trace, max: number): Trace {
  let [step, scanned] = [0, KEYS];
  return () => (step++ % (12 * max) < 10 * max ? trace() : scanned++);
}

function loop(length: number): Trace {
  let step = 0;
  return () => step++ % Math.floor(length);
}

/** Nine of ten requests go to as many keys as fill half of the memory, which move on; the rest to any key. */
function hotSet(max: number, firstAt: (step: number) => number): Trace {
  let step = 0;
  return () => {
    step++;
    return random() < 0.9 ? (firstAt(step) + Math.floor((random() * max) / 2)) % KEYS : Math.floor(random() * KEYS);
  };
}

/** Chance that can be repeated. */
function mulberry32(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
