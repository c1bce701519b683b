import { checkClock, checkFunction, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration, MaybePromise } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import { AlarmTable, type AlarmRow } from './alarm-table.js';

/** What the handler of an alarm is told. */
export interface DueAlarm {
  readonly name: string;
  /** 1 for the first attempt since the alarm was set. */
  readonly attempt: number;
  /** Aborts when the handler has taken `maxDuration`. */
  readonly signal: AbortSignal;
}

/** Does what an alarm was set for. May be called more than once for one alarm, so it must be idempotent. */
export type AlarmHandler = (alarm: DueAlarm) => MaybePromise<unknown>;

/** Options of {@link Alarms}. */
export interface AlarmsOptions {
  /** Pause after a failed attempt: doubling, without end. @default { initial: '2s', max: '10m' } */
  readonly retry?: { readonly initial: Duration; readonly max: Duration };
  /** Time for one attempt; beyond it the attempt has failed. @default '1m' */
  readonly maxDuration?: Duration;
  /** Told of every failed attempt. @default the platform's `reportError` */
  readonly onError?: (name: string, error: unknown) => void;
  /** @default systemClock */
  readonly clock?: Clock;
}

const OPTIONS = ['retry', 'maxDuration', 'onError', 'clock'] as const;

/**
 * Many alarms out of the one that a Durable Object has.
 *
 * Due times are kept in the object's SQLite and outlive it. Every alarm is carried out at least once, all that are due at
 * the same time side by side; one that fails, hangs or ends the object is tried again after a pause and keeps none of the
 * others. An alarm whose name has no handler any more is dropped when it is due. Leave `setAlarm` and `deleteAlarm` of the
 * storage alone: there is but one.
 */
export class Alarms {
  readonly #storage: DurableObjectStorage;
  readonly #table: AlarmTable;
  readonly #settings: Required<Omit<AlarmsOptions, 'retry' | 'maxDuration'>> & Limits;
  readonly #handlers = new Map<string, AlarmHandler>();
  readonly #running = new Set<string>();
  /** The due time that the platform's alarm stands for; `null` for none, `undefined` while that is not known. */
  #armedFor: number | null | undefined;

  /** @throws TypeError for an option that makes no sense. */
  constructor(storage: DurableObjectStorage, options: AlarmsOptions = {}) {
    this.#storage = storage;
    this.#table = new AlarmTable(storage);
    this.#settings = resolveOptions(options);
  }

  /** Says what to do when `name` is due. To be called in the constructor of the object: it may wake up for an alarm. */
  on(name: string, handler: AlarmHandler): void {
    checkName(name);
    if (typeof handler !== 'function') throw misuse('handler', 'a function', handler);
    if (this.#handlers.has(name)) throw misuse('name', 'a name without a handler', name);
    this.#handlers.set(name, handler);
  }

  /** Sets `name` to be due at `at` (epoch milliseconds), in place of what it was set to. Resolves when that is safe. */
  async set(name: string, at: number): Promise<void> {
    checkName(name);
    if (!this.#handlers.has(name)) throw misuse('name', 'the name of an alarm with a handler: call `on` first', name);
    if (!Number.isFinite(at)) throw misuse('at', 'an instant (epoch milliseconds)', at);
    this.#table.set(name, at);
    await this.#arm();
  }

  /** When `name` is due (epoch milliseconds), if it is set. */
  get(name: string): number | undefined {
    return this.#table.get(name)?.due;
  }

  /** Takes `name` back, and tells whether it was set. */
  async cancel(name: string): Promise<boolean> {
    const was = this.#table.delete(name);
    await this.#arm();
    return was;
  }

  /** Carries out what is due. To be called by the object's `alarm()`. Rejects only if the storage fails. */
  async run(): Promise<void> {
    this.#armedFor = undefined;
    const now = this.#settings.clock.now();
    const claims: AlarmRow[] = [];
    for (const row of this.#table.dueBy(now)) {
      if (this.#running.has(row.name)) continue;
      if (this.#handlers.has(row.name)) claims.push(this.#table.claim(row, now + this.#pause(row.attempts)));
      else this.#table.delete(row.name);
    }
    // Before any handler runs: one that takes the object down with it must find the next attempt already arranged.
    await this.#arm();
    await Promise.all(claims.map((claim) => this.#attempt(claim)));
    await this.#arm();
  }

  async #attempt(claim: AlarmRow): Promise<void> {
    const { name, attempts } = claim;
    this.#running.add(name);
    try {
      await this.#call(name, attempts);
      this.#table.finish(claim);
    } catch (error) {
      this.#table.fail(claim, this.#settings.clock.now() + this.#pause(attempts - 1));
      this.#report(name, error);
    } finally {
      this.#running.delete(name);
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
          `The alarm '${name}' was not done after ${maxDuration} ms, and will be tried again. If it may take longer, raise \`maxDuration\``,
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
      // Whoever reports failures can't report its own.
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
      // The platform goes by its own clock, whatever ours says.
      const wait = Math.max(0, due - this.#settings.clock.now());
      await this.#storage.setAlarm(systemClock.now() + wait);
    } catch (error) {
      // Tried again by whatever arms next.
      if (this.#armedFor === due) this.#armedFor = undefined;
      throw error;
    }
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
