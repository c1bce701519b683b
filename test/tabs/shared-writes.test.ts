import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { queueOwned } from '../../src/base/owned.js';
import { sharedWrites } from '../../src/browser/shared-writes.js';
import type { WriteQueue } from '../../src/contracts.js';
import { manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind } from '../../src/writes/index.js';
import { StubTabs, turns } from '../support/stub-tabs.js';

/** A tab that leads, one that does not, and a stranger on their channel. */
async function setup() {
  const browser = new StubTabs(() => 2);
  const queue = memoryQueue();
  const made: string[] = [];
  const open = (id: number) => {
    browser.current = id;
    const clock = manualClock({ random: () => (id + 1) / 10 });
    const writes = sharedWrites<string>({
      name: 'writes',
      clock,
      open: () => {
        const behind = new WriteBehind<string>({ clock, queue, flushEvery: Infinity, sink: () => {} });
        const put = behind.put.bind(behind);
        behind.put = (key, value, options) => {
          made.push(`${key}=${value}`);
          return put(key, value, options);
        };
        return behind;
      },
    });
    return { clock, writes };
  };
  const [leader, follower] = [open(0), open(1)];
  await turns(50);
  browser.current = 2;
  const stranger = new BroadcastChannel('soloflight:writes');
  return { browser, leader, follower, stranger, made };
}

const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);

beforeEach(() => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
});

afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
  vi.unstubAllGlobals();
  const [first, ...others] = uncaught.splice(0);
  if (first !== undefined) throw new Error(`uncaught, and ${others.length} more`, { cause: first });
});

const failure = { name: 'Error', message: 'none', code: undefined };

describe('messages that no tab of ours sent', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'leading'],
    ['no kind', {}],
    ['an unknown kind', { kind: 'close' }],
    ['a term that is no text', { kind: 'leading', term: {} }],
    ['an ask without a call', { kind: 'ask', id: 'x-1' }],
    ['an ask whose method is no text', { kind: 'ask', id: 'x-1', call: [{}] }],
    ['an ask whose id is no text', { kind: 'ask', id: 1, call: ['put', 'k', 'v'] }],
    ['an ask with a wrong mark', { kind: 'ask', id: 'x-1', call: ['put', 'k', 'v'], since: '9' }],
    ['a cancel without an id', { kind: 'cancel' }],
    ['an answer without an id', { kind: 'answer' }],
    ['an answer with the failure null', { kind: 'answer', id: '2-1', failure: null }],
    ['an answer with a code that is no text', { kind: 'answer', id: '2-1', failure: { ...failure, code: 5 } }],
    ['an event without a type', { kind: 'event', event: {} }],
    ['an event of an unknown type', { kind: 'event', event: { type: 'constructor' } }],
    ['an event without its key', { kind: 'event', event: { type: 'accept', id: 'x', coalesced: true } }],
    ['an event with a key that is no text', { kind: 'event', event: { type: 'restore', key: 5, id: 'x' } }],
    ['an event with the error null', { kind: 'event', event: { type: 'queue-error', operation: 'load', error: null } }],
    ['an event with a text as error', { kind: 'event', event: { type: 'error', source: 'sink', error: 'none' } }],
    ['an event with an error that it never has', { kind: 'event', event: { type: 'drain', error: 5 } }],
  ])('are heeded by none: %s', async (_what, message) => {
    const { follower, leader, stranger, made } = await setup();
    const heard: unknown[] = [];
    for (const { writes } of [leader, follower])
      for (const type of ['accept', 'restore', 'queue-error', 'error', 'drain'] as const)
        writes.on(type, (event) => heard.push(event));

    stranger.postMessage(message);
    await turns(50);

    expect([heard, made]).toEqual([[], []]);
    await follower.writes.put('k', 'v');
    expect(made).toEqual(['k=v']);
  });

  test.each([
    ['of the old form', { kind: 'leading' }],
    ['with a term', { kind: 'leading', term: 'forged' }],
  ])('a forged `leading` %s amid 3,000 puts lets none be made twice', async (_form, forged) => {
    const { follower, leader, stranger, made } = await setup();

    const puts = Array.from({ length: 3_000 }, (_, index) => follower.writes.put(`k${index}`, 'v'));
    for (let times = 0; times < 3; times += 1) {
      stranger.postMessage(forged);
      await turns(500);
    }
    // The tab that leads says so again.
    for (let times = 0; times < 20; times += 1) {
      await leader.clock.advanceAsync(300);
      await turns(3_000);
    }
    await Promise.all(puts);

    expect([made.length, new Set(made).size]).toEqual([3_000, 3_000]);
  });

  test('an update of a stranger writes nothing under a token that nobody gave', async () => {
    const { follower, stranger } = await setup();
    await follower.writes.put('k', 'v');

    stranger.postMessage({ kind: 'ask', id: 'x-1', call: ['swap', 'k', 'forged', 'no token'] });
    await turns(50);

    expect(await follower.writes.read('k')).toBe('v');
  });
});

