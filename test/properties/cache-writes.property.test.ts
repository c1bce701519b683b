import { expect, test } from 'vitest';

import { defineStorage, mapStorage, TieredCache, type StorageTier } from '../../src/index.js';
import { checkInvariants, manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind, type WriteOutcome, type WriteQueue } from '../../src/writes/index.js';
import { fc, runs } from '../support/property.js';

const KEYS = ['a', 'b'] as const;

type Key = (typeof KEYS)[number];

type Command =
  | {
      readonly do: 'set' | 'update' | 'delete' | 'putPast' | 'deletePast' | 'get' | 'refresh' | 'invalidate';
      readonly key: Key;
    }
  | { readonly do: 'flush' | 'requeue' }
  /** Lets that many microtasks pass before the next command. */
  | { readonly do: 'turns'; readonly turns: number }
  /** Answers what the sink is asked; `deliver` asks it first. */
  | { readonly do: 'answer' | 'deliver'; readonly outcome: Outcome };

type Outcome = 'ok' | 'reject' | 'remote' | 'local' | 'fail';

/** How the parts of a run answer: microtasks until they do. */
interface Pace {
  readonly queue: number;
  readonly storage: number;
  readonly upstream: number;
  readonly memory: boolean;
  readonly merge: boolean;
}

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('set', 'update', 'putPast'), key: fc.constantFrom(...KEYS) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('delete', 'deletePast'), key: fc.constantFrom(...KEYS) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('get', 'refresh', 'invalidate'), key: fc.constantFrom(...KEYS) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('flush', 'requeue') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('turns'), turns: fc.nat(12) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('answer', 'deliver'),
      outcome: fc.constantFrom('ok', 'ok', 'ok', 'reject', 'remote', 'local', 'fail'),
    }),
  },
);

const pace: fc.Arbitrary<Pace> = fc.record({
  queue: fc.nat(6),
  storage: fc.nat(6),
  upstream: fc.nat(6),
  memory: fc.boolean(),
  merge: fc.boolean(),
});

/** A database behind a WriteBehind behind a cache, each as slow as it likes. Values tell the order in which they were made. */
class World {
  readonly database = new Map<string, string>([['a', '0,']]);
  readonly writes: WriteBehind<string>;
  readonly cache: TieredCache<string>;
  readonly #asked: ((outcome: Outcome) => void)[] = [];
  readonly #under: Promise<unknown>[] = [];
  #values = 0;

  constructor({ queue, storage, upstream, memory, merge }: Pace) {
    const clock = manualClock();
    this.writes = new WriteBehind<string>({
      clock,
      queue: slowed(memoryQueue(), queue),
      flushEvery: Infinity,
      resolve: (local, remote) => (local === undefined || remote.startsWith('remote') ? 'remote' : `${local}!`),
      ...(merge ? { merge: (_pending: string, incoming: string) => incoming } : {}),
      sink: (batch) =>
        new Promise((resolve, reject) =>
          this.#asked.push((outcome) => {
            if (outcome === 'fail') return reject(new Error('down'));
            resolve(batch.map(({ key, value }) => this.#take(key, value, outcome)));
          }),
        ),
    });
    this.cache = new TieredCache<string>({
      clock,
      ttl: '1h',
      ...(memory ? {} : { memory: false }),
      storage: slowedTier(mapStorage(), storage),
      upstream: async (key) => {
        await turns(upstream);
        const value = this.database.get(key);
        // What it read is on its way, while the database goes on.
        await turns(upstream);
        return value as string;
      },
      writes: this.writes,
    });
  }

  run(command: Command): void {
    this.#under.push(this.#do(command).catch(() => {}));
  }

  answer(outcome: Outcome): void {
    this.#asked.shift()?.(outcome);
  }

