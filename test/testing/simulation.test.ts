import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import type { QueuedWrite, WriteQueue } from '../../src/contracts.js';
import { TieredCache, type Entry, type Lease, type StorageTier } from '../../src/index.js';
import {
  checkFreshness,
  simulate,
  type FaultPlan,
  type ProcessParts,
  type SimProcess,
  type World,
} from '../../src/testing/index.js';
import { chanceOf } from '../support/chance.ts';
import { randomScripts, runCase } from '../support/simulation.ts';

function entryOf(value: unknown, startedAt: number): Entry {
  const [createdAt, end] = [startedAt, startedAt + 60_000_000];
  return {
    value,
    startedAt,
    createdAt,
    freshUntil: end,
    staleUntil: end,
    errorUntil: end,
    loadMs: 0,
    tags: [],
    meta: undefined,
  };
}

/** Runs `script` in a world with two processes that consist of their parts. */
async function inWorld<R>(script: (setup: Setup) => Promise<R>, faults: FaultPlan = {}, seed = 1): Promise<R> {
  const { result } = await simulate({ seed, faults }, async (world) => {
    const [a, b] = ['a', 'b'].map((name) => world.process(name, (parts) => parts));
    return script({ world, a: a!, b: b! });
  });
  return result;
}

interface Setup {
  readonly world: World;
  readonly a: SimProcess<ProcessParts>;
  readonly b: SimProcess<ProcessParts>;
}

/** How `promise` stands after `ms` of the world. */
async function stateOf(world: World, promise: Promise<unknown> | PromiseLike<unknown>, ms: number): Promise<string> {
  let state = 'pending';
  Promise.resolve(promise).then(
    () => (state = 'resolved'),
    () => (state = 'rejected'),
  );
  await world.sleep(ms);
  return state;
}

function redisOf({ started }: SimProcess<ProcessParts>): StorageTier {
  return started.storage('redis');
}

describe('the same seed', () => {
  const processes = ['a', 'b', 'c'];
  const run = (seed: number): ReturnType<typeof runCase> =>
    runCase(
      { TieredCache, simulate, checkFreshness },
      { processes, storage: 'redis', cache: { ttl: 50, staleWhileRevalidate: 100, jitter: 0.5 } },
      {
        faults: {
          requestLoss: 0.05,
          replyLoss: 0.05,
          eviction: 0.05,
          loadFailure: 0.1,
          backplaneLoss: 0.1,
          backplaneDisorder: 0.2,
          events: [
            { at: 60, fault: 'pause', process: 'a', ms: 40 },
            { at: 100, fault: 'crash', process: 'b' },
            { at: 130, fault: 'restart', process: 'b' },
            { at: 160, fault: 'snapshot', store: 'redis' },
            { at: 200, fault: 'restore', store: 'redis' },
          ],
        },
        scripts: randomScripts(chanceOf(seed), { processes, verbs: ['get', 'get', 'change', 'set', 'tags', 'expire'] }),
      },
      seed,
    );

  test('gives the same trace, byte for byte', async () => {
    const [first, second] = [await run(4711), await run(4711)];

    expect(first.trace).toBe(second.trace);
    expect(first.trace.length).toBeGreaterThan(5_000);
  });

  test('gives another trace than another seed', async () => {
    expect((await run(1)).trace).not.toBe((await run(2)).trace);
  });

  test('gives one trace of a world without caches on every engine', async () => {
    const { trace } = await simulate({ seed: 4711, faults: { replyLoss: 0.1, eviction: 0.1 } }, async (world) => {
      for (const name of ['a', 'b']) {
        const process = world.process(name, (parts) => parts);
        world.client(process, async (ops, { storage, clock, upstream }) => {
          const tier = storage('redis');
          for (let turn = 0; turn < 20; turn += 1) {
            await ops.sleep(Math.floor(clock.random() * 10));
            const version = await upstream()('k', { key: 'k' } as never);
            await ops.act('set', 'k', async () => tier.set('k', entryOf(version, clock.now()), Infinity), version);
            await ops.read('k', async () => ({ version: (await tier.get('k'))?.value as number }));
            if (clock.random() < 0.3) ops.write('k');
          }
        });
      }
      await world.finished();
    });

    expect(createHash('sha256').update(trace).digest('hex')).toBe(TRACE);
  });
});

