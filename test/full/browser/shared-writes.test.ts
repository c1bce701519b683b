import { describe, expect, test } from 'vitest';

import { sharedWritesSuite } from '../../browser/shared-writes-suite.js';
import { openSink } from '../../browser/support/sink.js';
import { insecureOrigin, newProfile, openTab, origin } from '../../browser/support/tabs.js';
import { join, joinLeading, leads, put, read, type Queue, type Writing } from '../../browser/support/writing.js';

// With Web Locks and a queue in IndexedDB they are part of every run.
describe.each<[string, string, Queue]>([
  ['Web Locks, queue in localStorage', origin, 'webStorageQueue'],
  ['no secure context, queue in localStorage', insecureOrigin, 'webStorageQueue'],
])('writes of several tabs (%s)', (_which, from, queue) => {
  sharedWritesSuite(from, queue);
});

describe('a tab that crashes while it leads', () => {
  test('takes no accepted write with it, and calls that it did not answer are made again', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second, third] = [await openTab(profile), await openTab(profile), await openTab(profile)];
    await joinLeading(first);
    await join(second);
    await join(third);
    sink.down = true;
    await put(second, 'a', '1');
    // It still hears the call, and dies before it has answered.
    await first.evaluate(() => Object.assign(BroadcastChannel.prototype, { postMessage: () => {} }));
    const asked = [put(second, 'b', '2'), put(third, 'c', '3')];

    const crashed = first.waitForEvent('crash');
    first.goto('chrome://crash').catch(() => {});
    await crashed;
    await Promise.all(asked);
    sink.down = false;

    await expect.poll(() => new Set(sink.log)).toEqual(new Set(['a=1', 'b=2', 'c=3']));
  });
});

describe('a write that fails', () => {
  test('fails in the tab that made it, with its code', async () => {
    const profile = await newProfile();
    await openSink(profile);
    const [first, second] = [await openTab(profile), await openTab(profile)];
    await joinLeading(first);
    await join(second);

    const outcome = await second.evaluate(async () => {
      const { writes } = window as unknown as Writing;
      const { codeOf } = window.soloflight;
      return [
        await codeOf(() => writes.put('k', undefined as never)),
        await codeOf(() => writes.put('k', (() => {}) as never)),
        await codeOf(() => writes.put(5 as never, 'v')),
      ];
    });

    expect(outcome).toEqual(['TypeError', 'DataCloneError', 'TypeError']);
  });

  test('fails with the code of the queue, where that is full', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    sink.down = true;
    const [first, second] = [await openTab(profile), await openTab(profile)];
    await joinLeading(first, 'webStorageQueue');
    await join(second, 'webStorageQueue');

    const code = await second.evaluate(() =>
      window.soloflight.codeOf(() => (window as unknown as Writing).writes.put('k', 'x'.repeat(6_000_000))),
    );
    await put(second, 'small', 'fits');

    expect(code).toMatch(/^SOLOFLIGHT_/);
    expect(await read(second, 'small')).toBe('fits');
  });
});

describe('a tab that leads', () => {
  test('answers a call that comes twice twice, makes it once, and heeds no other messages', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const calls: string[] = [];
      const note = (call: string) => async (): Promise<undefined> => void calls.push(call);
      const read = async (): Promise<string> => (() => 'not for other tabs') as never;
      const open = () => window.soloflight.idleWrites<string>({ put: note('put'), read, close: note('close') });
      const writes = window.soloflight.sharedWrites<string>({ name: 'twice', open });
      while (!writes.leading) await new Promise((resolve) => setTimeout(resolve, 5));
      const channel = new BroadcastChannel('soloflight:twice');
      const answers: { id: string; failure?: { name: string } }[] = [];
      channel.addEventListener('message', ({ data }) => answers.push(data));
      const put = { kind: 'ask', id: 'x-1', call: ['put', 'k', 'v'] };
      const strange = [null, 'leading', {}, { kind: 'ask' }, { kind: 'ask', id: 'x-4', call: [5] }, { kind: 'event' }];
      const asks = [['x-2', 'close'] as const, ['x-3', 'read'] as const];
      for (const message of [
        put,
        ...strange,
        put,
        ...asks.map(([id, method]) => ({ kind: 'ask', id, call: [method] })),
      ])
        channel.postMessage(message);
      while (answers.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
      channel.close();
      const made = [...calls];
      await writes.close();
      return { made, calls, answers: answers.map(({ id, failure }) => `${id} ${failure?.name}`).toSorted() };
    });

    expect(outcome).toEqual({
      made: ['put'],
      calls: ['put', 'close'],
      answers: ['x-1 undefined', 'x-1 undefined', 'x-2 TypeError', 'x-3 DataCloneError'],
    });
  });
});

