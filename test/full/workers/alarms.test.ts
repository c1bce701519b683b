import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';

import { Alarms, type AlarmsOptions, type DueAlarm } from '../../../src/cloudflare/index.js';
import { manualClock, type ManualClock } from '../../../src/testing/index.js';
import { eventually, waitPatiently } from '../../support/patience.js';
import { openMainDatabase } from '../../workers/main-database.js';
import { script } from '../../workers/script.js';
import type { BareObject, WritingObject } from '../../workers/worker.js';

waitPatiently();

interface Setup {
  readonly clock: ManualClock;
  readonly alarms: Alarms;
  readonly storage: DurableObjectStorage;
  readonly done: string[];
  readonly failures: string[];
  /** What an eviction leaves: another `Alarms` over the same storage, with handlers that all succeed. */
  readonly reborn: (...names: string[]) => Alarms;
}

let names = 0;

/** Runs `run` in an object of its own, with alarms whose clock stands still. */
async function inObject(run: (setup: Setup) => Promise<void>, options: AlarmsOptions = {}): Promise<void> {
  const stub: DurableObjectStub<BareObject> = env.BARE.getByName(`alarms-${(names += 1)}`);
  await runInDurableObject(stub, async (_object, { storage }) => {
    const clock = manualClock();
    const done: string[] = [];
    const failures: string[] = [];
    const settings = {
      clock,
      onError: (name: string, error: unknown) => failures.push(`${name}: ${String(error)}`),
      ...options,
    };
    const reborn = (...names: string[]): Alarms => {
      const alarms = new Alarms(storage, settings);
      for (const name of names) alarms.on(name, () => done.push(name));
      return alarms;
    };
    await run({ clock, alarms: new Alarms(storage, settings), storage, done, failures, reborn });
  });
}

describe('several alarms', () => {
  test('share the one of the platform, which is set to the earliest', () =>
    inObject(async ({ clock, reborn, storage, done }) => {
      const alarms = reborn('late', 'early');
      const before = Date.now();
      await alarms.set('late', clock.now() + 60_000);
      await alarms.set('early', clock.now() + 10_000);
      const first = await storage.getAlarm();
      const between = Date.now();

      clock.advance(10_000);
      await alarms.run();

      expect(first).toBeGreaterThanOrEqual(before + 10_000);
      expect(first).toBeLessThanOrEqual(between + 10_000);
      expect(done).toEqual(['early']);
      expect(await storage.getAlarm()).toBeGreaterThanOrEqual(between + 50_000);
    }));

  test('are carried out when they are due, not when somebody looks', () =>
    inObject(async ({ clock, reborn, done }) => {
      const alarms = reborn('a');
      await alarms.set('a', clock.now() + 1);

      await alarms.run();
      expect(done).toEqual([]);
      clock.advance(1);
      await alarms.run();
      await alarms.run();

      expect(done).toEqual(['a']);
      expect(alarms.get('a')).toBeUndefined();
    }));

  test('can be set anew and taken back', () =>
    inObject(async ({ clock, reborn, storage, done }) => {
      const alarms = reborn('a', 'b');
      await alarms.set('a', clock.now() + 1);
      await alarms.set('a', clock.now() + 5);
      await alarms.set('b', clock.now() + 1);

      expect([await alarms.cancel('b'), await alarms.cancel('b')]).toEqual([true, false]);
      clock.advance(1);
      await alarms.run();

      expect([done, alarms.get('a')]).toEqual([[], clock.now() + 4]);
      await alarms.cancel('a');
      expect(await storage.getAlarm()).toBeNull();
    }));

  test('outlive the object', () =>
    inObject(async ({ clock, reborn, done }) => {
      await reborn('a').set('a', clock.now() + 1);
      clock.advance(1);

      await reborn('a').run();

      expect(done).toEqual(['a']);
    }));
});

