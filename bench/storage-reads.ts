import type { Candidate, Load } from './candidate.ts';
import { microseconds, ratio, type Findings, type Question } from './question.ts';
import { startRemoteStore, type RemoteStore } from './remote-store.ts';
import { figures, pause, ratios, takeTurns, warmUp, type Contestant } from './rounds.ts';
import { valueOf } from './upstream.ts';

const GROUPS = 100;
const SETTINGS = { ttl: 3_600_000, staleWhileRevalidate: 0, max: 10_000 };

export const question: Question = {
  title: 'Two storage reads in a row and a miss',
  method:
    'Memory is empty; one caller awaits two reads of keys that the storage holds, then one that it does not, which goes on to the upstream and is written back. The storage is a key-value server in another thread, over a socket. The measure is the same with bare commands: `get`, `get`, `get`, and a `set` that nobody awaits. A slower network makes the ratio smaller.',
  variants: ['all'],
  passes: 3,
  bound: 20_000,
  unable: (candidate) => (candidate.openStored ? undefined : 'put memory in front of a storage'),
  measure,
  tables: [
    {
      columns: [
        { heading: '× bare commands', variant: 'all', figure: 'ratio', show: ratio, targets: { soloflight: '≤ 1.08' } },
        { heading: 'per group of three', variant: 'all', figure: 'time', show: microseconds },
        { heading: 'bare commands', variant: 'all', figure: 'bare', show: microseconds },
        {
          heading: 'commands per hit',
          variant: 'all',
          figure: 'perHit',
          show: (count) => count.toFixed(2),
          targets: { soloflight: '1' },
        },
        {
          heading: 'commands per miss',
          variant: 'all',
          figure: 'perMiss',
          show: (count) => count.toFixed(2),
          targets: { soloflight: '2' },
        },
      ],
    },
  ],
};

async function measure(candidate: Candidate, _variant: string, quick: boolean): Promise<Findings> {
  const { openStored } = candidate;
  if (openStored === undefined) return {};
  const store = await startRemoteStore();
  const load: Load = async (key) => valueOf(key);
  const groups = quick ? GROUPS / 10 : GROUPS;
  const held = Array.from({ length: 2 * groups }, (_, i) => `post:${i}`);

  const bare: Reader = async (key) => {
    const payload = await store.get(`bare:${key}`);
    if (payload !== undefined) return JSON.parse(payload);
    const value = await load(key);
    void store.set(`bare:${key}`, JSON.stringify(value));
    return value;
  };
  const filling = openStored(load, SETTINGS, store);
  for (const key of held) {
    await bare(key);
    await filling.read(key);
  }
  await pause(50);

  const coldly = (): Reader => openStored(load, SETTINGS, store).read;
  const contestants = [threes('bare', () => bare, held), threes('candidate', coldly, held)];
  await warmUp(contestants, quick ? 0 : 300);
  const samples = await takeTurns(contestants, { rounds: quick ? 2 : 40, budget: 1_800, sweep: 'minor' });
  const commands = await countCommands(coldly(), store, held);
  await store.close();
  return {
    ratio: ratios(samples, 'candidate', 'bare', 'time'),
    time: figures(samples, 'candidate', 'time').map((ns) => ns / 1_000),
    bare: figures(samples, 'bare', 'time').map((ns) => ns / 1_000),
    ...commands,
  };
}

type Reader = (key: string) => unknown;

/** Keys that no storage holds; each is asked for once. */
let missing = 0;

function threes(name: string, open: () => Reader, held: readonly string[]): Contestant {
  return {
    name,
    async sample() {
      const read = open();
      const start = performance.now();
      for (let i = 0; i < held.length; i += 2) {
        await read(held[i] as string);
        await read(held[i + 1] as string);
        await read(`missing:${missing++}`);
      }
      const time = ((performance.now() - start) * 1e6) / (held.length / 2);
      // What was not awaited must not burden the next contestant.
      await pause(10);
      return { time };
    },
  };
}

async function countCommands(read: Reader, store: RemoteStore, held: readonly string[]): Promise<Findings> {
  const commandsOf = async (keys: readonly string[]): Promise<number[]> => {
    const before = store.commands;
    for (const key of keys) await read(key);
    await pause(50);
    return [(store.commands - before) / keys.length];
  };
  const perHit = await commandsOf(held.slice(0, 20));
  const perMiss = await commandsOf(Array.from({ length: 20 }, () => `missing:${missing++}`));
  return { perHit, perMiss };
}
