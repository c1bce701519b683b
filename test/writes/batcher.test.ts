import { afterEach, describe, expect, test } from 'vitest';

import { manualClock, type ManualClock } from '../../src/testing/index.js';
import { Batcher, type BatchContext, type BatcherOptions } from '../../src/writes/index.js';

interface Call {
  readonly items: readonly string[];
  readonly context: BatchContext;
  readonly resolve: (results?: readonly unknown[]) => void;
  readonly reject: (reason: unknown) => void;
}

const clocks: ManualClock[] = [];

/** A batcher whose every call waits until the test settles it. */
function setup(options: Partial<BatcherOptions<string, unknown>> = {}) {
  const clock = manualClock();
  clocks.push(clock);
  const calls: Call[] = [];
  const handle = (items: readonly string[], context: BatchContext): Promise<readonly unknown[] | void> =>
    new Promise((resolve, reject) => calls.push({ items, context, resolve, reject }));
  const batcher = new Batcher<string, unknown>({ handle, clock, ...options });
  const handled = (): string[] => calls.map(({ items }) => items.join(''));
  return { clock, calls, handled, batcher, settle: () => clock.advanceAsync(0) };
}

/** What each promise came to. */
function outcomes(promises: readonly Promise<unknown>[]): Promise<unknown[]> {
  return Promise.all(promises.map((promise) => promise.catch((reason: unknown) => ({ reason }))));
}

afterEach(() => {
  // What is over leaves no timer.
  const pending = clocks.splice(0).map((clock) => clock.pending);
  if (pending.some((timers) => timers > 0)) throw new Error(`timers left: ${pending.join(', ')}`);
});

describe('a window', () => {
  test('starts with its first item, lasts ten seconds, and is not prolonged by later ones', async () => {
    const { clock, calls, handled, batcher } = setup();

    const first = batcher.add('a');
    await clock.advanceAsync(9_000);
    const second = batcher.add('b');
    await clock.advanceAsync(999);
    expect(calls).toEqual([]);
    await clock.advanceAsync(1);

    expect(handled()).toEqual(['ab']);
    calls[0]!.resolve([1, 2]);
    expect(await Promise.all([first, second])).toEqual([1, 2]);
  });

  test('ends early when maxItems is reached, and no batch is larger', async () => {
    const { clock, calls, handled, batcher } = setup({ maxItems: 2 });

    const results = ['a', 'b', 'c', 'd', 'e'].map((item) => batcher.add(item));
    expect(handled()).toEqual(['ab']);
    calls[0]!.resolve(['A', 'B']);
    await clock.advanceAsync(0);
    expect(handled()).toEqual(['ab', 'cd']);
    calls[1]!.resolve(['C', 'D']);
    await clock.advanceAsync(9_999);
    expect(calls).toHaveLength(2);
    await clock.advanceAsync(1);
    calls[2]!.resolve(['E']);

    expect(await Promise.all(results)).toEqual(['A', 'B', 'C', 'D', 'E']);
  });

  test('of nothing is a turn: what one adds goes together', async () => {
    const { calls, handled, batcher, settle } = setup({ window: 0 });

    for (const item of ['a', 'b', 'c']) void batcher.add(item);
    expect(calls).toEqual([]);
    await settle();

    expect(handled()).toEqual(['abc']);
    calls[0]!.resolve();
    await settle();
  });

  test('is not moved by a wall clock that jumps', async () => {
    const { clock, calls, batcher, settle } = setup();

    void batcher.add('a');
    clock.jump(-3_600_000);
    await clock.advanceAsync(9_999);
    expect(calls).toHaveLength(0);
    clock.jump(7_200_000);
    await clock.advanceAsync(1);

    expect(calls).toHaveLength(1);
    calls[0]!.resolve();
    await settle();
  });
});