describe('an alarm whose handler fails', () => {
  test('is tried again after a pause that doubles, and keeps none of the others', () =>
    inObject(async ({ clock, alarms, done, failures }) => {
      const attempts: number[] = [];
      alarms.on('bad', ({ attempt }) => {
        attempts.push(attempt);
        throw new Error('no');
      });
      alarms.on('good', () => done.push('good'));
      await alarms.set('bad', clock.now());
      await alarms.set('good', clock.now());

      await alarms.run();
      expect([attempts, done]).toEqual([[1], ['good']]);
      clock.advance(1_999);
      await alarms.run();
      expect(attempts).toEqual([1]);
      clock.advance(1);
      await alarms.run();
      expect(attempts).toEqual([1, 2]);
      clock.advance(4_000);
      await alarms.run();

      expect(attempts).toEqual([1, 2, 3]);
      expect(failures).toEqual(Array.from({ length: 3 }, () => 'bad: Error: no'));
    }));

  test('begins anew once it has succeeded', () =>
    inObject(async ({ clock, alarms }) => {
      const attempts: number[] = [];
      alarms.on('moody', async ({ attempt }) => {
        attempts.push(attempt);
        if (attempt === 1) throw undefined;
      });
      for (let round = 0; round < 2; round += 1) {
        await alarms.set('moody', clock.now());
        await alarms.run();
        clock.advance(2_000);
        await alarms.run();
      }

      expect(attempts).toEqual([1, 2, 1, 2]);
    }));

  test('hangs no longer than it may, and is told so', () =>
    inObject(
      async ({ clock, alarms, done, failures }) => {
        let told: DueAlarm | undefined;
        alarms.on('hanging', (alarm) => {
          told = alarm;
          return new Promise<void>(() => {});
        });
        alarms.on('other', () => done.push('other'));
        await alarms.set('hanging', clock.now());
        await alarms.set('other', clock.now());

        const run = alarms.run();
        await clock.advanceAsync(5_000);
        await run;

        expect([done, told?.signal.aborted]).toEqual([['other'], true]);
        expect(failures[0]).toContain('was not finished after 5000 ms');
      },
      { maxDuration: '5s' },
    ));

  test('holds up no alarm that becomes due, or is set, while it hangs', () =>
    inObject(async ({ clock, alarms, done }) => {
      alarms.on('hanging', () => new Promise<void>(() => {}));
      for (const name of ['later', 'new']) alarms.on(name, () => done.push(`${name} ${clock.now() - began}`));
      const began = clock.now();
      await alarms.set('hanging', began);
      await alarms.set('later', began + 10_000);
      let isOver = false;
      const run = alarms.run().then(() => (isOver = true));

      await clock.advanceAsync(10_000);
      expect(done).toEqual(['later 10000']);
      await alarms.set('new', clock.now() + 1_000);
      await clock.advanceAsync(1_000);

      expect([done, isOver]).toEqual([['later 10000', 'new 11000'], false]);
      await clock.advanceAsync(49_000);
      await run;
      expect([alarms.get('hanging'), alarms.get('later')]).toEqual([clock.now() + 2_000, undefined]);
    }));

  test('is given up after its own time, not after that of one begun before, and both are set again', () =>
    inObject(async ({ clock, alarms, storage, failures }) => {
      for (const name of ['first', 'second']) alarms.on(name, () => new Promise<void>(() => {}));
      const began = clock.now();
      await alarms.set('first', began);
      await alarms.set('second', began + 20_000);
      const run = alarms.run();

      await clock.advanceAsync(60_000);
      expect(failures).toEqual([expect.stringMatching(/^first: .*after 60000 ms/)]);
      expect(alarms.get('first')).toBe(clock.now() + 2_000);
      // Its second attempt is under way when the other one's first has had its time.
      await clock.advanceAsync(20_000);
      expect(failures[1]).toMatch(/^second: /);
      await clock.advanceAsync(42_000);
      await eventually(() => expect(failures[2]).toMatch(/^first: /));

      void run;
      expect(await storage.getAlarm()).not.toBeNull();
    }));

  test('begins nothing more in a run that the platform would end, and leaves it to the next one', () =>
    inObject(
      async ({ clock, alarms, storage, done }) => {
        alarms.on('hanging', () => new Promise<void>(() => {}));
        alarms.on('later', () => done.push('later'));
        await alarms.set('hanging', clock.now());
        await alarms.set('later', clock.now() + 600_001);
        const run = alarms.run();

        await clock.advanceAsync(601_000);
        expect(done).toEqual([]);
        await clock.advanceAsync(59_000);
        await run;

        expect(await storage.getAlarm()).not.toBeNull();
        await alarms.run();
        expect(done).toEqual(['later']);
      },
      { maxDuration: '11m' },
    ));

  test('is tried again even if it took the object down with it', () =>
    inObject(async ({ clock, alarms, reborn, storage, done }) => {
      alarms.on('crashing', () => new Promise<void>(() => {}));
      await alarms.set('crashing', clock.now());
      void alarms.run();
      await eventually(() => expect(alarms.get('crashing')).toBeGreaterThan(clock.now()));
      const armed = await storage.getAlarm();

      const next = reborn('crashing', 'innocent');
      await next.set('innocent', clock.now());
      await next.run();
      expect(done).toEqual(['innocent']);
      clock.advance(2_000);
      await next.run();

      expect(armed).not.toBeNull();
      expect(done).toEqual(['innocent', 'crashing']);
    }));

  test('that set itself anew before is tried at the earlier of both times', () =>
    inObject(async ({ clock, alarms }) => {
      alarms.on('eager', async () => {
        await alarms.set('eager', clock.now() + 3_600_000);
        throw new Error('after all');
      });
      await alarms.set('eager', clock.now());

      await alarms.run();

      expect(alarms.get('eager')).toBe(clock.now() + 2_000);
    }));
});