describe('a put that is given up', () => {
  test('is never made by a leading tab that gets to it later', async () => {
    const { browser, follower, made } = await setup();
    const controller = new AbortController();
    const put = follower.writes.put('k', 'v', { signal: controller.signal }).catch((reason: unknown) => reason);
    browser.crash(0);
    controller.abort('enough');
    await turns(200);

    expect([await put, made]).toEqual(['enough', []]);
    expect(await follower.writes.read('k')).toBeUndefined();
  });

  test('resolves if it was accepted, since it will be delivered', async () => {
    const { follower, made } = await setup();
    const controller = new AbortController();
    const put = follower.writes.put('k', 'v', { signal: controller.signal });
    controller.abort('enough');

    await put;

    expect(made).toEqual(['k=v']);
    expect(await follower.writes.read('k')).toBe('v');
  });
});

describe('a tab that closes', () => {
  test('rejects only what is not made: a put that is under way resolves', async () => {
    const { follower, made } = await setup();
    const put = follower.writes.put('k', 'v');

    await follower.writes.close();

    await put;
    expect(made).toEqual(['k=v']);
  });
});

describe('a leading tab that answers nothing', () => {
  test('loses the lead after five rounds of silence, and no sooner', async () => {
    const { browser, follower } = await setup();
    browser.mute(0);
    const put = follower.writes.put('k', 'v');

    // Five rounds of 750 ms, and up to 500 ms by chance: a fifth of that in this tab.
    await follower.clock.advanceAsync(3_800);
    await turns(200);
    expect(follower.writes.leading).toBe(false);
    browser.current = 1;
    await follower.clock.advanceAsync(50);
    await turns(200);

    expect(follower.writes.leading).toBe(true);
    await put;
  });

  test('keeps the lead while it says that it is awake, however long a call takes', async () => {
    const { follower, leader } = await setup();
    const behind = new Promise<never>(() => {});
    vi.spyOn(WriteBehind.prototype, 'flush').mockReturnValue(behind);
    void follower.writes.flush();

    for (let round = 0; round < 40; round += 1) {
      await follower.clock.advanceAsync(750);
      await turns(20);
    }

    expect([leader.writes.leading, follower.writes.leading]).toEqual([true, false]);
    vi.restoreAllMocks();
  });
});

/** A queue in memory that has owners, for all tabs. */
function ownedQueue() {
  const stored = memoryQueue();
  let owner: string | undefined;
  const queue: WriteQueue = {
    name: 'owned',
    load: () => stored.load(),
    put: () => {},
    remove: () => {},
    listDead: () => stored.listDead(),
    own(id) {
      owner = id;
      const check = (): void => {
        if (owner !== id) throw queueOwned('owned');
      };
      return {
        put(writes) {
          check();
          return stored.put(writes);
        },
        remove(ids) {
          check();
          return stored.remove(ids);
        },
        renew: () => owner === id,
        release: () => {
          if (owner === id) owner = undefined;
        },
      };
    },
  };
  return {
    queue,
    wipe: async (): Promise<void> => {
      owner = undefined;
      const found = await stored.load();
      await stored.remove(found.map((write) => (write as { readonly id: string }).id));
    },
  };
}

describe('a queue that somebody wipes past the tab that leads', () => {
  async function openTwo() {
    const { queue, wipe } = ownedQueue();
    const browser = new StubTabs(() => 2);
    const delivered: string[] = [];
    const sink = (batch: readonly { readonly key: string; readonly value?: string }[]) =>
      void delivered.push(...batch.map(({ key, value }) => `${key}=${value}`));
    const open = (id: number) => {
      browser.current = id;
      const clock = manualClock({ random: () => (id + 1) / 10 });
      const behind = () => new WriteBehind<string>({ clock, queue, flushEvery: Infinity, sink });
      return { clock, writes: sharedWrites<string>({ name: 'writes', clock, open: behind }) };
    };
    const [leader, follower] = [open(0), open(1)];
    await turns(50);
    return { browser, leader, follower, wipe, delivered };
  }

  const told = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'done',
      (error: { readonly code?: unknown }) => error.code,
    );

  test('refuses calls of that tab within seconds, delivers nothing of it, and is there for later writes', async () => {
    const { browser, leader, wipe, delivered } = await openTwo();
    await leader.writes.put('former', 'v');
    await wipe();

    const calls = [leader.writes.put('k', 'v'), leader.writes.read('k'), leader.writes.flush()].map(told);
    await turns(100);
    browser.current = 0;
    await leader.clock.advanceAsync(4_000);

    expect(await Promise.all(calls)).toEqual(Array(3).fill('SOLOFLIGHT_QUEUE_OWNED'));
    await turns(100);
    await leader.writes.put('later', 'v');
    await leader.writes.flush();
    expect(delivered).toEqual(['later=v']);
  });

  test('is taken by another tab that has something to write, and then all tabs write again', async () => {
    const { browser, leader, follower, wipe, delivered } = await openTwo();
    await leader.writes.put('former', 'v');
    await wipe();

    const put = told(follower.writes.put('k', 'v'));
    await turns(100);
    browser.current = 1;
    await follower.clock.advanceAsync(3_850);
    await turns(200);

    expect([await put, follower.writes.leading]).toEqual(['done', true]);
    await leader.writes.put('l', 'v');
    await leader.writes.flush();
    expect(delivered).toEqual(['k=v', 'l=v']);
  });
});
