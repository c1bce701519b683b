import { expect, test } from 'vitest';

import { openSink } from './support/sink.js';
import { catchUp, newProfile, openTab } from './support/tabs.js';
import { join, joinLeading, leads, put, read, type Queue, type Writing } from './support/writing.js';

/** Several tabs of the page at `from`, whose writes go through one `queue`. */
export function sharedWritesSuite(from: string, queue: Queue): void {
  test('are delivered by one of them, in the order in which they were accepted', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second] = [await openTab(profile, from), await openTab(profile, from)];
    await joinLeading(first, queue);
    await catchUp(second, first);
    await join(second, queue);

    sink.down = true;
    for (const [index, tab] of [first, second, second, first, second].entries()) await put(tab, 'k', `${index}`);
    await put(second, 'other', '5');
    expect([await read(first, 'other'), await read(second, 'k')]).toEqual(['5', '4']);
    sink.down = false;

    await expect.poll(() => sink.log).toEqual(expect.arrayContaining(['k=4', 'other=5']));
    const values = sink.log.filter((entry) => entry.startsWith('k='));
    expect([values, values.at(-1)]).toEqual([values.toSorted(), 'k=4']);
    expect(new Set(sink.delivered.map(({ tab }) => tab))).toEqual(new Set([first]));
  });

  test('accepted while the sink is down outlive their tab: a reload delivers them', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const tab = await openTab(profile, from);
    await joinLeading(tab, queue);
    sink.down = true;
    await put(tab, 'a', 'first');
    await put(tab, 'b', 'only');
    await put(tab, 'a', 'last');

    await tab.reload();
    await joinLeading(tab, queue);
    expect(await read(tab, 'a')).toBe('last');
    sink.down = false;

    await expect.poll(() => sink.log).toEqual(expect.arrayContaining(['a=last', 'b=only']));
    await expect
      .poll(() => tab.evaluate(() => (window as unknown as Writing).writes.status()))
      .toMatchObject({ pending: 0 });
    await tab.reload();
    await joinLeading(tab, queue);
    expect([await read(tab, 'a'), await read(tab, 'b')]).toEqual([undefined, undefined]);
    expect(sink.log.filter((entry) => entry.startsWith('a=')).at(-1)).toBe('a=last');
    expect(new Set(sink.log).size).toBe(sink.log.length);
  });

  test('are taken over when the tab that leads is left', async () => {
    const profile = await newProfile();
    const sink = await openSink(profile);
    const [first, second] = [await openTab(profile, from), await openTab(profile, from)];
    await joinLeading(first, queue);
    await catchUp(second, first);
    await join(second, queue);
    sink.down = true;
    await put(first, 'a', '1');
    await put(second, 'b', '2');

    await first.close({ runBeforeUnload: true });
    await leads(second);
    await put(second, 'c', '3');
    sink.down = false;

    await expect.poll(() => sink.log.toSorted()).toEqual(['a=1', 'b=2', 'c=3']);
    expect(new Set(sink.delivered.map(({ tab }) => tab))).toEqual(new Set([second]));
  });
}
