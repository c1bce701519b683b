import { vi } from 'vitest';

/** Milliseconds after which something hangs. A limit, never a measure: a busy machine may take ten times as long as an idle one. */
export const HANGS_AFTER = 60_000;

/** To be called by files whose tests wait for other processes: their outcomes are polled for until something hangs. */
export function waitPatiently(): void {
  const limit = 3 * HANGS_AFTER;
  vi.setConfig({ testTimeout: limit, hookTimeout: limit, expect: { poll: { timeout: HANGS_AFTER, interval: 25 } } });
}

/** Resolves when `check` does not throw any more. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: HANGS_AFTER, interval: 10 });
}