/** Of the trace above. It changes when the world does, and must not with the version of Node. */
const TRACE = 'ff096528ce6bccebc9183b39c45c14ca842e42548a2ebf2b885640edae85dd1b';

describe('time', () => {
  test('passes only as events happen, and a wall clock may be ahead, jump, and come back', async () => {
    const instants = await inWorld(async ({ world, a, b }) => {
      world.skew(b, 500);
      const before = b.started.clock.now() - a.started.clock.now();
      await world.sleep(3_600_000);
      world.jump(b, -2_000);
      return [before, b.started.clock.now() - a.started.clock.now(), b.started.clock.monotonic()];
    });

    expect(instants).toEqual([500, -1_500, 3_600_000]);
  });

  test('stands still for a paused process: its timers, and the answers to it, wait', async () => {
    const seen = await inWorld(async ({ world, a }) => {
      const seen: [string, number][] = [];
      const note = (what: string) => (): unknown => seen.push([what, world.time]);
      const answer = Promise.resolve(redisOf(a).get('k')).then(note('answer'));
      a.started.clock.after(50, note('timer'));
      world.pause(a, 100);
      await answer;
      return seen;
    });

    // As on a platform that wakes up: what is due by time comes first.
    expect(seen).toEqual([
      ['timer', 100],
      ['answer', 100],
    ]);
  });

  test('fails a script that waits for what never happens', async () => {
    await expect(inWorld(() => new Promise(() => {}))).rejects.toThrow('stands still');
  });

  test('fails a world that never ends', async () => {
    const forever = simulate({ seed: 1, maxEvents: 100 }, async (world) => {
      const { started } = world.process('a', ({ clock }) => clock);
      const again = (): void => void started.after(1, again);
      again();
      await new Promise(() => {});
    });

    await expect(forever).rejects.toThrow('More than 100 events');
  });

  test('hands on what a script throws', async () => {
    const failing = inWorld(async ({ world, a }) => {
      world.client(a, () => Promise.reject(new Error('mine')));
      await world.finished();
    });

    await expect(failing).rejects.toThrow('mine');
  });
});

