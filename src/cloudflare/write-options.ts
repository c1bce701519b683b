import { checkCount, checkFunction, checkNames, checkObject } from '../base/checks.js';
import { parseDuration } from '../base/duration.js';
import type { Duration, MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import type { WriteBehindOptions } from '../writes/write-options.js';
import type { ObjectClient } from './object-client.js';

/** The number of messages that a client may send. */
export interface MessageRate {
  /** The most messages at once; an integer ≥ 1 or `Infinity`. */
  readonly messages: number;
  /** The time in which that many more are allowed. Above 0. */
  readonly per: Duration;
}

/** A write that a client asks for by HTTP or WebSocket. */
export interface ClientWrite {
  readonly type: 'set' | 'update' | 'delete';
  readonly key: string;
  /** The value of a `set`, the change of an `update`, as they came: not checked yet. */
  readonly value: unknown;
  /** The name of the client that `authorize` gave, or `''`. */
  readonly client: string;
}

/**
 * Options of `objectWrites`: those of a `WriteBehind` whose queue is the object's SQLite and whose timer is
 * the object's alarm.
 */
export interface ObjectWriteOptions<V> extends Omit<
  WriteBehindOptions<V>,
  'queue' | 'schedule' | 'clock' | 'current' | 'flushEvery' | 'maxPending' | 'overflow'
> {
  /** The longest time that the first write waits for others. @default '1m' */
  readonly flushEvery?: Duration;
  /** The most pending writes. Those of one key that the sink has not seen yet count as one. @default 10_000 */
  readonly maxPending?: number;
  /** What happens to writes beyond `maxPending`. @default 'reject' */
  readonly overflow?: 'wait' | 'reject';
  /** Values of more bytes than this are kept compressed, an integer ≥ 0 or `Infinity`. @default 1_024 */
  readonly compressAbove?: number;
  /**
   * Applies a change to the current value, for `update`. The change comes from a client: check it, and throw if it makes no
   * sense, or throw a `WriteConflictError` if it was made without knowing `current`. Must not alter `current`.
   * `client` is the name that `authorize` gave; there is none by RPC.
   */
  readonly apply?: (current: V | undefined, change: unknown, key: string, client?: string) => V;
  /**
   * Checks a value that came by HTTP or WebSocket, and returns the one to store. Throwing refuses the value. `client` is
   * the name that `authorize` gave. @default every JSON value is taken
   */
  readonly parse?: (value: unknown, key: string, client?: string) => V;
  /**
   * Decides who may write the `key` in the request's query by HTTP, or connect for it by WebSocket: such a connection writes
   * this key and hears of its changes, and of no other. `true`, or a non-empty string that names the client, lets in;
   * an {@link ObjectClient} lets in for other keys, or for listening alone. Not called for RPC or reads. Browsers open
   * WebSockets from any page: check the `Origin`, too. Read only the body of a clone. @default nobody
   */
  readonly authorize?: (request: Request) => MaybePromise<boolean | string | ObjectClient>;
  /**
   * Decides about each write of a client that was let in, deletes included. Only `true` lets it pass. Not called for RPC.
   * The writes of one connection wait for each other here. @default all pass
   */
  readonly authorizeWrite?: (write: ClientWrite) => MaybePromise<boolean>;
  /** The most bytes of one message or body, an integer ≥ 1. @default 65_536 */
  readonly maxMessageSize?: number;
  /**
   * The bound for each connection, and for all HTTP writes of each client that `authorize` names (of all others together).
   * @default { messages: 100, per: '10s' }
   */
  readonly rate?: MessageRate;
  /** Whether a connection is closed after a message that was malformed, refused, too large or one too many. @default 'keep' */
  readonly badMessages?: 'keep' | 'close';
  /** The most WebSockets at a time, an integer ≥ 1 or `Infinity`. Further ones are a 503. @default 10_000 */
  readonly maxConnections?: number;
  /**
   * Whether a WebSocket first hears the value of each key that it is open for, as `{ type: 'snapshot', key, value }`, or
   * without a `value` if there is none. A client that is let in for `'all'` hears that of the `key` in its request. @default false
   */
  readonly snapshot?: boolean;
  /** Called when the sink, the queue or a function of these options failed. @default the platform's `reportError` */
  readonly onError?: (error: unknown) => void;
}

/** The checks of the faces on strangers. Durations are milliseconds, sizes bytes. */
export interface FaceSettings<V> {
  readonly apply: ObjectWriteOptions<V>['apply'];
  readonly parse: ObjectWriteOptions<V>['parse'];
  readonly authorize: ObjectWriteOptions<V>['authorize'];
  readonly authorizeWrite: ObjectWriteOptions<V>['authorizeWrite'];
  readonly maxMessageSize: number;
  readonly rate: { readonly messages: number; readonly per: number };
  readonly maxConnections: number;
  readonly snapshot: boolean;
  readonly closeBad: boolean;
  readonly onError: (error: unknown) => void;
}

/** {@link ObjectWriteOptions} with the defaults filled in. */
export interface ObjectWriteSettings<V> {
  readonly face: FaceSettings<V>;
  /** Bytes. */
  readonly compressAbove: number;
  /** Passed to the `WriteBehind`, which checks them. */
  readonly behind: Omit<WriteBehindOptions<V>, 'queue' | 'schedule' | 'clock' | 'current'>;
}

const DEFAULTS = Object.freeze({
  ...{ flushEvery: '1m', maxPending: 10_000, overflow: 'reject', compressAbove: 1_024, maxMessageSize: 65_536 },
  maxConnections: 10_000,
  rate: Object.freeze({ messages: 100, per: '10s' }),
} as const);

/** Options of a `WriteBehind` that the object sets itself. */
const OWN: ReadonlySet<string> = new Set(['queue', 'schedule', 'clock', 'current']);

const NAMES = [
  ...[
    'sink',
    'flushEvery',
    'maxBatch',
    'maxPending',
    'overflow',
    'merge',
    'resolve',
    'retryFor',
    'retry',
    'maxDuration',
  ],
  ...[
    'apply',
    'parse',
    'authorize',
    'authorizeWrite',
    'maxMessageSize',
    'rate',
    'badMessages',
    'maxConnections',
    'snapshot',
    'compressAbove',
    'onError',
  ],
];

/** Checks the options that the `WriteBehind` does not check itself. */
export function resolveWriteOptions<V>(options: ObjectWriteOptions<V>): ObjectWriteSettings<V> {
  checkObject('options of objectWrites', options);
  for (const [name, value] of Object.entries(options)) {
    if (OWN.has(name)) throw misuse(`writes.${name}`, "left out: the object's own is used", value);
  }
  checkNames(options, NAMES);
  const { apply, parse, authorize, authorizeWrite, ...others } = options;
  const { maxMessageSize, rate, badMessages, onError, compressAbove, ...rest } = others;
  const { maxConnections = DEFAULTS.maxConnections, snapshot = false, ...behind } = rest;
  const functions = { apply, parse, authorize, authorizeWrite, onError };
  for (const [name, value] of Object.entries(functions)) checkFunction(`writes.${name}`, value);
  if (badMessages !== undefined && badMessages !== 'keep' && badMessages !== 'close')
    throw misuse('writes.badMessages', "'keep' or 'close'", badMessages);
  if (typeof snapshot !== 'boolean') throw misuse('writes.snapshot', 'a boolean', snapshot);
  checkCount('writes.maxConnections', maxConnections);
  const above = compressAbove ?? DEFAULTS.compressAbove;
  if (above !== Infinity && !(Number.isSafeInteger(above) && above >= 0))
    throw misuse('writes.compressAbove', 'an integer ≥ 0 or Infinity', above);
  const { flushEvery = DEFAULTS.flushEvery, maxPending = DEFAULTS.maxPending, overflow = DEFAULTS.overflow } = behind;
  return {
    face: {
      ...{ apply, parse, authorize, authorizeWrite },
      maxMessageSize: sizeOf(maxMessageSize ?? DEFAULTS.maxMessageSize),
      rate: resolveRate(rate ?? DEFAULTS.rate),
      ...{ maxConnections, snapshot, closeBad: badMessages === 'close' },
      onError: onError ?? ((error) => reportError(error)),
    },
    compressAbove: above,
    behind: { ...behind, flushEvery, maxPending, overflow },
  };
}

function resolveRate(rate: MessageRate): FaceSettings<unknown>['rate'] {
  checkObject('writes.rate', rate);
  checkNames(rate, ['messages', 'per']);
  checkCount('writes.rate.messages', rate.messages);
  return { messages: rate.messages, per: parseDuration('writes.rate.per', rate.per, { zero: false }) };
}

function sizeOf(size: number): number {
  if (!Number.isSafeInteger(size) || size < 1) throw misuse('writes.maxMessageSize', 'an integer ≥ 1 (bytes)', size);
  return size;
}
