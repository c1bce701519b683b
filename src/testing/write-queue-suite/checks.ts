import type { MaybePromise, QueuedWrite, WriteQueue } from '../../contracts.js';
import { misuse } from '../../errors.js';

/** The part of a test runner that the suite needs: vitest, node:test, or any other. */
export interface WriteQueueSuiteRunner {
  /** Registers a test, which fails if `run` rejects. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** Throws unless both are deeply equal. */
  readonly equal: (actual: unknown, expected: unknown) => unknown;
}

/** The capabilities of a queue. They alone decide which tests are left out. */
export interface WriteQueueCapabilities {
  /** `true`: values come back as the same objects. `false`: a change to a value does not reach the stored one. Left out: not checked. */
  readonly references?: boolean;
  /** Any string is a key. `false`: only short printable ASCII is tried. @default true */
  readonly anyKey?: boolean;
  /** Keeps a value of a megabyte. @default true */
  readonly largeValues?: boolean;
  /** A value that the queue refuses. A call with it must then store none of its writes. Left out: not checked. */
  readonly unstorable?: unknown;
  /** Tells owners apart (`own`) among all that use its storage. @default false */
  readonly own?: boolean;
  /** Closes `queue` and returns another over the same storage, which must hold the same writes. Left out: nothing outlives a queue. */
  readonly reopen?: (queue: WriteQueue) => MaybePromise<WriteQueue>;
}

/** Options of `writeQueueSuite`. */
export interface WriteQueueSuiteOptions {
  /** Returns an empty queue. Called once per test, which closes it at its end. */
  readonly open: () => MaybePromise<WriteQueue>;
  /** The capabilities of the queue. @default {} */
  readonly supports?: WriteQueueCapabilities;
}

type Supports = Required<Pick<WriteQueueCapabilities, 'anyKey' | 'largeValues'>> & WriteQueueCapabilities;

const NAMES = ['references', 'anyKey', 'largeValues', 'unstorable', 'own', 'reopen'];

/** The parts that the suite's tests are made of. */
export class WriteQueueChecks {
  readonly supports: Supports;
  readonly #runner: WriteQueueSuiteRunner;
  readonly #open: () => MaybePromise<WriteQueue>;

  /** @throws TypeError for an option that makes no sense. */
  constructor(runner: WriteQueueSuiteRunner, options: WriteQueueSuiteOptions) {
    if (typeof runner?.test !== 'function') throw misuse('runner.test', 'a function', runner?.test);
    if (typeof runner.equal !== 'function') throw misuse('runner.equal', 'a function', runner.equal);
    if (typeof options?.open !== 'function')
      throw misuse('open', 'a function that returns an empty queue', options?.open);
    const { open, supports = {} } = options;
    if (typeof supports !== 'object' || supports === null) throw misuse('supports', 'an object', supports);
    const unknown = Object.keys(supports).find((name) => !NAMES.includes(name));
    if (unknown !== undefined) throw misuse('supports', `made of ${NAMES.join(', ')}`, unknown);
    this.supports = { anyKey: true, largeValues: true, ...supports };
    this.#runner = runner;
    this.#open = open;
  }

  /** Registers a test that is given a queue of its own. */
  test(name: string, run: (queue: WriteQueue) => Promise<void>): void {
    this.#runner.test(name, async () => {
      const queue = await this.#open();
      // Not in a `finally`: a failing `close` must not hide the failure of the test.
      try {
        await run(queue);
      } catch (error) {
        await Promise.resolve(queue.close?.()).catch(() => {});
        throw error;
      }
      await queue.close?.();
    });
  }

  /** Fails unless `run` fails because the queue has another owner. */
  async isRefused(run: () => unknown): Promise<void> {
    let code: unknown = 'no error';
    try {
      await run();
    } catch (error) {
      code = (error as { readonly code?: unknown } | undefined)?.code;
    }
    this.equal(code, 'SOLOFLIGHT_QUEUE_OWNED');
  }

  equal(actual: unknown, expected: unknown): void {
    this.#runner.equal(actual, expected);
  }

  /** Fails unless `queue` holds exactly these writes and dead letters, in any order. */
  async holds(queue: WriteQueue, writes: readonly QueuedWrite[], dead: readonly QueuedWrite[]): Promise<void> {
    this.equal(
      { writes: pictures(await queue.load()), dead: pictures(await queue.listDead()) },
      { writes: pictures(writes), dead: pictures(dead) },
    );
  }
}

/** A write with something in every field. */
export function sampleWrite(sequence: number, changes: Partial<QueuedWrite> = {}): QueuedWrite {
  return {
    id: `writer-${sequence}`,
    sequence,
    key: `key-${sequence}`,
    kind: 'put',
    value: { title: 'A post', likes: [1, 2, 3] },
    at: 1_700_000_000_000,
    attempts: 0,
    revision: 0,
    triedFor: 0,
    whole: false,
    dead: undefined,
    ...changes,
  };
}

/** The fields of `write` that count, for comparing. Anything but a write is returned as it is. */
export function pictureOf(write: unknown): unknown {
  if (typeof write !== 'object' || write === null || write instanceof Error) return write;
  const { id, sequence, key, kind, value, at, attempts, revision, triedFor, whole, dead } = write as QueuedWrite;
  return { id, sequence, key, kind, value, at, attempts, revision, triedFor, whole, dead };
}

function pictures(writes: readonly (QueuedWrite | Error)[]): unknown[] {
  const sequenceOf = (write: QueuedWrite | Error): number => (write instanceof Error ? -1 : write.sequence);
  return [...writes].sort((a, b) => sequenceOf(a) - sequenceOf(b)).map(pictureOf);
}