describe('a process that crashes', () => {
  test('runs no timer, gets no answer, and what it has sent is done all the same', async () => {
    const seen = await inWorld(async ({ world, a, b }) => {
      const seen: string[] = [];
      a.started.clock.after(20, () => seen.push('timer'));
      void Promise.resolve(redisOf(a).set('k', entryOf(1, 1), Infinity)).then(() => seen.push('answer'));
      world.crash(a);
      await world.sleep(100);
      return [...seen, a.running, (await redisOf(b).get('k'))?.value];
    });

    expect(seen).toEqual([false, 1]);
  });

  test('ends its scripts, and leaves their operations open', async () => {
    const { history } = await simulate({ seed: 1 }, async (world) => {
      const a = world.process('a', (parts) => redisOf({ started: parts } as SimProcess<ProcessParts>));
      world.client(a, async (ops, tier) => void (await ops.act('other', 'k', async () => tier.get('k'))));
      await world.sleep(0);
      await world.sleep(0);
      world.crash(a);
      await world.finished();
      await world.sleep(100);
    });

    expect(history.operations).toMatchObject([{ kind: 'other', end: undefined }]);
  });

  test('starts again as new, with its own clock', async () => {
    const result = await inWorld(async ({ world, a }) => {
      const before = a.started;
      world.skew(a, 250);
      world.restart(a);
      return [a.started === before, a.running, a.started.clock.now() - before.clock.now()];
    });

    expect(result).toEqual([false, true, 0]);
  });

  test('has a queue that it shares with others, one owner at a time', async () => {
    const seen = await inWorld(async ({ world, a, b }) => {
      const [one, other] = [a.started.queue('redis'), b.started.queue('redis')];
      const first = (await one.own!('one', 1_000, false))!;
      await first.put([writeOf('0')]);
      const refused = [await other.own!('other', 1_000, false), await codeOf(other.put([writeOf('1')]))];
      await world.sleep(1_000);
      const second = (await other.own!('other', 1_000, false))!;
      await second.put([writeOf('2')]);
      const late = [
        await first.renew!(1_000),
        await codeOf(first.put([writeOf('3')])),
        await codeOf(first.remove(['0'])),
      ];
      return { refused, late, left: await loadedIds(one) };
    });

    const owned = 'SOLOFLIGHT_QUEUE_OWNED';
    expect(seen).toEqual({ refused: [undefined, owned], late: [false, owned, owned], left: ['0', '2'] });
  });

  test('keeps what its queue had on disk, and of the rest a part from the beginning', async () => {
    const kept = new Set<number>();
    for (let seed = 1; seed <= 30; seed += 1) {
      const ids = await inWorld(
        async ({ world, a }) => {
          await a.started.queue().put([writeOf('0')]);
          const queue = a.started.queue();
          for (const id of ['1', '2', '3']) void queue.put([writeOf(id)]);
          world.crash(a);
          world.restart(a);
          return loadedIds(a.started.queue());
        },
        {},
        seed,
      );
      expect(['0', '1', '2', '3'].slice(0, ids.length)).toEqual(ids);
      kept.add(ids.length);
    }

    expect([...kept].toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
  });
});

function writeOf(id: string): QueuedWrite {
  const zero = { sequence: 0, at: 0, attempts: 0, revision: 0, triedFor: 0 };
  return { ...zero, id, key: id, kind: 'put', value: 1, whole: true, dead: undefined };
}

async function codeOf(work: unknown): Promise<unknown> {
  return Promise.resolve(work).then(
    () => 'done',
    (error: { readonly code?: string }) => error.code,
  );
}

async function loadedIds(queue: WriteQueue): Promise<string[]> {
  return (await queue.load()).map((row) => (row as QueuedWrite).id);
}

describe('a connection', () => {
  test('that is cut loses requests, and heals', async () => {
    const seen = await inWorld(async ({ world, a, b }) => {
      world.partition(a, 'redis');
      const cut = await stateOf(world, redisOf(a).set('k', entryOf(1, 1), Infinity) as Promise<void>, 100);
      const other = await stateOf(world, redisOf(b).get('k') as Promise<unknown>, 100);
      world.heal();
      return [cut, other, await redisOf(a).get('k')];
    });

    expect(seen).toEqual(['rejected', 'resolved', undefined]);
  });

  test('that loses a reply leaves its caller not knowing that it was done', async () => {
    const seen = await inWorld(
      async ({ world, a }) => {
        const state = await stateOf(world, redisOf(a).set('k', entryOf(1, 1), Infinity) as Promise<void>, 100);
        return [state, world.store('redis').get('k')?.value];
      },
      { replyLoss: 1 },
    );

    expect(seen).toEqual(['rejected', 1]);
  });

  test('may never say that it has lost something', async () => {
    const seen = await inWorld(({ world, a }) => stateOf(world, redisOf(a).get('k') as Promise<unknown>, 1_000_000), {
      requestLoss: 1,
      silence: 1,
    });

    expect(seen).toBe('pending');
  });

  test('that is held delivers later, in order', async () => {
    const seen = await inWorld(async ({ world, a, b }) => {
      world.inflict({ at: 0, fault: 'stall', process: 'a', service: 'redis', ms: 500 });
      const tier = redisOf(a);
      void tier.set('k', entryOf(1, 1), Infinity);
      void tier.set('k', entryOf(2, 2), Infinity);
      await world.sleep(400);
      const before = await redisOf(b).get('k');
      await world.sleep(200);
      return [before, world.store('redis').get('k')?.value];
    });

    expect(seen).toEqual([undefined, 2]);
  });

  test('to a storage that hangs waits until it does no longer', async () => {
    const seen = await inWorld(async ({ world, a }) => {
      world.inflict({ at: 0, fault: 'hang', store: 'redis', ms: 500 });
      await redisOf(a).get('k');
      return world.time;
    });

    expect(seen).toBeGreaterThanOrEqual(500);
  });
});

describe('the shared storage', () => {
  /** One step after the other, each by the process that is named first. */
  const withTiers = <R>(
    use: (a: Required<StorageTier>, b: Required<StorageTier>, world: World) => Promise<R>,
  ): Promise<R> =>
    inWorld(({ world, a, b }) => use(redisOf(a) as Required<StorageTier>, redisOf(b) as Required<StorageTier>, world));
  const leased = async (tier: Required<StorageTier>, newerThan = -Infinity): Promise<Lease> => {
    const answer = await tier.lease('k', 1_000, newerThan);
    if (answer.kind !== 'lease') throw new Error(`Expected a lease, got ${answer.kind}`);
    return answer.lease;
  };

  test.each(['set', 'delete', 'clear'] as const)(
    'alters the version by `%s`, and refuses what was made for the old one',
    async (change) => {
      const seen = await withTiers(async (a, b) => {
        const { version } = await a.version('k', 0);
        if (change === 'set') await b.set('k', entryOf('new', 9), Infinity);
        else if (change === 'delete') await b.delete('k');
        else await b.clear();
        return [await a.setIfVersion('k', entryOf('old', 8), Infinity, version, false), (await a.get('k'))?.value];
      });

      expect(seen).toEqual([false, change === 'set' ? 'new' : undefined]);
    },
  );

  test('takes what was made for the version, unless there is a newer entry', async () => {
    const seen = await withTiers(async (a, b) => {
      const { version } = await a.version('k', 0);
      const first = await a.setIfVersion('k', entryOf('first', 8), Infinity, version, false);
      const older = await b.setIfVersion('k', entryOf('older', 7), Infinity, version, false);
      return [first, older, (await a.version('k', 7)).entry?.value, (await a.version('k', 8)).entry];
    });

    expect(seen).toEqual([true, false, 'first', undefined]);
  });

  test('gives one lease at a time, which ends by its store, a deletion, or its time', async () => {
    const seen = await withTiers(async (a, b, world) => {
      const first = await leased(a);
      const held = (await b.lease('k', 1_000, -Infinity)).kind;
      const stored = await first.store(entryOf(1, 1), Infinity);
      const second = await leased(a, 1);
      await b.delete('k');
      const afterDelete = await second.store(entryOf(2, 2), Infinity);
      const third = await leased(a);
      await world.sleep(1_000);
      await leased(b);
      return [held, stored, afterDelete, await third.renew(1_000), await third.store(entryOf(3, 3), Infinity)];
    });

    expect(seen).toEqual(['held', true, false, false, false]);
  });

  test('answers with an entry newer than the one that is known instead of a lease', async () => {
    const answer = await withTiers(async (a) => {
      await a.set('k', entryOf(1, 5), Infinity);
      return a.lease('k', 1_000, 4);
    });

    expect(answer).toMatchObject({ kind: 'entry', entry: { value: 1 } });
  });

  test('drops what is outlived by its own clock', async () => {
    const seen = await withTiers(async (a, _, world) => {
      await a.set('k', entryOf(1, 1), 1_700_000_000_000 + 100);
      const before = (await a.get('k'))?.value;
      await world.sleep(100);
      return [before, await a.get('k')];
    });

    expect(seen).toEqual([1, undefined]);
  });

  test.each([
    ['a snapshot', { fault: 'restore', store: 'redis', at: 0 }],
    ['a replica', { fault: 'failover', store: 'redis', ms: 500, at: 0 }],
  ] as const)('goes on with what %s holds, and knows no version that was told before', async (_, event) => {
    const seen = await withTiers(async (a, __, world) => {
      await a.set('k', entryOf('old', 1), Infinity);
      const { version } = await a.version('k', 0);
      world.inflict({ fault: 'snapshot', store: 'redis', at: 0 });
      await world.sleep(1_000);
      await a.delete('k');
      world.inflict(event);
      return [(await a.get('k'))?.value, (await a.version('k', 0)).version === version];
    });

    expect(seen).toEqual(['old', false]);
  });

  test('evicts entries, leases and versions', async () => {
    const seen = await withTiers(async (a, b, world) => {
      await a.set('k', entryOf(1, 1), Infinity);
      const { version } = await a.version('k', 0);
      const lease = await leased(a, 1);
      world.inflict({ fault: 'evict', store: 'redis', count: 3, at: 0 });
      return [await b.get('k'), await lease.renew(1), (await b.version('k', 0)).version === version];
    });

    expect(seen).toEqual([undefined, false, false]);
  });

  test('is one file for caches over SQLite, which answers at once', async () => {
    const seen = await inWorld(async ({ a, b }) => {
      const tiers = [a, b].map(({ started }) => started.storage('sqlite'));
      void tiers[0]!.set('k', entryOf(1, 1), Infinity);
      return [tiers[1]!.get('k'), 'lease' in tiers[0]!];
    });

    expect(seen).toEqual([entryOf(1, 1), false]);
  });
});

describe('the backplane', () => {
  const message = { origin: 'x', kind: 'invalidate', space: [], keys: ['k'], at: 0 } as const;
  const heardBy = (faults: FaultPlan, during: (setup: Setup) => void = () => {}): Promise<(number | 'lost')[]> =>
    inWorld(async (setup) => {
      const heard: (number | 'lost')[] = [];
      const [from, to] = [setup.a.started.backplane(), setup.b.started.backplane()];
      await to.subscribe({ receive: ({ sequence }) => void heard.push(sequence), lost: () => void heard.push('lost') });
      during(setup);
      for (let sequence = 1; sequence <= 20; sequence += 1) void from.publish([{ ...message, sequence }]);
      await setup.world.sleep(1_000);
      return heard;
    }, faults);

  test('delivers in order', async () => {
    expect(await heardBy({})).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test('tells of the gap where it loses messages', async () => {
    const heard = await heardBy({ backplaneLoss: 0.3 });

    expect(heard).toContain('lost');
    expect(heard.filter((it) => it !== 'lost').length).toBeLessThan(20);
  });

  test('may let messages overtake each other', async () => {
    const heard = await heardBy({ backplaneDisorder: 0.3 });

    expect(heard).toHaveLength(20);
    expect(heard).not.toEqual(heard.toSorted((a, b) => Number(a) - Number(b)));
  });

  test('tells of the gap once a process that was cut off is connected again', async () => {
    expect(new Set(await heardBy({}, ({ world, b }) => world.partition(b, 'backplane', 500)))).toEqual(
      new Set(['lost']),
    );
  });
});

describe('the source', () => {
  test('is read in the middle of a load, and may fail', async () => {
    const versions = await simulate({ seed: 1, faults: { loadTime: [10, 10] } }, async (world) => {
      const a = world.process('a', ({ upstream }) => upstream());
      const seen: (number | undefined)[] = [];
      world.client(a, async (ops, load) => {
        const early = ops.read('k', async () => ({ version: (await load('k', {} as never)) as number }));
        await ops.sleep(9);
        ops.write('k');
        const late = ops.read('k', async () => ({ version: (await load('k', {} as never)) as number }));
        await ops.sleep(2);
        ops.write('k');
        for (const read of [early, late]) seen.push((await read)?.version);
      });
      await world.finished();
      return seen;
    });

    expect(versions.result).toEqual([2, 3]);
    expect(versions.history.loads).toMatchObject([{ version: 2 }, { version: 3 }]);
  });
});