  async deliver(outcome: Outcome): Promise<void> {
    this.run({ do: 'flush' });
    for (let turn = 0; turn < 100 && this.#asked.length === 0; turn += 1) await null;
    this.answer(outcome);
  }

  /** Ends all that is under way, with what the sink is asked being answered by `outcome`. */
  async settle(outcome: Outcome): Promise<void> {
    const state = { over: false };
    const all = Promise.all(this.#under.splice(0)).then(() => (state.over = true));
    while (!state.over) {
      await turns(20);
      this.answer(outcome);
    }
    await all;
    await this.cache.idle();
  }

  /** What there is for `key`, when nothing is under way. */
  truth(key: Key): string | undefined {
    const write = this.writes.peek(key);
    return write === undefined ? this.database.get(key) : write.value;
  }

  async #do(command: Command): Promise<unknown> {
    switch (command.do) {
      case 'set':
        return this.cache.set(command.key, this.#next());
      case 'update':
        return this.cache.update(command.key, (current) => `${current ?? ''}${this.#next()}`.slice(-12));
      case 'delete':
        return this.cache.set(command.key, undefined as never);
      case 'putPast':
        return this.writes.put(command.key, this.#next());
      case 'deletePast':
        return this.writes.delete(command.key);
      case 'get':
      case 'refresh':
      case 'invalidate':
        return this.cache[command.do](command.key);
      case 'flush':
        return this.writes.flush();
      case 'requeue': {
        const [letter] = await this.writes.deadLetters.list();
        return letter === undefined ? undefined : this.writes.deadLetters.requeue(letter.id);
      }
      case 'turns':
      case 'answer':
      case 'deliver':
        return undefined;
    }
  }

  #take(key: string, value: string | undefined, outcome: Outcome): WriteOutcome<string> {
    if (outcome === 'reject') return { reject: 'no' };
    if (outcome === 'remote' && this.database.has(key)) return { conflict: 'remote' };
    if (outcome === 'local' && this.database.has(key)) return { conflict: this.database.get(key)! };
    if (value === undefined) this.database.delete(key);
    else this.database.set(key, value);
    return 'ok';
  }

  #next(): string {
    return `${(this.#values += 1)},`;
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await null;
}

/** `queue`, whose calls take `wait` microtasks; 0: they answer at once. */
function slowed(queue: WriteQueue, wait: number): WriteQueue {
  if (wait === 0) return queue;
  const { name } = queue;
  return {
    name,
    load: () => turns(wait).then(() => queue.load()),
    put: (writes) => turns(wait).then(() => queue.put(writes)),
    remove: (ids) => turns(wait).then(() => queue.remove(ids)),
    listDead: () => turns(wait).then(() => queue.listDead()),
  };
}

function slowedTier(tier: StorageTier, wait: number): StorageTier {
  if (wait === 0) return tier;
  return defineStorage({
    name: tier.name,
    get: (key) => turns(wait).then(() => tier.get(key)),
    set: (key, entry, keepUntil) => turns(wait).then(() => tier.set(key, entry, keepUntil)),
    delete: (key) => turns(wait).then(() => tier.delete(key)),
  });
}

test('a cache over a WriteBehind agrees with what is pending and what the database has, whatever came in between', async () => {
  await fc.assert(
    fc.asyncProperty(
      pace,
      fc.array(command, { maxLength: 40, size: 'max' }),
      fc.constantFrom<Outcome>('ok', 'reject'),
      async (pace, commands, end) => {
        const world = new World(pace);
        await world.writes.open();
        for (const command of commands) {
          if (command.do === 'turns') await turns(command.turns);
          else if (command.do === 'answer') world.answer(command.outcome);
          else if (command.do === 'deliver') await world.deliver(command.outcome);
          else world.run(command);
        }

        await world.settle(end);

        for (const key of KEYS) expect([key, await world.cache.get(key)]).toEqual([key, world.truth(key)]);
        expect(await world.cache.getMany(KEYS)).toEqual(KEYS.map((key) => world.truth(key)));
        await checkInvariants(world.cache);
      },
    ),
    { numRuns: runs(500) },
  );
});
