import type { Core } from './core.js';
import type { OperationKind, Reading } from './history.js';
import type { Life } from './process.js';
import type { Source } from './source.js';

/** What the script of a client does, written into the history. */
export interface Recorder {
  /** Waits, by the clock of its process. */
  sleep(ms: number): Promise<void>;
  /** Raises the version of `key` at the source, at once, and tells the new one. */
  write(key: string): number;
  /** Reads `key`; resolves with what it found, or `undefined` if that failed, which is in the history as well. */
  read(key: string, run: () => PromiseLike<Reading>, kind?: 'read' | 'refresh'): Promise<Reading | undefined>;
  /**
   * Does something that concerns `keys`, or all of them for `undefined`; resolves with what it brings, or `undefined`
   * if it failed, which is in the history as well. `input` is the version it sets, or anything for a model.
   */
  act<T>(
    kind: OperationKind,
    keys: string | readonly string[] | undefined,
    run: () => PromiseLike<T>,
    input?: unknown,
  ): Promise<T | undefined>;
}

/** The recorder of one client in one life of a process. */
export class ClientRecorder implements Recorder {
  readonly #core: Core;
  readonly #source: Source;
  readonly #life: Life;
  readonly #process: string;
  readonly #client: number;

  constructor(
    core: Core,
    source: Source,
    at: { readonly life: Life; readonly process: string; readonly client: number },
  ) {
    this.#core = core;
    this.#source = source;
    this.#life = at.life;
    this.#process = at.process;
    this.#client = at.client;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#life.after(ms, resolve));
  }

  write(key: string): number {
    const version = this.#source.write(key);
    const operation = this.#begin('source-write', [key], version);
    this.#core.log.end(operation, {});
    return version;
  }

  async read(
    key: string,
    run: () => PromiseLike<Reading>,
    kind: 'read' | 'refresh' = 'read',
  ): Promise<Reading | undefined> {
    const operation = this.#begin(kind, [key], undefined);
    return this.#settle(operation, run, (reading) => ({ reading }));
  }

  async act<T>(
    kind: OperationKind,
    keys: string | readonly string[] | undefined,
    run: () => PromiseLike<T>,
    input?: unknown,
  ): Promise<T | undefined> {
    const operation = this.#begin(kind, typeof keys === 'string' ? [keys] : keys, input);
    return this.#settle(operation, run, (output) => ({ output }));
  }

  #begin(kind: OperationKind, keys: readonly string[] | undefined, input: unknown) {
    return this.#core.log.begin({ process: this.#process, client: this.#client, kind, keys, input });
  }

  async #settle<T>(
    operation: ReturnType<Core['log']['begin']>,
    run: () => PromiseLike<T>,
    outcome: (value: T) => { readonly output?: unknown; readonly reading?: Reading },
  ): Promise<T | undefined> {
    try {
      const value = await run();
      if (!this.#life.over) this.#core.log.end(operation, outcome(value));
      return value;
    } catch (error) {
      if (!this.#life.over) this.#core.log.end(operation, { error: nameOf(error) });
      return undefined;
    }
  }
}

function nameOf(error: unknown): string {
  const { code, message } = Object(error) as { readonly code?: unknown; readonly message?: unknown };
  return String(code ?? message ?? error);
}
