import { vi } from 'vitest';

/** Milliseconds after which something counts as hanging. A limit, not a measure: a busy machine may take ten times as long. */
export const HANGS_AFTER = 60_000;

/** Must be called by files whose tests wait for other processes. Lets them poll for outcomes until something hangs. */
export function waitPatiently(): void {
  const limit = 3 * HANGS_AFTER;
  vi.setConfig({ testTimeout: limit, hookTimeout: limit, expect: { poll: { timeout: HANGS_AFTER, interval: 25 } } });
}

/** Resolves once `check` stops throwing. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: HANGS_AFTER, interval: 10 });
}
