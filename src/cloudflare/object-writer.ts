import type { Clock, MaybePromise } from '../contracts.js';
import { isSoloflightError } from '../errors.js';
import { WriteBehind } from '../writes/write-behind.js';
import { FLUSH, type Alarms } from './alarms.js';
import type { ChangeMessage } from './connections.js';
import type { DurableQueue } from './durable-queue.js';
import type { ObjectWriteSettings } from './write-options.js';

/** Milliseconds that an alarm waits for its flush, less than its `maxDuration`. A longer flush goes on, and another alarm looks at it. */
const PATIENCE = 45_000;
const SOON = 5_000;

/** The parts that {@link ObjectWriter} works with. */
export interface ObjectWriterParts<V> {
  readonly settings: Pick<ObjectWriteSettings<V>, 'face' | 'behind'>;
  readonly queue: DurableQueue;
  readonly alarms: Alarms;
  readonly clock: Clock;
  /** Called for every change that readers see. */
  readonly changed: (change: ChangeMessage) => void;
}

/** A `WriteBehind` inside an object: its queue is the object's storage, its timer the object's alarm. */
export class ObjectWriter<V> {
  readonly behind: WriteBehind<V>;
  readonly #parts: ObjectWriterParts<V>;
  #flushes = 0;
  /** Whether the platform accepted the last alarm. */
  #isArmed = true;

  /** @throws TypeError for an option that makes no sense. */
  constructor(parts: ObjectWriterParts<V>) {
    this.#parts = parts;
    const { settings, queue, clock } = parts;
    this.behind = new WriteBehind<V>({
      ...settings.behind,
      queue,
      clock,
      schedule: (dueAt) => this.#schedule(dueAt),
    });
    this.#listen();
  }

  /** Sets the alarm if writes are pending without one: a version of the program that took no writes may have dropped it. */
  async resume(): Promise<void> {
    const { queue, alarms, clock } = this.#parts;
    if (queue.hasPending && alarms.get(FLUSH) === undefined) await alarms.set(FLUSH, clock.now());
  }

  /** Delivers what was accepted so far, and sets the alarm for the rest. */
  async flush(): Promise<void> {
    this.#flushes += 1;
    try {
      await this.behind.flush();
    } finally {
      this.#flushes -= 1;
    }
    if (this.#flushes > 0) return;
    const { alarms } = this.#parts;
    const { nextAttempt } = this.behind.status();
    if (nextAttempt === null) await alarms.cancel(FLUSH);
    else await alarms.set(FLUSH, nextAttempt);
  }

  /** Runs the alarm {@link FLUSH}. Rejects if the queue can't be read. */
  async ring(): Promise<void> {
    const { alarms, clock, settings } = this.#parts;
    let cancel = (): void => {};
    const late = new Promise<'late'>((resolve) => (cancel = clock.after(PATIENCE, () => resolve('late'))));
    const flushed = this.flush();
    const outcome = await Promise.race([flushed, late]).finally(() => cancel());
    if (outcome !== 'late') return;
    flushed.catch(settings.face.onError);
    await alarms.set(FLUSH, clock.now() + SOON);
  }

  /** Keeps an alarm that is due sooner: it was set before the object lost its memory. A flush sets its own at its end. */
  #schedule(dueAt: number): MaybePromise<void> {
    const { alarms } = this.#parts;
    if (this.#flushes > 0) return;
    const set = alarms.get(FLUSH);
    if (set === undefined || dueAt < set || !this.#isArmed) return this.#arm(Math.min(dueAt, set ?? Infinity));
  }

  async #arm(dueAt: number): Promise<void> {
    this.#isArmed = false;
    await this.#parts.alarms.set(FLUSH, dueAt);
    this.#isArmed = true;
  }

  #listen(): void {
    const { behind } = this;
    const { changed, settings } = this.#parts;
    const { onError } = settings.face;
    behind.on('accept', ({ key }) => changed(this.#changeOf(key)));
    behind.on('conflict', ({ key, resolution }) =>
      changed(resolution === 'local' ? this.#changeOf(key) : { type: 'invalidate', key }),
    );
    behind.on('dead-letter', ({ key, reason }) => {
      changed({ type: 'invalidate', key });
      onError(new Error(`The write of '${key.slice(0, 80)}' became a dead letter: ${reason}`));
    });
    behind.on('queue-error', ({ error }) => {
      // Takes back the change that was announced before.
      if (isSoloflightError(error) && error.key !== undefined) changed({ type: 'invalidate', key: error.key });
      onError(error);
    });
    behind.on('batch-error', ({ error }) => onError(error));
    behind.on('error', ({ error }) => onError(error));
  }

  #changeOf(key: string): ChangeMessage {
    try {
      const write = this.behind.peek(key);
      if (write === undefined) return { type: 'invalidate', key };
      const { kind, at } = write;
      return kind === 'delete'
        ? { type: 'change', kind, key, at }
        : { type: 'change', kind, key, value: write.value, at };
    } catch (error) {
      // The user's `merge` failed.
      this.#parts.settings.face.onError(error);
      return { type: 'invalidate', key };
    }
  }
}