describe('an alarm that the platform fails to set', () => {
  test('rejects, and is set by the next change, whatever that is about', () =>
    inObject(async ({ clock, reborn, storage }) => {
      const alarms = reborn('a', 'b');
      const before = Date.now();
      vi.spyOn(storage, 'setAlarm').mockRejectedValueOnce(new Error('no alarm'));

      await expect(alarms.set('a', clock.now() + 10_000)).rejects.toThrow('no alarm');
      expect(await storage.getAlarm()).toBeNull();
      await alarms.set('b', clock.now() + 20_000);

      const alarm = await storage.getAlarm();
      expect(alarm).toBeGreaterThanOrEqual(before + 10_000);
      expect(alarm).toBeLessThanOrEqual(Date.now() + 10_000);
    }));
});

/** What is left when a handler failed as often as the platform tries it: the table, and no alarm. */
async function giveUp({ storage }: Pick<Setup, 'storage'>): Promise<void> {
  await storage.deleteAlarm();
}

describe('an alarm that the platform gave up', () => {
  test('is set again by `rearm`, in the same life of the object and in the next', () =>
    inObject(async ({ clock, reborn, storage, done }) => {
      const alarms = reborn('a');
      await alarms.set('a', clock.now() + 1_000);
      clock.advance(1_000);

      await giveUp({ storage });
      await alarms.rearm();
      expect(await storage.getAlarm()).not.toBeNull();
      await giveUp({ storage });
      const next = reborn('a');
      await next.rearm();
      expect(await storage.getAlarm()).not.toBeNull();

      await next.run();
      expect(done).toEqual(['a']);
    }));

  test('is set again after a run that the storage let down', () =>
    inObject(async ({ clock, reborn, storage }) => {
      const alarms = reborn('a');
      await alarms.set('a', clock.now() + 1_000);
      clock.advance(1_000);
      const outage = vi.spyOn(storage, 'setAlarm').mockRejectedValue(new Error('outage'));
      await expect(alarms.run()).rejects.toThrow('outage');
      outage.mockRestore();
      await giveUp({ storage });

      await alarms.rearm();

      expect(await storage.getAlarm()).not.toBeNull();
    }));

  test('is set again when another one is set', () =>
    inObject(async ({ clock, reborn, storage }) => {
      const alarms = reborn('a', 'b');
      await alarms.set('a', clock.now() + 1_000);
      clock.advance(1_000);
      await giveUp({ storage });

      await alarms.set('b', clock.now() + 60_000);

      expect(await storage.getAlarm()).toBeLessThanOrEqual(Date.now());
    }));

  test('is not asked for while the next one is not due, and not once more where there is none', () =>
    inObject(async ({ clock, reborn, storage }) => {
      const alarms = reborn('a');
      const [asked, set] = [vi.spyOn(storage, 'getAlarm'), vi.spyOn(storage, 'setAlarm')];
      await alarms.rearm();
      await alarms.rearm();
      await alarms.set('a', clock.now() + 1_000);
      await alarms.rearm();
      expect(asked).not.toHaveBeenCalled();

      clock.advance(1_000);
      await alarms.rearm();
      expect([asked.mock.calls.length, set.mock.calls.length]).toEqual([1, 1]);
    }));

  test.each<[string, (stub: DurableObjectStub<WritingObject>) => Promise<unknown>]>([
    ['read', (stub) => stub.lookup('k', {})],
    ['write', (stub) => stub.set('other', { name: 'later' })],
  ])('of an object with pending writes is set again by the next %s', async (_, ask) => {
    openMainDatabase();
    const stub = env.WRITING.getByName(`given-up-${(names += 1)}`);
    await stub.set('k', { name: 'accepted' });
    script.clock.advance(3_600_000);
    await runInDurableObject(stub, (_object, { storage }) => giveUp({ storage }));

    await ask(stub);

    await eventually(async () =>
      expect(await runInDurableObject(stub, (_object, { storage }) => storage.getAlarm())).not.toBeNull(),
    );
  });

  test('of an object with pending writes is set again when it is constructed', async () => {
    const database = openMainDatabase();
    const stub = env.WRITING.getByName(`given-up-${(names += 1)}`);
    await stub.set('k', { name: 'accepted' });
    script.clock.advance(3_600_000);
    await runInDurableObject(stub, (_object, { storage }) => giveUp({ storage }));
    await evictDurableObject(stub);

    await eventually(async () =>
      expect(await runInDurableObject(stub, (_object, { storage }) => storage.getAlarm())).not.toBeNull(),
    );

    await runDurableObjectAlarm(stub);
    expect(database.batches).toEqual([[['k', { name: 'accepted' }]]]);
  });
});

