import { checkClock, checkFunction, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import { ignore, silenced } from '../base/promises.js';
import type { Clock, Duration, MaybePromise } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import { AlarmTable, type AlarmRow } from './alarm-table.js';

/** The argument of an alarm's handler. */
export interface DueAlarm {
  readonly name: string;
  /** 1 for the first attempt since the alarm was set. */
  readonly attempt: number;
  /** Aborts when the handler has taken `maxDuration`. */
  readonly signal: AbortSignal;
}

/** Does the work of an alarm. May be called more than once for one alarm, so it must be idempotent. */
export type AlarmHandler = (alarm: DueAlarm) => MaybePromise<unknown>;

/** Options of {@link Alarms}. */
export interface AlarmsOptions {
  /** Pause after a failed attempt. Doubles each time, up to `max`; attempts never end. @default { initial: '2s', max: '10m' } */
  readonly retry?: { readonly initial: Duration; readonly max: Duration };
  /** Time for one attempt; after it the attempt has failed. @default '1m' */
  readonly maxDuration?: Duration;
  /** Called for every failed attempt. @default the platform's `reportError` */
  readonly onError?: (name: string, error: unknown) => void;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** Name of the alarm that delivers an object's writes. */
export const FLUSH = 'soloflight:flush';

/** The platform ends a run after 15 minutes. Attempts that began before this still have time. */
const LONGEST_RUN = 600_000;

const OPTIONS = ['retry', 'maxDuration', 'onError', 'clock'] as const;

/**
 * Many alarms over the single alarm of a Durable Object.
 *
 * Due times are kept in the object's SQLite and outlive it. Every alarm runs at least once, in its own time: also while
 * handlers of others are under way. One that fails, hangs or ends the object is tried again after a pause, and holds up
 * none of the others. An alarm without a handler is dropped when it is due. Leave the storage's `setAlarm` and `deleteAlarm`
 * alone: they act on the single alarm.
 */
export class Alarms {
  readonly #storage: DurableObjectStorage;
  readonly #table: AlarmTable;
  readonly #settings: Required<Omit<AlarmsOptions, 'retry' | 'maxDuration'>> & Limits;
  readonly #handlers = new Map<string, AlarmHandler>();
  /** The attempts under way, by alarm. */
  readonly #running = new Map<string, Promise<void>>();
  /** Ends the wait for the alarm that is due next while handlers are under way. */
  #cancelWait = (): void => {};
  /** Until when a run begins further attempts; epoch milliseconds. */
  #beginsUntil = -Infinity;
  /** The due time that the platform's alarm is set for; `null` for none, `undefined` while unknown. */
  #armedFor: number | null | undefined;

  /** @throws TypeError for an option that makes no sense. */
  constructor(storage: DurableObjectStorage, options: AlarmsOptions = {}) {
    this.#storage = storage;
    this.#table = new AlarmTable(storage);
    this.#settings = resolveOptions(options);
  }

  /** Registers the handler for `name`. Must be called in the object's constructor, since an alarm may wake the object up. */
  on(name: string, handler: AlarmHandler): void {
    checkName(name);
    if (typeof handler !== 'function') throw misuse('handler', 'a function', handler);
    if (this.#handlers.has(name)) throw misuse('name', 'a name without a handler', name);
    this.#handlers.set(name, handler);
  }

  /** Sets `name` to be due at `at` (epoch milliseconds), replacing its earlier due time. Resolves when that is stored safely. */
  async set(name: string, at: number): Promise<void> {
    checkName(name);
    if (!this.#handlers.has(name)) throw misuse('name', 'the name of an alarm with a handler: call `on` first', name);
    if (!Number.isFinite(at)) throw misuse('at', 'an instant (epoch milliseconds)', at);
    this.#table.set(name, at);
    this.#wait();
    await this.#arm();
    await this.rearm();
  }

  /** When `name` is due (epoch milliseconds), if it is set. */
  get(name: string): number | undefined {
    return this.#table.get(name)?.due;
  }

  /** Cancels `name`, and tells whether it was set. */
  async cancel(name: string): Promise<boolean> {
    const was = this.#table.delete(name);
    await this.#arm();
    return was;
  }

  /**
   * Sets the platform's alarm again if the platform gave it up, which it does after a handler failed several times in a row.
   * To be called now and then, such as in the object's constructor and by each request. Asks the storage only if an alarm is
   * overdue, or nothing is known yet.
   */
  async rearm(): Promise<void> {
    const armedFor = this.#armedFor;
    // An alarm that is not due yet can't have failed.
    if (armedFor === null || (armedFor !== undefined && armedFor > this.#settings.clock.now())) return;
    const due = this.#table.earliest() ?? null;
    if (due !== null && (await this.#storage.getAlarm()) === null) await this.#setAlarm(due);
    // Anything may have happened meanwhile, such as a run, which knows better.
    if (this.#armedFor === armedFor) this.#armedFor = due;
  }

  /**
   * Runs the alarms that are due, and those that become due meanwhile. Must be called by the object's `alarm()`. Rejects only
   * if the storage fails.
   */
  async run(): Promise<void> {
    this.#armedFor = undefined;
    this.#beginsUntil = this.#settings.clock.now() + LONGEST_RUN;
    try {
      await this.#begin();
      while (this.#running.size > 0) await Promise.race(this.#running.values());
    } finally {
      this.#cancelWait();
    }
    await this.#arm();
  }

  /** Begins an attempt for each alarm that is due. */
  async #begin(): Promise<void> {
    const now = this.#settings.clock.now();
    const claims: AlarmRow[] = [];
    for (const row of this.#table.dueBy(now)) {
      if (this.#running.has(row.name)) continue;
      if (this.#handlers.has(row.name)) claims.push(this.#table.claim(row, now + this.#pause(row.attempts)));
      else this.#table.delete(row.name);
    }
    // Before any handler runs: one that takes the object down with it must leave the next attempt arranged.
    const armed = this.#arm();
    for (const claim of claims) {
      const attempt = armed.then(() => this.#attempt(claim), ignore);
      const ended = attempt.finally(() => {
        this.#running.delete(claim.name);
        this.#wait();
      });
      this.#running.set(claim.name, silenced(ended));
    }
    this.#wait();
    await armed;
  }

  /** The platform rings no second time while a run is under way, so the run itself waits for the alarm that is due next. */
  #wait(): void {
    this.#cancelWait();
    if (this.#running.size === 0) return;
    const next = this.#table.dueBy(this.#beginsUntil).find(({ name }) => !this.#running.has(name));
    if (next === undefined) return;
    const { clock } = this.#settings;
    const begin = (): void => void this.#begin().catch(ignore); // The end of the run meets the same failure.
    this.#cancelWait = clock.after(Math.max(0, next.due - clock.now()), begin);
  }

  async #attempt(claim: AlarmRow): Promise<void> {
    const { name, attempts } = claim;
    try {
      await this.#call(name, attempts);
      this.#table.finish(claim);
    } catch (error) {
      this.#table.fail(claim, this.#settings.clock.now() + this.#pause(attempts - 1));
      this.#report(name, error);
    }
  }

  async #call(name: string, attempt: number): Promise<void> {
    const { clock, maxDuration } = this.#settings;
    const controller = new AbortController();
    let cancel = (): void => {};
    const overdue = new Promise<never>((_resolve, reject) => {
      cancel = clock.after(maxDuration, () => {
        const error = new SoloflightError(
          'SOLOFLIGHT_ALARM_TIMEOUT',
          `The alarm '${name}' was not finished after ${maxDuration} ms, and will be tried again. If it may take longer, raise \`maxDuration\``,
        );
        controller.abort(error);
        reject(error);
      });
    });
    try {
      const work = (async () => this.#handlers.get(name)?.({ name, attempt, signal: controller.signal }))();
      await Promise.race([work, overdue]);
    } finally {
      cancel();
    }
  }

  #report(name: string, error: unknown): void {
    try {
      this.#settings.onError(name, error);
    } catch {
      // A failing reporter can't report its own failure.
    }
  }

  #pause(attempts: number): number {
    const { initial, max } = this.#settings;
    return Math.min(max, initial * 2 ** Math.min(attempts, 40));
  }

  async #arm(): Promise<void> {
    const due = this.#table.earliest() ?? null;
    if (due === this.#armedFor) return;
    this.#armedFor = due;
    try {
      if (due === null) return await this.#storage.deleteAlarm();
      await this.#setAlarm(due);
    } catch (error) {
      // The next call of `#arm` tries again.
      if (this.#armedFor === due) this.#armedFor = undefined;
      throw error;
    }
  }

  async #setAlarm(due: number): Promise<void> {
    // The platform goes by its own clock, not by the one given here.
    const wait = Math.max(0, due - this.#settings.clock.now());
    await this.#storage.setAlarm(systemClock.now() + wait);
  }
}

interface Limits {
  readonly initial: number;
  readonly max: number;
  readonly maxDuration: number;
}

const DEFAULTS = Object.freeze({ retry: Object.freeze({ initial: '2s', max: '10m' }), maxDuration: '1m' } as const);

function resolveOptions(options: AlarmsOptions): Required<Omit<AlarmsOptions, 'retry' | 'maxDuration'>> & Limits {
  checkObject('options', options);
  checkNames(options, OPTIONS);
  const { retry = DEFAULTS.retry, maxDuration = DEFAULTS.maxDuration, onError, clock = systemClock } = options;
  checkObject('retry', retry);
  checkFunction('onError', onError);
  checkClock(clock);
  return {
    initial: parseDuration('retry.initial', retry.initial, { zero: false }),
    max: parseDuration('retry.max', retry.max, { zero: false }),
    maxDuration: parseDuration('maxDuration', maxDuration, { zero: false }),
    onError: onError ?? ((_name, error) => reportError(error)),
    clock,
  };
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || name === '') throw misuse('name', 'a non-empty string', name);
}
