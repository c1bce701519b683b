import { checkClock, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { ignore } from '../base/promises.js';
import type { Clock, MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import { holdTabLock } from './tab-lock.js';

/** The argument of `lead`, for the leading tab. */
export interface LeadContext {
  /** Aborts when this tab must stop leading: because of `close`, or, without Web Locks, because another tab leads. */
  readonly signal: AbortSignal;
}

/** Options of {@link whileLeading}. */
export interface LeadOptions {
  /** @default systemClock */
  readonly clock?: Clock;
}

/** A tab's part in the election. */
export interface Leadership {
  /** Whether this tab leads. */
  readonly leading: boolean;
  /** Stops leading, or waiting to. Resolves once `lead` has ended and another tab may lead. */
  close(): Promise<void>;
}

/** The pause after `lead` failed. */
const AFTER_FAILURE = 1_000;

/**
 * Runs `lead` in one tab of the origin at a time: here as soon as no other tab leads under this `name`.
 *
 * The tab leads until its signal aborts *and* the promise of `lead` has settled, or until the tab is gone, however that
 * happens. If `lead` fails, the failure is reported like an uncaught error, and the tab lines up again a second later.
 *
 * Uses Web Locks. Pages without TLS have none: a lease of ten seconds in localStorage takes their place there, two tabs
 * may lead for moments, and a tab that crashed is followed only after that lease.
 *
 * @throws TypeError for an argument that makes no sense.
 */
export function whileLeading(
  name: string,
  lead: (context: LeadContext) => MaybePromise<unknown>,
  options: LeadOptions = {},
): Leadership {
  if (typeof name !== 'string' || name === '') throw misuse('name', 'a name of at least one character', name);
  if (typeof lead !== 'function') throw misuse('lead', 'a function', lead);
  checkObject('options', options);
  checkNames(options, ['clock']);
  const { clock = systemClock } = options;
  checkClock(clock);
  return new TabLeadership(name, lead, clock);
}

/** {@link whileLeading}, for those who notice that the leading tab does not answer. */
export class TabLeadership implements Leadership {
  readonly #name: string;
  readonly #lead: (context: LeadContext) => MaybePromise<unknown>;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;
  #seizing = new AbortController();
  #term = new AbortController();
  #leading = false;

  constructor(name: string, lead: (context: LeadContext) => MaybePromise<unknown>, clock: Clock) {
    this.#name = name;
    this.#lead = lead;
    this.#clock = clock;
    this.#done = this.#run().catch(report);
  }

  get leading(): boolean {
    return this.#leading;
  }

  close(): Promise<void> {
    this.#closing.abort();
    return this.#done;
  }

  /** Takes the lead from the tab that has it, which finds its signal aborted when it runs again. */
  seize(): void {
    if (!this.#leading) this.#seizing.abort();
  }

  /** Lets another tab lead, and lines up again. */
  yield(): void {
    this.#term.abort();
  }

  async #run(): Promise<void> {
    const stop = this.#closing.signal;
    while (!stop.aborted) {
      let failed = false;
      const run = async (lost: AbortSignal): Promise<void> => {
        failed = !(await this.#leadUntil(lost));
      };
      const { signal: seize } = (this.#seizing = new AbortController());
      await holdTabLock({ name: this.#name, clock: this.#clock, stop, seize, run });
      if (failed) await anyAborted([stop], this.#clock, AFTER_FAILURE);
    }
  }

  /** Leads until this is closed, or the lock is lost. Resolves to whether `lead` succeeded. */
  async #leadUntil(lost: AbortSignal): Promise<boolean> {
    const signals = [this.#closing.signal, lost];
    if (signals.some(({ aborted }) => aborted)) return true;
    const own = (this.#term = new AbortController());
    const over = anyAborted([...signals, own.signal]).then(() => own.abort());
    this.#leading = true;
    try {
      await this.#lead({ signal: own.signal });
      await over;
      return true;
    } catch (error) {
      report(error);
      return false;
    } finally {
      own.abort();
      this.#leading = false;
    }
  }
}

/** Resolves when one of `signals` aborts, or after `ms` milliseconds. */
function anyAborted(signals: readonly AbortSignal[], clock?: Clock, ms = 0): Promise<void> {
  return new Promise((resolve) => {
    let cancel: () => void = ignore;
    const end = (): void => {
      cancel();
      for (const signal of signals) signal.removeEventListener('abort', end);
      resolve();
    };
    if (clock !== undefined) cancel = clock.after(ms, end);
    for (const signal of signals) signal.addEventListener('abort', end);
  });
}

function report(error: unknown): void {
  (globalThis as { reportError?: (error: unknown) => void }).reportError?.(error);
}
