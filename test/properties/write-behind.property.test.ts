import { expect, test } from 'vitest';

import type { Clock, QueuedWrite, WriteQueue } from '../../src/contracts.js';
import { manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind, type PendingWrite, type WriteOutcome } from '../../src/writes/index.js';
import { fc, runs } from '../support/property.js';

const KEYS = ['a', 'b', 'c'] as const;
const MAX_DURATION = 500;

type Key = (typeof KEYS)[number];
/** What was put, in order: `merge` makes one list of two. */
type Tokens = readonly number[];
type Answer = 'ok' | 'retry' | 'reject' | 'conflict' | 'garbage';
type Failure = 'fail' | 'landAndFail' | 'short';

interface Call {
  readonly writes: readonly PendingWrite<Tokens>[];
  readonly givenUpAt: number;
  readonly resolve: (outcomes: readonly WriteOutcome<Tokens>[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** A process: what it started is void once it was killed. */
interface Life {
  alive: boolean;
  readonly calls: Call[];
  readonly held: { readonly land: () => unknown; readonly go: () => void }[];
  readonly writes: WriteBehind<Tokens>;
}

/** The naive model: what was acknowledged, and what a sink that remembers ids has made of it. */
class World {
  readonly #clock = manualClock();
  readonly #store = memoryQueue();
  readonly #acknowledged: Record<Key, Set<number>> = { a: new Set(), b: new Set(), c: new Set() };
  readonly #taken: Record<Key, number[]> = { a: [], b: [], c: [] };
  /** The first token of the last write delivered. */
  readonly #latest: Record<Key, number> = { a: 0, b: 0, c: 0 };
  readonly #seen = new Map<string, string>();
  readonly #takenIds = new Set<string>();
  readonly #broken: string[] = [];
  readonly #merging: boolean;
  #token = 0;
  #holding = false;
  #failing: 'put' | 'remove' | undefined;
  #life: Life;

  constructor(merging: boolean) {
    this.#merging = merging;
    this.#life = this.#start();
  }

  put(key: Key): void {
    const token = (this.#token += 1);
    const { writes } = this.#life;
    writes.put(key, [token]).then(
      () => this.#acknowledged[key].add(token),
      () => {},
    );
  }

  flush(): void {
    this.#life.writes.flush().catch(() => {});
  }

  advance(ms: number): Promise<void> {
    return this.#clock.advanceAsync(ms);
  }

  jump(ms: number): void {
    this.#clock.jump(ms);
  }

  answer(answers: readonly Answer[]): void {
    const call = this.#life.calls.shift();
    call?.resolve(call.writes.map((write, index) => this.#outcome(write, answers[index % answers.length] as Answer)));
  }

  fail(how: Failure): void {
    const call = this.#life.calls.shift();
    if (call === undefined) return;
    if (how !== 'fail') for (const write of call.writes) this.#take(write);
    if (how === 'short') call.resolve([]);
    else call.reject(undefined);
  }

  hold(): void {
    this.#holding = true;
  }

  release(): void {
    this.#holding = false;
    for (const { go } of this.#life.held.splice(0)) go();
  }

  queueFails(operation: 'put' | 'remove' | undefined): void {
    this.#failing = operation;
  }

  /** Kills the process. What was under way has happened, or not. */
  crash(queueLands: boolean, sinkTakes: boolean): void {
    this.#life.alive = false;
    if (queueLands) for (const { land } of this.#life.held) land();
    if (sinkTakes) for (const { writes } of this.#life.calls) writes.forEach((write) => this.#take(write));
    this.#life = this.#start();
  }

  /** Ends all trouble, delivers everything, and gives what is against the law. */
  async end(): Promise<readonly string[]> {
    this.release();
    this.queueFails(undefined);
    const { writes, calls } = this.#life;
    for (let rounds = 0; rounds < 500; rounds += 1) {
      this.flush();
      await this.advance(100);
      while (calls.length > 0) this.answer(['ok']);
      await this.advance(0);
      if (writes.status().pending === 0 && calls.length === 0) break;
    }
    const letters = await writes.deadLetters.list();
    for (const key of KEYS) {
      const dead = letters.flatMap((letter) => (letter.key === key ? letter.value! : []));
      this.#checkKey(key, this.#taken[key], dead);
    }
    const { pending, inFlight, waiting } = writes.status();
    if (pending + inFlight + waiting > 0)
      this.#broken.push(`left: ${pending} pending, ${inFlight} in flight, ${waiting} waiting`);
    if ((this.#store.load() as readonly unknown[]).length > 0) this.#broken.push('the queue holds what is over');
    return this.#broken;
  }

  #checkKey(key: Key, taken: readonly number[], dead: readonly number[]): void {
    if (taken.some((token, index) => index > 0 && token <= (taken[index - 1] as number)))
      this.#broken.push(`${key} is out of order, or taken twice: ${taken.join(', ')}`);
    // Without merging, an earlier value may give way to a later one, also to one nobody was told of.
    const last = Math.max(0, ...taken, ...dead);
    const isLost = (token: number): boolean =>
      !taken.includes(token) && !dead.includes(token) && (this.#merging || token > last);
    const lost = [...this.#acknowledged[key]].filter(isLost);
    if (lost.length > 0) this.#broken.push(`${key} lost ${lost.join(', ')}`);
  }

  #outcome(write: PendingWrite<Tokens>, answer: Answer): WriteOutcome<Tokens> {
    // A sink that remembers ids knows what it has taken.
    if (this.#takenIds.has(write.id)) return 'ok';
    if (answer === 'ok') {
      this.#take(write);
      return 'ok';
    }
    if (answer === 'reject') return { reject: 'no' };
    if (answer === 'conflict') return { conflict: [] };
    return answer === 'garbage' ? ('garbage' as never) : 'retry';
  }

  #take(write: PendingWrite<Tokens>): void {
    if (this.#takenIds.has(write.id)) return;
    this.#takenIds.add(write.id);
    this.#taken[write.key as Key].push(...write.value!);
  }

  #start(): Life {
    const life: { alive: boolean; calls: Call[]; held: Life['held'] } = { alive: true, calls: [], held: [] };
    const clock = this.#clock;
    const own: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      random: () => clock.random(),
      after: (ms, run) => clock.after(ms, () => life.alive && run()),
    };
    const writes = new WriteBehind<Tokens>({
      clock: own,
      queue: this.#queueOf(life),
      sink: (batch) => this.#deliver(life, batch),
      ...(this.#merging ? { merge: (a, b) => [...a, ...b] } : {}),
      resolve: (local) => local,
      flushEvery: 1_000,
      maxBatch: 2,
      maxPending: 4,
      maxDuration: MAX_DURATION,
      retry: { initial: 50, max: 400 },
    });
    return Object.assign(life, { writes });
  }

  #deliver(
    life: Omit<Life, 'writes'>,
    writes: readonly PendingWrite<Tokens>[],
  ): Promise<readonly WriteOutcome<Tokens>[]> {
    // A delivery that hung for too long was given up: what it brings has no way back.
    const now = this.#clock.monotonic();
    for (const call of life.calls.splice(0)) if (now < call.givenUpAt) this.#broken.push('two deliveries at a time');
    if (new Set(writes.map(({ key }) => key)).size < writes.length) this.#broken.push('two writes of one key');
    for (const { id, key, value } of writes) {
      // Also for a sink that does not remember ids: what was delivered later is not overwritten by what came before it.
      const first = value![0] as number;
      if (first < this.#latest[key as Key]) this.#broken.push(`${key} went back`);
      this.#latest[key as Key] = first;
      const text = JSON.stringify(value);
      if ((this.#seen.get(id) ?? text) !== text) this.#broken.push(`the value of ${id} changed`);
      this.#seen.set(id, text);
    }
    const givenUpAt = now + 2 * MAX_DURATION;
    return new Promise((resolve, reject) => life.calls.push({ writes, givenUpAt, resolve, reject }));
  }

  #queueOf(life: Omit<Life, 'writes'>): WriteQueue {
    const call = async <T>(operation: string, run: () => T): Promise<T> => {
      if (this.#holding) await new Promise<void>((go) => life.held.push({ land: run, go }));
      if (!life.alive) return new Promise<T>(() => {});
      if (operation === this.#failing) throw new Error(`${operation} failed`);
      return run();
    };
    return {
      name: 'scripted',
      load: () => call('load', () => this.#store.load() as readonly QueuedWrite[]),
      put: (writes) => call('put', () => this.#store.put(writes) as void),
      remove: (ids) => call('remove', () => this.#store.remove(ids) as void),
      listDead: () => call('listDead', () => this.#store.listDead() as readonly QueuedWrite[]),
    };
  }
}

const key = fc.constantFrom(...KEYS);
const answers = fc.array(fc.constantFrom<Answer>('ok', 'ok', 'ok', 'retry', 'reject', 'conflict', 'garbage'), {
  minLength: 1,
  maxLength: 2,
});

type Command = (world: World) => unknown;

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: key.map(
      (of): Command =>
        (world) =>
          world.put(of),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Command>((world) => world.flush()) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(0, 1, 30, 300, 1_500).map(
      (ms): Command =>
        (world) =>
          world.advance(ms),
    ),
  },
  {
    weight: 4,
    arbitrary: answers.map(
      (given): Command =>
        (world) =>
          world.answer(given),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Failure>('fail', 'landAndFail', 'short').map(
      (how): Command =>
        (world) =>
          world.fail(how),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Command>((world) => world.hold()) },
  { weight: 2, arbitrary: fc.constant<Command>((world) => world.release()) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('put', 'remove', undefined).map(
      (operation): Command =>
        (world) =>
          world.queueFails(operation),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.boolean(), fc.boolean()).map(
      ([queue, sink]): Command =>
        (world) =>
          world.crash(queue, sink),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(-5_000, 5_000).map(
      (ms): Command =>
        (world) =>
          world.jump(ms),
    ),
  },
);

test.each([true, false])(
  'no acknowledged write is lost and none of a key is reordered, whatever fails or crashes (merging: %s)',
  { timeout: 60_000 },
  async (merging) => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (commands) => {
        const world = new World(merging);
        for (const run of commands) {
          await run(world);
          await world.advance(0);
        }
        expect(await world.end()).toEqual([]);
      }),
      { numRuns: runs(200) },
    );
  },
);
