import { WRITE_EVENT_TYPES, type WriteEvent } from '../writes/write-events.js';
import { isFailure, type Failure, type PlainEvent } from './tab-failures.js';

/** The calls that a tab may make to the leading tab. */
type Method =
  | 'open'
  | 'put'
  | 'delete'
  | 'begin'
  | 'swap'
  | 'read'
  | 'peek'
  | 'flush'
  | 'status'
  | 'wipe'
  | 'listDead'
  | 'requeueDead'
  | 'dropDead';

/** A method call as sent between tabs. Another version of the page may know other methods. */
export type Call = readonly [method: Method, ...given: unknown[]];

/** The messages between tabs. `term` tells the terms of leading tabs apart. */
export type Message =
  /** From the tab that leads from now on: every tab repeats its unanswered calls. */
  | { readonly kind: 'leading'; readonly term?: string }
  /** A call. Those of the same tab with numbers below `since` have been answered. */
  | { readonly kind: 'ask'; readonly id: string; readonly call: Call; readonly since?: number }
  /** The caller waits no longer: the call is not to be made any more. Its answer tells whether it was. */
  | { readonly kind: 'cancel'; readonly id: string }
  | Answer
  /** An event of a write, from the leading tab. */
  | { readonly kind: 'event'; readonly event: PlainEvent; readonly term?: string }
  /** Asks the leading tab whether it is awake, and its answer. */
  | { readonly kind: 'ping' }
  | { readonly kind: 'pong'; readonly term?: string };

export interface Answer {
  readonly kind: 'answer';
  readonly id: string;
  readonly result?: unknown;
  readonly failure?: Failure;
  readonly term?: string;
}

type Fields = { readonly [name: string]: unknown };

/** Whether `data` is a message of ours, whole; any other belongs to somebody else. */
export function isMessage(data: unknown): data is Message {
  const { kind, id, call, since, event, failure, term } = Object(data) as Fields;
  if (!isAbsentOr('string', term)) return false;
  switch (kind) {
    case 'leading':
    case 'ping':
    case 'pong':
      return true;
    case 'event':
      return isPlainEvent(event);
    case 'cancel':
      return typeof id === 'string';
    case 'answer':
      return typeof id === 'string' && (failure === undefined || isFailure(failure));
    case 'ask':
      return typeof id === 'string' && isCall(call) && isAbsentOr('number', since);
    default:
      return false;
  }
}

function isCall(call: unknown): call is Call {
  return Array.isArray(call) && typeof call[0] === 'string';
}

/** The fields of each event, and their types. */
const FIELDS: { readonly [type in WriteEvent['type']]: Fields } = {
  accept: { key: 'string', id: 'string', coalesced: 'boolean' },
  restore: { key: 'string', id: 'string' },
  deliver: { key: 'string', id: 'string', attempts: 'number' },
  retry: { key: 'string', id: 'string', attempts: 'number', retryAt: 'number', error: 'object' },
  conflict: { key: 'string', id: 'string', resolution: 'string' },
  'dead-letter': { key: 'string', id: 'string', reason: 'string' },
  discard: { key: 'string', id: 'string' },
  batch: { size: 'number', durationMs: 'number' },
  'batch-error': { size: 'number', durationMs: 'number', retryAt: 'number', error: 'object' },
  'queue-error': { operation: 'string', error: 'object' },
  drain: {},
  error: { source: 'string', error: 'object' },
};

function isPlainEvent(event: unknown): boolean {
  const all = Object(event) as Fields;
  const type = WRITE_EVENT_TYPES.find((known) => known === all['type']);
  if (type === undefined) return false;
  const { error } = FIELDS[type];
  if ((error !== undefined || all['error'] !== undefined) && !isFailure(all['error'])) return false;
  return Object.entries(FIELDS[type]).every(([name, wanted]) => typeof all[name] === wanted);
}

function isAbsentOr(type: 'string' | 'number', value: unknown): boolean {
  return value === undefined || typeof value === type;
}
