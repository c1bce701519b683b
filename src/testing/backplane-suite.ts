import type { Backplane, BackplaneListener, BackplaneMessage, MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import type { StorageSuiteRunner } from './storage-suite/checks.js';

/** Options of {@link backplaneSuite}. */
export interface BackplaneSuiteOptions {
  /**
   * Returns two backplanes that stand for two processes, on a channel that no other test uses. Called once per test, which
   * closes both at its end.
   */
  readonly open: () => MaybePromise<readonly [Backplane, Backplane]>;
  /** Breaks the connection that the second one listens with, and restores it. Left out: that can't be tested. */
  readonly interrupt?: () => MaybePromise<void>;
}

const MANY = 10_000;
const KEYS = [
  '',
  'k',
  '\0',
  'ä',
  '漢',
  '\u{1f4a9}',
  'a\ud800',
  '\udc00',
  'a\ufffd',
  '{"keys":[]}',
  'a\r\nb',
  '__proto__',
];

/**
 * Registers the tests that every backplane must pass.
 *
 * @example
 * ```ts
 * import { expect, test } from 'vitest';
 * import { broadcastChannelBackplane } from 'soloflight/backplane';
 * import { backplaneSuite } from 'soloflight/testing';
 *
 * let channels = 0;
 * backplaneSuite(
 *   { test, equal: (actual, expected) => expect(actual).toEqual(expected) },
 *   {
 *     open: () => {
 *       const channel = `test ${(channels += 1)}`;
 *       return [broadcastChannelBackplane({ channel }), broadcastChannelBackplane({ channel })];
 *     },
 *   },
 * );
 * ```
 *
 * @throws TypeError for an option that makes no sense.
 */
export function backplaneSuite(runner: StorageSuiteRunner, options: BackplaneSuiteOptions): void {
  if (typeof runner?.test !== 'function') throw misuse('runner.test', 'a function', runner?.test);
  if (typeof runner.equal !== 'function') throw misuse('runner.equal', 'a function', runner.equal);
  if (typeof options?.open !== 'function')
    throw misuse('open', 'a function that returns two backplanes', options?.open);
  const { open, interrupt } = options;
  if (interrupt !== undefined && typeof interrupt !== 'function') throw misuse('interrupt', 'a function', interrupt);
  const test = (name: string, run: (here: Backplane, there: Backplane) => Promise<void>): void => {
    runner.test(name, async () => {
      const [here, there] = await open();
      try {
        await run(here, there);
      } finally {
        await here.close?.();
        await there.close?.();
      }
    });
  };
  addDeliveryTests(test, runner);
  addLifeTests(test, runner);
  if (interrupt !== undefined) addInterruptionTests(test, interrupt);
}

type Test = (name: string, run: (here: Backplane, there: Backplane) => Promise<void>) => void;

function addDeliveryTests(test: Test, { equal }: StorageSuiteRunner): void {
  test('a message arrives as it was sent, whatever its kind and keys', async (here, there) => {
    const messages: readonly BackplaneMessage[] = [
      message(1, { kind: 'invalidate', keys: KEYS }),
      message(2, { kind: 'set', keys: ['k'], space: ['cache', 'user:42', '\ud800'], at: 1_700_000_000_000.25 }),
      message(3, { kind: 'expire', keys: KEYS.toReversed() }),
      message(4, { kind: 'tags', tags: KEYS, mode: 'invalidate', keys: undefined }),
      message(5, { kind: 'tags', tags: [], mode: 'expire', keys: undefined }),
      message(6, { kind: 'clear', keys: undefined }),
    ];
    const listener = new Recorder();
    await there.subscribe(listener);
    await here.publish(messages.slice(0, 1));
    await here.publish(messages.slice(1));
    await listener.until(messages.length);
    equal(sorted(listener.received), messages);
  });

  test(`a burst of ${MANY} keys arrives, in one message and in many`, async (here, there) => {
    const keys = Array.from({ length: MANY }, (_, number) => `burst-${number}`);
    const listener = new Recorder();
    await there.subscribe(listener);
    await here.publish([message(1, { keys })]);
    await Promise.all(
      Array.from({ length: 100 }, (_, batch) =>
        here.publish([message(2 + batch, { keys: keys.slice(batch * 100, batch * 100 + 100) })]),
      ),
    );
    await listener.until(101);
    const [first, ...others] = sorted(listener.received);
    equal(first?.keys, keys);
    equal(
      others.flatMap((each) => each.keys ?? []),
      keys,
    );
  });

  test('a message from the other one arrives, in both directions', async (here, there) => {
    const [left, right] = [new Recorder(), new Recorder()];
    await here.subscribe(left);
    await there.subscribe(right);
    await here.publish([message(1, { origin: 'left' })]);
    await there.publish([message(1, { origin: 'right' })]);
    await left.until(1, 'right');
    await right.until(1, 'left');
  });
}

function addLifeTests(test: Test, { equal }: StorageSuiteRunner): void {
  test('it has a name', async ({ name }) => {
    if (typeof name !== 'string' || name === '') throw misuse('name', 'a non-empty string', name);
  });

  test('several listeners share one, and each can leave', async (here, there) => {
    const [first, second] = [new Recorder(), new Recorder()];
    const leave = await there.subscribe(first);
    await there.subscribe(second);
    await here.publish([message(1)]);
    await first.until(1);
    await second.until(1);
    await leave();
    await here.publish([message(2)]);
    await second.until(2);
    equal(first.received.length, 1);
    equal(second.received.length, 2);
  });

  test('caches that share one hear each other', async (here) => {
    const listener = new Recorder();
    await here.subscribe(listener);
    await here.publish([message(1)]);
    await listener.until(1);
  });

  test('it may be closed twice, and before anything else', async (here) => {
    await here.close?.();
    await here.close?.();
  });
}

function addInterruptionTests(test: Test, interrupt: () => MaybePromise<void>): void {
  test('after an interruption it says that messages may be lost, and new ones arrive', async (here, there) => {
    const listener = new Recorder();
    await there.subscribe(listener);
    await interrupt();
    await listener.untilLost();
    await here.publish([message(1)]);
    await listener.until(1);
  });
}

function message(sequence: number, changes: Partial<BackplaneMessage> | { keys: undefined } = {}): BackplaneMessage {
  const { keys = ['k'], ...others } = changes as Partial<BackplaneMessage>;
  const whole = {
    origin: 'here',
    sequence,
    kind: 'invalidate' as const,
    space: [],
    keys,
    at: 1_700_000_000_000,
    ...others,
  };
  if (!('keys' in changes) || changes.keys !== undefined) return whole;
  const { keys: _, ...without } = whole;
  return without;
}

/** Keeps the received messages, and lets a test wait for them. One that never comes runs into the runner's timeout. */
class Recorder implements BackplaneListener {
  readonly received: BackplaneMessage[] = [];
  #losses = 0;
  #waiting: (() => void)[] = [];

  receive(received: BackplaneMessage): void {
    this.received.push(received);
    this.#check();
  }

  lost(): void {
    this.#losses += 1;
    this.#check();
  }

  until(count: number, origin?: string): Promise<void> {
    return this.#until(
      () => this.received.filter((each) => origin === undefined || each.origin === origin).length >= count,
    );
  }

  untilLost(): Promise<void> {
    return this.#until(() => this.#losses > 0);
  }

  async #until(isReached: () => boolean): Promise<void> {
    while (!isReached()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #check(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const goOn of waiting) goOn();
  }
}

function sorted(messages: readonly BackplaneMessage[]): BackplaneMessage[] {
  return messages.toSorted((left, right) => left.sequence - right.sequence);
}
