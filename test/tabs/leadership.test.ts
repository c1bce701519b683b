import { beforeEach, describe, expect, test, vi } from 'vitest';

import { whileLeading } from '../../src/browser/while-leading.js';
import { openTab, pass, stored, stubBrowser, stubWindow } from '../support/setup-leadership.js';

const LEASE = 10_000;
const SETTLED = 600;

beforeEach(stubBrowser);

describe('tabs without Web Locks', () => {
  test('that come at the same moment, each before it sees the others, agree on one of them', async () => {
    let blindReads = 3;
    const { localStorage } = globalThis as unknown as { localStorage: { getItem(name: string): string | null } };
    const getItem = (name: string): string | null => {
      blindReads -= 1;
      return blindReads < 0 ? (stored.get(name) ?? null) : null;
    };
    vi.stubGlobal('localStorage', Object.assign(Object.create(localStorage), { getItem }));
    const tabs = [openTab(), openTab(), openTab()];

    await pass(60_000, ...tabs);

    expect(tabs.map(({ terms }) => terms.length).toSorted((a, b) => a - b)).toEqual([0, 0, 1]);
    expect(tabs.filter(({ leadership }) => leadership.leading).length).toBe(1);
  });

  test('follow a tab that stops leading, once what it does has ended', async () => {
    let end = (): void => {};
    const first = openTab(() => new Promise<void>((resolve) => (end = resolve)));
    await pass(SETTLED, first);
    const second = openTab();
    await pass(60_000, first, second);
    const closed = first.leadership.close();
    await pass(60_000, first, second);
    expect([first.terms[0]!.aborted, second.terms.length]).toEqual([true, 0]);

    end();
    await closed;
    await pass(LEASE + SETTLED, second);

    expect([first.leadership.leading, second.leadership.leading]).toEqual([false, true]);
  });

  test('follow a tab that is suspended, which stops when it wakes up', async () => {
    const [first, second] = [openTab(), openTab()];
    await pass(SETTLED, first);
    await pass(SETTLED, second);
    expect(first.leadership.leading).toBe(true);

    await pass(LEASE + SETTLED, second);
    expect([second.leadership.leading, first.terms[0]!.aborted]).toEqual([true, false]);
    // Time went on for the one that slept; only its timers did not.
    first.clock.jump(LEASE + SETTLED);
    await pass(LEASE + SETTLED, first, second);

    expect([first.leadership.leading, first.terms[0]!.aborted, second.leadership.leading]).toEqual([false, true, true]);
  });

  test.each(['garbage', '', '123 NaN', `123 ${1_700_000_000_000 + 86_400_000}`])(
    'are not held up by a lease that makes no sense: %j',
    async (lease) => {
      stored.set('soloflight-lease:work', lease);
      const tab = openTab();

      await pass(SETTLED, tab);

      expect(tab.leadership.leading).toBe(true);
    },
  );

  test('leave no lease behind, and take none that is not theirs', async () => {
    const tab = openTab();
    await pass(SETTLED, tab);
    const lease = stored.get('soloflight-lease:work');
    expect(lease).toMatch(/^\d+ \d+$/);
    stored.set('soloflight-lease:work', '1 1');

    await tab.leadership.close();
    expect([...stored.values()]).toEqual(['1 1']);
  });

  test('lead all of them where nothing is shared', async () => {
    vi.stubGlobal('localStorage', undefined);
    const tabs = [openTab(), openTab()];

    await pass(1, ...tabs);

    expect(tabs.map(({ leadership }) => leadership.leading)).toEqual([true, true]);
  });
});

describe('a tab that goes without leading', () => {
  test.each([
    ['waits for the lease of another', 9_000],
    ['takes the lease', 0],
  ])('while it %s claims none until it is shown again', async (_, left) => {
    const window = stubWindow();
    const tab = openTab();
    if (left > 0) stored.set('soloflight-lease:work', `123 ${tab.clock.now() + left}`);
    await pass(100, tab);

    window.dispatchEvent(new Event('pagehide'));
    stored.clear();
    for (let step = 0; step < 400; step += 1) {
      await pass(50, tab);
      expect([stored.size, tab.terms.length]).toEqual([0, 0]);
    }
    window.dispatchEvent(new Event('pageshow'));
    await pass(SETTLED, tab);

    expect(tab.leadership.leading).toBe(true);
  });
});

describe('a lead that fails', () => {
  test('is reported, and comes again after a pause', async () => {
    const reported: unknown[] = [];
    vi.stubGlobal('reportError', (error: unknown) => reported.push(error));
    let failures = 0;
    const tab = openTab(() => {
      failures += 1;
      if (failures < 3) throw failures === 1 ? undefined : new Error('again');
    });

    await pass(SETTLED, tab);
    expect([tab.leadership.leading, stored.size]).toEqual([false, 0]);
    await pass(5_000, tab);

    expect([tab.leadership.leading, failures, reported]).toEqual([true, 3, [undefined, new Error('again')]]);
    expect(tab.terms.map(({ aborted }) => aborted)).toEqual([true, true, false]);
  });
});

describe('close', () => {
  test('ends the wait for another tab, at once', async () => {
    const [first, second] = [openTab(), openTab()];
    await pass(SETTLED, first);

    await second.leadership.close();
    await pass(60_000, first, second);

    expect(second.terms).toEqual([]);
  });

  test('may come before anything else, and twice', async () => {
    const { leadership, terms } = openTab();

    await Promise.all([leadership.close(), leadership.close()]);

    expect([terms, stored.size]).toEqual([[], 0]);
  });
});

describe('misuse of whileLeading', () => {
  test.each<[string, unknown, unknown, string]>([
    ['', () => {}, {}, 'Expected `name` to be a name of at least one character'],
    ['work', 5, {}, 'Expected `lead` to be a function'],
    ['work', () => {}, { steal: true }, 'without unknown names'],
    ['work', () => {}, { clock: Date }, 'Expected `clock` to be a clock'],
  ])('is told at once (%#)', (name, lead, options, message) => {
    expect(() => whileLeading(name, lead as () => void, options as object)).toThrow(message);
  });
});
