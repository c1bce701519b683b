import type { EventHeap } from './events.js';
import {
  describeKeys,
  describeReading,
  type Disturbance,
  type History,
  type Operation,
  type Reading,
  type SourceLoad,
} from './history.js';

type Open = { -readonly [Name in keyof Operation]: Operation[Name] };

/** The history while it is being written. */
export class HistoryLog implements History {
  readonly operations: Open[] = [];
  readonly disturbances: Disturbance[] = [];
  readonly loads: SourceLoad[] = [];
  readonly #heap: EventHeap;
  readonly #note: (process: string, text: string) => void;

  constructor(heap: EventHeap, note: (process: string, text: string) => void) {
    this.#heap = heap;
    this.#note = note;
  }

  disturb(process: string | undefined, what: string, ms: number): void {
    const from = this.#heap.time;
    this.disturbances.push({ process, what, from, until: from + ms });
  }

  /** Ends all disturbances that would go on for ever. */
  heal(): void {
    for (const [index, it] of this.disturbances.entries())
      if (it.until > this.#heap.time) this.disturbances[index] = { ...it, until: this.#heap.time };
  }

  begin(operation: Pick<Operation, 'process' | 'client' | 'kind' | 'keys' | 'input'>): Open {
    const begun: Open = {
      ...operation,
      id: this.operations.length,
      calledAt: this.#heap.time,
      begin: this.#heap.order(),
      returnedAt: undefined,
      end: undefined,
      output: undefined,
      reading: undefined,
      error: undefined,
    };
    this.operations.push(begun);
    const input = operation.input === undefined ? '' : ` ${JSON.stringify(operation.input)}`;
    if (operation.kind !== 'source-write') this.#note(operation.process, `${nameOf(begun)}${input} …`);
    return begun;
  }

  end(
    operation: Open,
    outcome: { readonly output?: unknown; readonly reading?: Reading; readonly error?: string },
  ): void {
    Object.assign(operation, outcome, { returnedAt: this.#heap.time, end: this.#heap.order() });
    const { reading, error, kind, input } = operation;
    const found = reading === undefined ? (kind === 'source-write' ? String(input) : 'done') : describeReading(reading);
    this.#note(operation.process, `${nameOf(operation)}: ${error === undefined ? found : `failed (${error})`}`);
  }
}

function nameOf({ client, kind, keys }: Operation): string {
  return `#${client} ${kind} ${describeKeys(keys)}`;
}