describe('a tab that loses the lead', () => {
  test('delivers nothing more, and opens the queue anew when it leads again', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const calls: string[] = [];
      const open = () => {
        calls.push('open');
        const close = async (options?: { readonly flush?: boolean }) =>
          void calls.push(`close, flush: ${options?.flush}`);
        return window.soloflight.idleWrites<string>({ close });
      };
      const writes = window.soloflight.sharedWrites<string>({ name: 'lost', open });
      const until = async (done: () => boolean): Promise<void> => {
        while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      await until(() => writes.leading);
      await navigator.locks.request('soloflight:lost', { steal: true }, () => until(() => !writes.leading));
      await until(() => writes.leading);
      await writes.close();
      return calls;
    });

    expect(outcome).toEqual(['open', 'close, flush: false', 'open', 'close, flush: true']);
  });
});

describe('a call of the tab that leads', () => {
  test('is made again if it loses the lead before it has answered', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const ended = new window.soloflight.WriteBehind<string>({ sink: () => {} });
      await ended.close();
      const closed: unknown = await ended.put('k', 'v').catch((error: unknown) => error);
      let terms = 0;
      const open = () => {
        const isFirst = (terms += 1) === 1;
        let refuse = (_reason: unknown): void => {};
        const put = () =>
          new Promise<void>((resolve, reject) => {
            if (isFirst) refuse = reject;
            else resolve();
          });
        return window.soloflight.idleWrites<string>({ put, close: async () => refuse(closed) });
      };
      const writes = window.soloflight.sharedWrites<string>({ name: 'again', open });
      const until = async (done: () => boolean): Promise<void> => {
        while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      await until(() => writes.leading);
      const put = writes.put('k', 'v').then(
        () => 'accepted',
        ({ code }: { code: string }) => code,
      );
      await navigator.locks.request('soloflight:again', { steal: true }, () => until(() => !writes.leading));
      const result = await put;
      await writes.close();
      return [result, terms];
    });

    expect(outcome).toEqual(['accepted', 2]);
  });
});

describe('leaving', () => {
  test('takes no call with it that the next one may still answer', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second] = [await openTab(profile), await openTab(profile)];
    await first.evaluate(async () => {
      // Waits for room as long as it is open.
      const waiting = { asked: false };
      const closing = new AbortController();
      const never = () => new Promise<never>((_resolve, reject) => closing.signal.addEventListener('abort', reject));
      const refuse = () => Promise.reject(Object.assign(new Error('closed'), { code: 'SOLOFLIGHT_WRITES_CLOSED' }));
      const wait = (): Promise<never> => {
        waiting.asked = true;
        return never().catch(refuse);
      };
      const close = async (): Promise<void> => closing.abort();
      const open = () => window.soloflight.idleWrites<string>({ put: wait, close });
      const writes = window.soloflight.sharedWrites<string>({ name: 'profile', open });
      Object.assign(window, { writes, waiting });
      while (!writes.leading) await new Promise((resolve) => setTimeout(resolve, 5));
    });
    await join(second);

    const asked = put(second, 'a', '1');
    await first.waitForFunction(() => (window as unknown as { waiting: { asked: boolean } }).waiting.asked);
    await first.evaluate(() => (window as unknown as Writing).writes.close());
    await asked;

    await expect.poll(() => sink.log).toEqual(['a=1']);
  });

  test('hands on what is pending without delivering it, if so wished, and answers no more calls', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second] = [await openTab(profile), await openTab(profile)];
    await join(first, 'indexedDbQueue', 600_000);
    await leads(first);
    await join(second, 'indexedDbQueue', 20);
    await put(second, 'a', '1');

    const code = await first.evaluate(async () => {
      const { writes } = window as unknown as Writing;
      await writes.close({ flush: false });
      return window.soloflight.codeOf(() => writes.put('b', '2'));
    });
    await leads(second);

    await expect.poll(() => sink.log).toEqual(['a=1']);
    expect([code, sink.delivered[0]!.tab === second]).toEqual(['SOLOFLIGHT_WRITES_CLOSED', true]);
  });
});
