import type { Clock } from '../contracts.js';
import type { LogFields, Logger } from './logger.js';

/** Lines of one kind in one second. */
const MOST_LINES = 10;
const SECOND = 1_000;

type Write = (level: keyof Logger, message: string, fields: LogFields) => void;

/** Passes on ten lines per second and kind, and at the end of the second says how many more there were. */
export class LineLimit {
  readonly #clock: Clock;
  readonly #write: Write;
  readonly #seconds = new Map<string, { count: number; readonly level: keyof Logger; readonly cancel: () => void }>();

  constructor(clock: Clock, write: Write) {
    this.#clock = clock;
    this.#write = write;
  }

  write(level: keyof Logger, message: string, fields: LogFields): void {
    const kind = `${level} ${message}`;
    let second = this.#seconds.get(kind);
    if (second === undefined) {
      const cancel = this.#clock.after(SECOND, () => this.#end(kind, message));
      this.#seconds.set(kind, (second = { count: 0, level, cancel }));
    }
    second.count += 1;
    if (second.count <= MOST_LINES) this.#write(level, message, fields);
  }

  /** Cancels all timers. What was left out is not told any more. */
  stop(): void {
    for (const { cancel } of this.#seconds.values()) cancel();
    this.#seconds.clear();
  }

  #end(kind: string, message: string): void {
    const second = this.#seconds.get(kind);
    this.#seconds.delete(kind);
    const more = (second?.count ?? 0) - MOST_LINES;
    if (second !== undefined && more > 0) this.#write(second.level, `${message}: ${more} more`, { more });
  }
}
