import { afterEach, expect, vi } from 'vitest';

import { whileLeading, type Leadership } from '../../src/browser/while-leading.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';

/** One tab's part in the election, with a clock of its own, so that it can be suspended. */
export interface TabParts {
  readonly leadership: Leadership;
  readonly clock: ManualClock;
  /** The signal of each term in which it led. */
  readonly terms: AbortSignal[];
}

/** The localStorage that the tabs of one test share. */
export const stored = new Map<string, string>();

const opened: TabParts[] = [];
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

/** A browser without Web Locks, but with localStorage. */
export function stubBrowser(): void {
  vi.stubGlobal('navigator', {});
  vi.stubGlobal('localStorage', {
    get length() {
      return stored.size;
    },
    key: (index: number) => [...stored.keys()][index] ?? null,
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, text: string) => void stored.set(name, text),
    removeItem: (name: string) => void stored.delete(name),
  });
}

/** The window whose events the tabs of a test hear. */
export function stubWindow(): EventTarget {
  const window = new EventTarget();
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  vi.stubGlobal('removeEventListener', window.removeEventListener.bind(window));
  return window;
}

let tabs = 0;

export function openTab(lead?: (signal: AbortSignal) => unknown): TabParts {
  tabs += 1;
  const chances = [0.1 + tabs / 1_000_000, 0.5];
  const clock = manualClock({ random: () => chances.shift() ?? 0.5 });
  const terms: AbortSignal[] = [];
  const leadership = whileLeading(
    'work',
    ({ signal }) => {
      terms.push(signal);
      return lead?.(signal);
    },
    { clock },
  );
  const parts = { leadership, clock, terms };
  opened.push(parts);
  return parts;
}

/** Lets `ms` milliseconds pass in all of `tabs`. */
export async function pass(ms: number, ...tabs: readonly TabParts[]): Promise<void> {
  for (let left = ms; left > 0; left -= 50) for (const { clock } of tabs) await clock.advanceAsync(Math.min(50, left));
  for (let turn = 0; turn < 50; turn += 1) await null;
}

afterEach(async () => {
  for (const { leadership, clock } of opened.splice(0)) {
    await leadership.close();
    expect([clock.pending, leadership.leading]).toEqual([0, false]);
  }
  stored.clear();
  vi.unstubAllGlobals();
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled.splice(0)).toEqual([]);
});
