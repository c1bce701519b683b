import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import { openSink } from '../../browser/support/sink.js';
import { suspend } from '../../browser/support/suspension.js';
import { insecureOrigin, newProfile, openTab, origin } from '../../browser/support/tabs.js';
import { join, joinLeading, put, read, type Queue, type Writing } from '../../browser/support/writing.js';

const pending = (tab: Page): Promise<number> =>
  tab.evaluate(async () => (await (window as unknown as Writing).writes.status()).pending);

describe.each<[string, string, Queue]>([
  ['Web Locks, queue in IndexedDB', origin, 'indexedDbQueue'],
  ['Web Locks, queue in localStorage', origin, 'webStorageQueue'],
  ['no secure context, queue in IndexedDB', insecureOrigin, 'indexedDbQueue'],
  ['no secure context, queue in localStorage', insecureOrigin, 'webStorageQueue'],
])('a leading tab that is suspended (%s)', (_which, from, queue) => {
  async function setup() {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second, third] = [
      await openTab(profile, from),
      await openTab(profile, from),
      await openTab(profile, from),
    ];
    await joinLeading(first, queue);
    await join(second, queue);
    await join(third, queue);
    await put(second, 'k', 'before');
    await expect.poll(() => sink.log).toEqual(['k=before']);
    // Until the queue has forgotten it, the next leader delivers it once more.
    await expect.poll(() => pending(second)).toBe(0);
    return { sink, first, second, third };
  }

  // How long that takes is tested with a clock of its own: test/tabs/shared-writes.test.ts.
  test('loses the lead while it is suspended, and the other tabs write, read and deliver', async () => {
    const { sink, first, second, third } = await setup();
    const resume = await suspend(first);

    await Promise.all([put(second, 'k', 'after'), put(third, 'j', 'too'), pending(third), read(second, 'unknown')]);

    await expect.poll(() => sink.log.toSorted()).toEqual(['j=too', 'k=after', 'k=before']);
    expect(await read(third, 'unknown')).toBeUndefined();
    await resume();
    await put(first, 'k', 'last');
    await expect.poll(() => sink.log.at(-1)).toBe('k=last');
  });

  test('delivers nothing that was rejected meanwhile, when it goes on', async () => {
    const { sink, first, second } = await setup();
    const resume = await suspend(first);

    const outcome = await second.evaluate(() =>
      (window as unknown as Writing).writes.put('k', 'given up', { signal: AbortSignal.timeout(300) }).then(
        () => 'accepted',
        (reason: DOMException) => reason.name,
      ),
    );
    await resume();
    await put(first, 'k', 'last');
    await put(second, 'other', 'last');

    expect(outcome).toBe('TimeoutError');
    await expect.poll(() => sink.log.filter((entry) => entry.endsWith('=last')).length).toBe(2);
    expect(sink.log).not.toContain('k=given up');
  });

  test('delivers no write of its own behind a newer one, when it goes on', async () => {
    const { sink, first, second } = await setup();
    sink.down = true;
    await put(first, 'k', 'old');
    const resume = await suspend(first);
    sink.down = false;

    await put(second, 'k', 'new');
    await expect.poll(() => sink.log.at(-1)).toBe('k=new');
    await resume();
    await put(first, 'other', 'last');
    await expect.poll(() => sink.log.at(-1)).toBe('other=last');

    const values = sink.log.filter((entry) => entry.startsWith('k='));
    expect(values.at(-1)).toBe('k=new');
  });
});