describe('a debounce', () => {
  test('is restarted by each item', async () => {
    const { clock, calls, handled, batcher, settle } = setup({ mode: 'debounce', window: 100 });

    for (const item of ['a', 'b', 'c']) {
      void batcher.add(item);
      await clock.advanceAsync(99);
    }
    expect(handled()).toEqual([]);
    await clock.advanceAsync(1);

    expect(handled()).toEqual(['abc']);
    calls[0]!.resolve();
    await settle();
  });

  test('keeps no item longer than maxWait', async () => {
    const { clock, calls, handled, batcher, settle } = setup({ mode: 'debounce', window: 100, maxWait: 250 });

    for (const item of ['a', 'b', 'c']) {
      void batcher.add(item);
      await clock.advanceAsync(item === 'c' ? 69 : 90);
    }
    expect(handled()).toEqual([]);
    await clock.advanceAsync(1);

    expect(handled()).toEqual(['abc']);
    calls[0]!.resolve();
    await settle();
  });
});

describe('a batch under way', () => {
  test('is the only one: what comes meanwhile goes to the next, in order', async () => {
    const { clock, calls, handled, batcher } = setup({ window: 10 });

    const first = batcher.add('a');
    await clock.advanceAsync(10);
    const others = [batcher.add('b'), batcher.add('c')];
    await clock.advanceAsync(50);
    expect(handled()).toEqual(['a']);
    calls[0]!.resolve(['A']);
    await clock.advanceAsync(0);

    expect(await first).toBe('A');
    expect(handled()).toEqual(['a', 'bc']);
    expect(batcher.pending).toBe(2);
    calls[1]!.resolve(['B', new Error('c')]);
    expect(await outcomes(others)).toEqual(['B', { reason: new Error('c') }]);
    expect(batcher.pending).toBe(0);
  });

  test('an item added from within the handler goes to the next batch, not into this one', async () => {
    const clock = manualClock();
    const seen: string[] = [];
    let inner: Promise<void> | undefined;
    const batcher = new Batcher<string>({
      clock,
      maxItems: 1,
      handle: (items) => {
        seen.push(items.join(''));
        inner ??= batcher.add('inner');
      },
    });

    await batcher.add('outer');
    await inner;

    expect(seen).toEqual(['outer', 'inner']);
  });
});

describe('a handler that misbehaves', () => {
  test.each([
    ['throws', undefined],
    ['throws', new Error('down')],
  ])('and %s %s fails every item with that very reason', async (_, reason) => {
    const { calls, batcher } = setup();

    const results = [batcher.add('a'), batcher.add('b')];
    void batcher.flush();
    calls[0]!.reject(reason);

    expect(await outcomes(results)).toEqual([{ reason }, { reason }]);
  });

  test.each([
    ['too few', ['A'], '1 results'],
    ['too many', ['A', 'B', 'C'], '3 results'],
    ['something else', new Map() as never, 'object'],
  ])('and answers %s fails all of them, and is not asked again', async (_, answer, got) => {
    const { calls, batcher, settle } = setup({ retry: { attempts: 5, split: true } });

    const results = [batcher.add('a'), batcher.add('b')];
    void batcher.flush();
    calls[0]!.resolve(answer);
    const reasons = await outcomes(results);
    await settle();

    for (const { reason } of reasons as { reason: TypeError }[]) {
      expect(reason).toBeInstanceOf(TypeError);
      expect(reason.message).toContain('an array of 2 results in the order of the items');
      expect(reason.message).toContain(got);
    }
    expect(calls).toHaveLength(1);
  });

  test('and leaves a hole in its answer has answered undefined there', async () => {
    const { calls, batcher } = setup();
    const answer: string[] = [];
    answer[1] = 'B';

    const results = [batcher.add('a'), batcher.add('b')];
    void batcher.flush();
    calls[0]!.resolve(answer);

    expect(await outcomes(results)).toEqual([undefined, 'B']);
  });

  test('and empties the array it is given has handled its items', async () => {
    const { batcher } = setup({ handle: (items) => void (items as string[]).splice(0) });

    const results = [batcher.add('a'), batcher.add('b')];
    await batcher.flush();

    expect(await outcomes(results)).toEqual([undefined, undefined]);
  });

  test('and hangs is told to stop, then given up, and the next batch follows', async () => {
    const { clock, calls, handled, batcher } = setup({ maxItems: 1, maxDuration: 100 });

    const results = [batcher.add('a'), batcher.add('b')];
    await clock.advanceAsync(99);
    expect(calls[0]!.context.signal.aborted).toBe(false);
    await clock.advanceAsync(1);
    expect(calls[0]!.context.signal.reason).toMatchObject({ code: 'SOLOFLIGHT_DELIVERY_TIMEOUT', maxDuration: 100 });
    expect(handled()).toEqual(['a']);
    await clock.advanceAsync(100);
    expect(handled()).toEqual(['a', 'b']);
    calls[1]!.resolve(['B']);

    expect(await outcomes(results)).toEqual([{ reason: calls[0]!.context.signal.reason }, 'B']);
  });

  test('and answers after its signal aborted has answered all the same', async () => {
    const { clock, calls, batcher } = setup({ maxItems: 1, maxDuration: 100 });

    const result = batcher.add('a');
    await clock.advanceAsync(150);
    calls[0]!.resolve(['late']);

    expect(await result).toBe('late');
  });
});

