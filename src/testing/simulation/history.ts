/** More keys than these are counted instead of named. */
const MOST_NAMED = 8;

/** What an operation of a {@link History} did. */
export type OperationKind =
  | 'read'
  | 'refresh'
  | 'set'
  | 'update'
  | 'invalidate'
  | 'expire'
  | 'tags'
  | 'clear'
  | 'source-write'
  | 'other';

/** What a read brought: the version of the source it shows, and its story as far as it is known. */
export interface Reading {
  /** `undefined`: there is nothing. */
  readonly version: number | undefined;
  readonly status?: 'hit' | 'stale' | 'miss' | 'fallback';
  /** `'memory'`, `'upstream'`, or the name of a storage tier. */
  readonly tier?: string;
}

/** One operation of a client. Times are milliseconds of the world; `begin` and `end` are its place among all events. */
export interface Operation {
  readonly id: number;
  readonly process: string;
  readonly client: number;
  readonly kind: OperationKind;
  /** The keys concerned; `undefined` for all there are. */
  readonly keys: readonly string[] | undefined;
  /** The version that it wrote or set, or any other input for a model. */
  readonly input: unknown;
  readonly calledAt: number;
  readonly begin: number;
  /** `undefined` as long as it has not ended. One whose process crashed never does. */
  readonly returnedAt: number | undefined;
  readonly end: number | undefined;
  readonly output: unknown;
  /** Of `read` and `refresh`, if they brought a value. */
  readonly reading: Reading | undefined;
  /** Name or code of the error that it ended with. */
  readonly error: string | undefined;
}

/** What a {@link Disturbance} is called in which messages of the backplane were lost, until the process is told. */
export const GAP = 'gap';

/** A time in which a process, or all of them, could not rely on what it is connected to. */
export interface Disturbance {
  /** `undefined`: all processes. */
  readonly process: string | undefined;
  readonly what: string;
  readonly from: number;
  readonly until: number;
}

/** A load that reached the source. */
export interface SourceLoad {
  readonly process: string;
  readonly key: string;
  /** `undefined`: it failed. */
  readonly version: number | undefined;
  readonly from: number;
  readonly until: number;
}

/** What clients of a simulated world did and saw, in the order in which they began. */
export interface History {
  readonly operations: readonly Operation[];
  readonly disturbances: readonly Disturbance[];
  /** In the order in which they reached the source. */
  readonly loads: readonly SourceLoad[];
}

/** What a checker found: nothing, or two operations that can't both be right. */
export type Verdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly key: string;
      readonly message: string;
      /** The operation that gave the promise, and the one that broke it. */
      readonly events: readonly [Operation, Operation];
    };

/** One operation in words. */
export function describeOperation(operation: Operation): string {
  const { process, client, kind, keys, input, reading, error, calledAt, returnedAt } = operation;
  const given = input === undefined ? '' : ` ${JSON.stringify(input)}`;
  const found = reading && ` = ${describeReading(reading)}`;
  const end = returnedAt === undefined ? 'never' : String(returnedAt);
  const name = `${process}#${client} ${kind} ${describeKeys(keys)}${given}`;
  return `${name}${error === undefined ? (found ?? '') : ` failed: ${error}`} [${calledAt}, ${end}]`;
}

/** One reading in words. */
export function describeReading({ version, status, tier }: Reading): string {
  const story = [status, tier].filter((part) => part !== undefined);
  return `${version ?? 'nothing'}${story.length > 0 ? ` (${story.join(', ')})` : ''}`;
}

/** Names of keys in words; `undefined` for all. */
export function describeKeys(keys: readonly string[] | undefined): string {
  if (keys === undefined) return '*';
  return keys.length > MOST_NAMED ? `${keys.length} keys` : keys.join(',');
}
