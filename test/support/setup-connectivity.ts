import { afterEach, expect, vi } from 'vitest';

import type { ConnectivityOptions, ProbeContext } from '../../src/browser/connectivity-options.js';
import { connectivity, type Connectivity } from '../../src/browser/connectivity.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';

/** One probe, waiting for the test to answer it. */
export interface Asked extends ProbeContext {
  readonly answer: (reached: unknown) => void;
  readonly fail: (error: unknown) => void;
}

export interface Parts {
  readonly connection: Connectivity;
  readonly clock: ManualClock;
  readonly asked: Asked[];
  /** All states reported so far. */
  readonly told: string[];
  readonly browser: Browser;
}

/** The parts of a window that a signal sees. */
class Browser extends EventTarget {
  readonly navigator = { onLine: true };
  readonly listeners = new Set<unknown>();

  override addEventListener(...args: Parameters<EventTarget['addEventListener']>): void {
    this.listeners.add(args[1]);
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget['removeEventListener']>): void {
    this.listeners.delete(args[1]);
    super.removeEventListener(...args);
  }

  go(state: 'online' | 'offline'): void {
    this.navigator.onLine = state === 'online';
    this.dispatchEvent(new Event(state));
  }
}

export const opened: Parts[] = [];
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

export function setup(options: Partial<ConnectivityOptions> & { readonly onLine?: boolean } = {}): Parts {
  const { onLine = true, ...others } = options;
  const browser = new Browser();
  browser.navigator.onLine = onLine;
  vi.stubGlobal('navigator', browser.navigator);
  vi.stubGlobal('addEventListener', browser.addEventListener.bind(browser));
  vi.stubGlobal('removeEventListener', browser.removeEventListener.bind(browser));
  const clock = manualClock({ random: () => 0.999_999 });
  const connection = connectivity({ clock, ...others });
  const told: string[] = [];
  connection.on((state) => told.push(state));
  const parts = { connection, clock, asked, told, browser };
  opened.push(parts);
  return parts;
}

/** The probes of all signals of one test. */
export const asked: Asked[] = [];
export const probe = ({ signal }: ProbeContext): Promise<unknown> =>
  new Promise((answer, fail) => asked.push({ signal, answer, fail }));

/** Lets all promises that can settle without outside help do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await null;
}

export const networkError = (): Promise<never> => Promise.reject(new TypeError('Failed to fetch'));

export async function failRequest({ connection }: Parts): Promise<void> {
  await expect(connection.track(networkError)).rejects.toThrow('Failed to fetch');
  await settle();
}

afterEach(async () => {
  for (const { connection, clock, browser } of opened.splice(0)) {
    connection.close();
    await settle();
    expect([clock.pending, browser.listeners.size]).toEqual([0, 0]);
  }
  asked.length = 0;
  vi.unstubAllGlobals();
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled.splice(0)).toEqual([]);
});