describe('a failing batch with retries', () => {
  const retry = { attempts: 3, initial: 100, max: 150 } as const;

  test('is tried again whole, after pauses that double up to the longest, and told which attempt it is', async () => {
    const { clock, calls, handled, batcher, settle } = setup({ retry });

    const results = [batcher.add('a'), batcher.add('b')];
    void batcher.flush();
    calls[0]!.reject('first');
    await clock.advanceAsync(74); // half of 100, and half of the other half by the chance of 0.5
    expect(calls).toHaveLength(1);
    await clock.advanceAsync(1);
    calls[1]!.reject('second');
    await clock.advanceAsync(112);
    expect(calls).toHaveLength(2);
    await clock.advanceAsync(1);
    calls[2]!.resolve([1, 2]);
    await settle();

    expect(await Promise.all(results)).toEqual([1, 2]);
    expect(handled()).toEqual(['ab', 'ab', 'ab']);
    expect(calls.map(({ context }) => context.attempt)).toEqual([1, 2, 3]);
  });

  test('fails with the last reason when its attempts are used up', async () => {
    const { clock, calls, batcher } = setup({ retry: { ...retry, attempts: 2 } });

    const result = batcher.add('a');
    void batcher.flush();
    calls[0]!.reject('first');
    await clock.advanceAsync(100);
    calls[1]!.reject('second');

    expect(await outcomes([result])).toEqual([{ reason: 'second' }]);
  });

  test('does not try an item again that failed alone', async () => {
    const { calls, batcher, settle } = setup({ retry });

    const results = [batcher.add('a'), batcher.add('b')];
    void batcher.flush();
    calls[0]!.resolve([new Error('a'), 'B']);

    expect(await outcomes(results)).toEqual([{ reason: new Error('a') }, 'B']);
    await settle();
    expect(calls).toHaveLength(1);
  });
});