describe('an alarm that sets itself again', () => {
  test('is due again then', () =>
    inObject(async ({ clock, alarms }) => {
      alarms.on('daily', () => alarms.set('daily', clock.now() + 86_400_000));
      await alarms.set('daily', clock.now());

      await alarms.run();

      expect(alarms.get('daily')).toBe(clock.now() + 86_400_000);
    }));
});

describe('misuse is said clearly', () => {
  test('names, handlers, instants and options', () =>
    inObject(async ({ alarms, storage }) => {
      alarms.on('a', () => {});

      expect(() => alarms.on('a', () => {})).toThrow(/name without a handler/);
      expect(() => alarms.on('', () => {})).toThrow(/`name`/);
      expect(() => alarms.on('b', 1 as never)).toThrow(/`handler`/);
      await expect(alarms.set('c', 1)).rejects.toThrow(/call `on` first/);
      await expect(alarms.set('a', NaN)).rejects.toThrow(/`at` to be an instant/);
      expect(() => new Alarms(storage, { maxDuration: 0 })).toThrow(/`maxDuration`/);
      expect(() => new Alarms(storage, { retries: 3 } as never)).toThrow(/unknown names/);
    }));

  test('an alarm that nobody handles any more is dropped', () =>
    inObject(async ({ clock, reborn, storage }) => {
      await reborn('gone').set('gone', clock.now());

      await reborn().run();

      expect(reborn().get('gone')).toBeUndefined();
      expect(await storage.getAlarm()).toBeNull();
    }));
});
