import { isSoloflightError } from '../errors.js';
import { holdLease, type TabLockParts } from './tab-lease.js';

/** The part of a `LockManager` that is used here. */
interface Locks {
  request(name: string, options: { readonly signal: AbortSignal }, run: () => Promise<void>): Promise<void>;
}

/**
 * Waits for the lock that one tab of the origin has at a time, runs `run`, and resolves when the lock is free again.
 *
 * Uses Web Locks. Where these can't be used, for example on a page without TLS, uses a lease in localStorage. Where that
 * can't be used either, nothing is shared, and every tab has the lock.
 */
export async function holdTabLock(parts: TabLockParts): Promise<void> {
  const { locks } = (globalThis as { readonly navigator?: { readonly locks?: Locks } }).navigator ?? {};
  if (locks !== undefined && (await held(locks, parts))) return;
  try {
    await holdLease(parts);
  } catch (error) {
    if (!isSoloflightError(error)) throw error;
    await parts.run(new AbortController().signal);
  }
}

/** Resolves to whether the lock was held, or is not wanted any more. */
async function held(locks: Locks, { name, stop, run }: TabLockParts): Promise<boolean> {
  const lost = new AbortController();
  let running: Promise<void> | undefined;
  try {
    await locks.request(`soloflight:${name}`, { signal: stop }, () => (running = run(lost.signal)));
    return true;
  } catch {
    // Not wanted any more, or stolen. Otherwise the origin has no locks.
    if (running === undefined) return stop.aborted;
    lost.abort();
    await running;
    return true;
  }
}