describe('splitting', () => {
  /** A handler that fails whole batches which contain one of `poison`. */
  function poisoned(poison: string) {
    const handled: string[] = [];
    const batcher = new Batcher<string, string>({
      clock: manualClock(),
      retry: { attempts: 1, split: true },
      handle: (items) => {
        handled.push(items.join(''));
        const bad = items.find((item) => poison.includes(item));
        if (bad !== undefined) throw new Error(`poison ${bad}`);
        return items.map((item) => item.toUpperCase());
      },
    });
    return { handled, batcher };
  }

  test.each(['a', 'd', 'h', 'ah', 'bc', 'abc'])('finds the poison among abcdefgh: %s', async (poison) => {
    const { batcher } = poisoned(poison);

    const items = 'abcdefgh'.split('');
    const results = items.map((item) => batcher.add(item));
    await batcher.flush();

    expect(await outcomes(results)).toEqual(
      items.map((item) => (poison.includes(item) ? { reason: new Error(`poison ${item}`) } : item.toUpperCase())),
    );
  });

  test('handles the others in their order, each of them once', async () => {
    const { handled, batcher } = poisoned('f');

    const results = 'abcdefgh'.split('').map((item) => batcher.add(item));
    await batcher.flush();
    await outcomes(results);

    expect(handled).toEqual(['abcdefgh', 'abcd', 'efgh', 'ef', 'e', 'f', 'gh']);
  });

  test('gives up on a handler that is down after a few calls', async () => {
    const { handled, batcher } = poisoned(String.fromCodePoint(...Array.from({ length: 1_000 }, (_, i) => 0x1000 + i)));

    const results = Array.from({ length: 1_000 }, (_, index) => batcher.add(String.fromCodePoint(0x1000 + index)));
    await batcher.flush();
    const failed = (await outcomes(results)) as { reason: Error }[];

    expect(failed.every(({ reason }) => reason instanceof Error)).toBe(true);
    expect(handled.length).toBeLessThanOrEqual(24);
  });
});

