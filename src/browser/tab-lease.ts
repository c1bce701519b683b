import type { Clock } from '../contracts.js';
import { WebArea } from './web-area.js';

/** Duration of a lease, and the interval of renewals. Tabs in the background may run only once a second. */
const LEASE = 10_000;
const RENEWAL = 3_000;
/** The longest time until another tab's claim is visible here. */
const SETTLE = 250;

/** The parts of holding a lock that one tab of the origin has at a time. */
export interface TabLockParts {
  readonly name: string;
  readonly clock: Clock;
  /** Ends the wait for the lock. Does not take it away. */
  readonly stop: AbortSignal;
  /** Ends it too, and takes the lock from whoever has it. */
  readonly seize: AbortSignal;
  /** Runs while the lock is held; the lock ends when it settles. Must not reject. `lost` aborts if the lock is taken away. */
  readonly run: (lost: AbortSignal) => Promise<void>;
}

interface Lease {
  readonly owner: string;
  readonly until: number;
}

/** The part of a window that is used here. */
interface Window {
  addEventListener?(type: string, listener: (event: { readonly key?: string | null }) => void): void;
  removeEventListener?(type: string, listener: (event: { readonly key?: string | null }) => void): void;
}

/**
 * Holds a lock by a lease in localStorage, renewed for as long as its tab runs.
 *
 * Weaker than a Web Lock: a tab that was suspended may find that another one has led meanwhile, and for moments both may
 * believe that they lead.
 *
 * @throws SoloflightError where there is no localStorage, or it is full.
 */
export async function holdLease({ name, clock, stop, seize, run }: TabLockParts): Promise<void> {
  const lease = new TabLease(name, clock);
  const lost = new AbortController();
  // A tab that goes has time for no more, and others need not wait for the end of its lease.
  let back = Promise.resolve();
  const leave = (): void => {
    back = shownAgain(stop);
    lease.release();
    lost.abort();
  };
  const window = globalThis as Window;
  window.addEventListener?.('pagehide', leave);
  try {
    if (!(await lease.claim(stop, lost.signal, seize))) {
      await back;
      return;
    }
    const stopRenewing = lease.keep(() => lost.abort());
    await run(lost.signal);
    stopRenewing();
    lease.release();
  } finally {
    window.removeEventListener?.('pagehide', leave);
  }
  await back;
}

/** Code that still runs in a tab that goes must not claim the lease again. The tab may also come back, from the history. */
function shownAgain(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      (globalThis as Window).removeEventListener?.('pageshow', end);
      stop.removeEventListener('abort', end);
      resolve();
    };
    (globalThis as Window).addEventListener?.('pageshow', end);
    stop.addEventListener('abort', end);
  });
}

class TabLease {
  readonly #area = new WebArea('local', 'soloflight-lease:');
  readonly #name: string;
  readonly #clock: Clock;
  readonly #owner: string;

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
    // `crypto.randomUUID` is missing on exactly those pages that lack Web Locks.
    this.#owner = `${clock.random()}`.slice(2) + `${clock.random()}`.slice(2);
  }

  /** Waits until the lease is free or `seize` aborts, and takes it. Resolves to `false` if it was stopped first. */
  async claim(stop: AbortSignal, gone: AbortSignal, seize: AbortSignal): Promise<boolean> {
    const signals = [stop, gone];
    while (!stop.aborted && !gone.aborted) {
      const wait = seize.aborted ? 0 : this.#untilFree();
      if (wait > 0) {
        await this.#pause(wait + this.#clock.random() * SETTLE, [...signals, seize]);
        continue;
      }
      this.#write();
      // Of several tabs that claim it at the same time, the last one gets it.
      await this.#pause(SETTLE, signals);
      if (this.#isMine()) {
        if (!stop.aborted && !gone.aborted) return true;
        this.release();
      }
      // Of two tabs that seize it, one goes on.
      if (seize.aborted) return false;
    }
    return false;
  }

  /** Renews the lease until the returned function is called, or it is no longer ours: then calls `lose`. */
  keep(lose: () => void): () => void {
    let cancel = (): void => {};
    const window = globalThis as Window;
    const stop = (): void => {
      cancel();
      window.removeEventListener?.('storage', changed);
    };
    const check = (isStillOurs: boolean): void => {
      if (isStillOurs) return;
      stop();
      lose();
    };
    const renewLater = (): void => {
      cancel = this.#clock.after(RENEWAL, () => {
        renewLater();
        check(this.#renewed());
      });
    };
    // Another tab has taken it because this one did not answer.
    const changed = (): void => check(this.#isMine());
    window.addEventListener?.('storage', changed);
    renewLater();
    return stop;
  }

  release(): void {
    if (this.#isMine()) this.#area.delete(this.#name);
  }

  #renewed(): boolean {
    try {
      if (!this.#isMine()) return false;
      this.#write();
      return true;
    } catch {
      return false;
    }
  }

  #write(): void {
    this.#area.set(this.#name, `${this.#owner} ${this.#clock.now() + LEASE}`);
  }

  #isMine(): boolean {
    return this.#read()?.owner === this.#owner;
  }

  /** Milliseconds until the lease may be taken. */
  #untilFree(): number {
    const lease = this.#read();
    if (lease === undefined || lease.owner === this.#owner) return 0;
    const left = lease.until - this.#clock.now();
    // Longer than any lease lasts: the clock was set back.
    return left > 2 * LEASE ? 0 : Math.max(0, left);
  }

  #read(): Lease | undefined {
    const [, owner, until] = /^(\d+) (\d+(?:\.\d+)?)$/.exec(this.#area.get(this.#name) ?? '') ?? [];
    return owner === undefined ? undefined : { owner, until: Number(until) };
  }

  /** Waits `ms` milliseconds, or until another tab changes the lease, or until stopped. */
  #pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
    const window = globalThis as Window;
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        window.removeEventListener?.('storage', changed);
        for (const signal of signals) signal.removeEventListener('abort', end);
        resolve();
      };
      const changed = ({ key }: { readonly key?: string | null }): void => {
        if (ms > SETTLE && key?.startsWith('soloflight-lease:') !== false) end();
      };
      const cancel = this.#clock.after(ms, end);
      window.addEventListener?.('storage', changed);
      for (const signal of signals) signal.addEventListener('abort', end);
    });
  }
}