describe('a caller who aborts', () => {
  test('before its batch takes the item out, also the last one', async () => {
    const { clock, calls, handled, batcher, settle } = setup();
    const [a, b] = [new AbortController(), new AbortController()];

    const results = [batcher.add('a', a), batcher.add('b', b), batcher.add('c')];
    a.abort('left');
    await clock.advanceAsync(10_000);

    expect(handled()).toEqual(['bc']);
    b.abort('late');
    expect(calls[0]!.context.signal.aborted).toBe(false);
    calls[0]!.resolve(['B', 'C']);
    expect(await outcomes(results)).toEqual([{ reason: 'left' }, { reason: 'late' }, 'C']);
    await settle();
  });

  test('as the last one of its batch aborts the handler, and no attempt follows', async () => {
    const { calls, batcher, clock } = setup({ retry: { attempts: 5 } });
    const [a, b] = [new AbortController(), new AbortController()];

    const results = [batcher.add('a', a), batcher.add('b', b)];
    void batcher.flush();
    a.abort('left');
    expect(calls[0]!.context.signal.aborted).toBe(false);
    b.abort('left too');
    expect(calls[0]!.context.signal.reason).toBe('left too');
    calls[0]!.reject(new Error('aborted'));
    await clock.advanceAsync(100_000);

    expect(calls).toHaveLength(1);
    expect(await outcomes(results)).toEqual([{ reason: 'left' }, { reason: 'left too' }]);
  });

  test('as the last one of a batch that is being split ends that too', async () => {
    const { calls, handled, batcher, settle } = setup({ retry: { attempts: 1, split: true } });
    const controller = new AbortController();

    const results = ['a', 'b'].map((item) => batcher.add(item, controller));
    void batcher.flush();
    calls[0]!.reject(new Error('too many'));
    await settle();
    controller.abort('left');
    calls[1]!.reject(new Error('aborted'));
    await settle();

    expect(handled()).toEqual(['ab', 'a']);
    expect(await outcomes(results)).toEqual([{ reason: 'left' }, { reason: 'left' }]);
  });

  test('beforehand adds nothing, and one that never does leaves no listener', async () => {
    const { calls, batcher, settle } = setup();
    let listeners = 0;
    const { signal } = new AbortController();
    const spied = new Proxy(signal, {
      get(target, name) {
        if (name === 'addEventListener') listeners += 1;
        if (name === 'removeEventListener') listeners -= 1;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

    await expect(batcher.add('a', { signal: AbortSignal.abort('gone') })).rejects.toBe('gone');
    expect(batcher.pending).toBe(0);
    void batcher.add('b', { signal: spied });
    expect(listeners).toBe(1);
    void batcher.flush();
    calls[0]!.resolve();
    await settle();

    expect(listeners).toBe(0);
  });
});

describe('flush and close', () => {
  test('flush does not wait for the window and resolves when all results are there, failed ones included', async () => {
    const { calls, handled, batcher, settle } = setup({ maxItems: 2 });
    let flushed = false;

    const results = ['a', 'b', 'c'].map((item) => batcher.add(item));
    const flush = batcher.flush().then(() => (flushed = true));
    calls[0]!.reject(new Error('down'));
    await settle();
    expect(handled()).toEqual(['ab', 'c']);
    expect(flushed).toBe(false);
    calls[1]!.resolve(['C']);
    await flush;

    expect((await outcomes(results))[2]).toBe('C');
  });

  test('flush of nothing resolves, and does not hurry what comes later', async () => {
    const { clock, calls, batcher, settle } = setup();

    await batcher.flush();
    void batcher.add('a');
    await settle();
    expect(calls).toEqual([]);
    await clock.advanceAsync(10_000);

    expect(calls).toHaveLength(1);
    calls[0]!.resolve();
    await settle();
  });

  test('close handles what was added and takes no more', async () => {
    const { calls, batcher } = setup();

    const result = batcher.add('a');
    const closing = batcher.close();
    await expect(batcher.add('b')).rejects.toMatchObject({ code: 'SOLOFLIGHT_BATCHER_CLOSED' });
    calls[0]!.resolve(['A']);
    await closing;

    expect(await result).toBe('A');
    await batcher.close();
    expect(calls).toHaveLength(1);
  });
});

describe('a batcher built with an option that makes no sense', () => {
  const handle = (): void => {};

  test.each([
    [undefined, 'Expected `options` to be an object, got `undefined`'],
    [{}, 'Expected `handle` to be a function, got `undefined`'],
    [{ handle, mode: 'throttle' }, "Expected `mode` to be 'window' or 'debounce', got `'throttle'` (string)"],
    [{ handle, window: -1 }, 'Expected `window` to be a duration ≥ 0 or Infinity'],
    [{ handle, maxItems: 0 }, 'Expected `maxItems` to be an integer ≥ 1 or Infinity, got `0` (number)'],
    [{ handle, maxWait: '1s' }, "Expected `maxWait` to be left out, or `mode` to be 'debounce'"],
    [{ handle, mode: 'debounce', window: '2s', maxWait: '1s' }, 'Expected `maxWait` to be at least `window`'],
    [{ handle, maxDuration: 0 }, 'Expected `maxDuration` to be a duration > 0 or Infinity'],
    [{ handle, retry: 3 }, 'Expected `retry` to be an object, got `3` (number)'],
    [{ handle, retry: { initial: 0 } }, 'Expected `retry.initial` to be a duration > 0'],
    [{ handle, retry: { initial: '2s', max: '1s' } }, 'Expected `retry.max` to be at least `retry.initial`'],
    [{ handle, retry: { attempts: 0 } }, 'Expected `retry.attempts` to be an integer ≥ 1 or Infinity'],
    [{ handle, retry: { split: 'yes' } }, 'Expected `retry.split` to be a boolean'],
    [{ handle, retry: { retries: 1 } }, 'Expected `options` to be without unknown names'],
    [{ handle, maxSize: 1 }, 'Expected `options` to be without unknown names'],
    [{ handle, clock: Date }, 'Expected `clock` to be a clock'],
  ])('%j is a TypeError: %s', (options, message) => {
    const build = (): unknown => new Batcher(options as never);

    expect(build).toThrow(TypeError);
    expect(build).toThrow(message);
  });

  test('a signal that is none is refused at the call', async () => {
    await expect(new Batcher({ handle }).add(1, { signal: {} as never })).rejects.toThrow('Expected `signal`');
  });
});
