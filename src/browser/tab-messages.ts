import { SoloflightError } from '../errors.js';
import type { WriteStatus } from '../writes/write-behind.js';
import { isWriteEventType, type WriteEvent } from '../writes/write-events.js';

/** The calls that a tab may make to the leading tab. */
type Method =
  | 'open'
  | 'put'
  | 'delete'
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

/** The messages between tabs. */
export type Message =
  /** From the tab that leads from now on: every tab repeats its unanswered calls. */
  | { readonly kind: 'leading' }
  | { readonly kind: 'ask'; readonly id: string; readonly call: Call }
  | { readonly kind: 'answer'; readonly id: string; readonly result?: unknown; readonly failure?: Failure }
  /** An event of a write, from the leading tab. */
  | { readonly kind: 'event'; readonly event: PlainEvent };

/** An error without the parts that can't be cloned, and with the code that cloning drops. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly key?: string | undefined;
}

/** An event whose error, if it has one, is a {@link Failure}. */
export type PlainEvent = { readonly type: WriteEvent['type']; readonly error?: Failure };

/** Whether `data` is a message of ours; any other belongs to somebody else. */
export function isMessage(data: unknown): data is Message {
  const { kind, id, call, event } = Object(data) as { readonly [name: string]: unknown };
  if (kind === 'leading') return true;
  if (kind === 'event') return isWriteEventType((Object(event) as { readonly type?: unknown }).type);
  if (typeof id !== 'string') return false;
  return kind === 'answer' || (kind === 'ask' && Array.isArray(call) && typeof call[0] === 'string');
}

export function toFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: 'Error', message: textOf(error), code: undefined };
  const { code, key } = error as { readonly code?: unknown; readonly key?: unknown };
  return {
    ...{ name: error.name, message: error.message },
    code: typeof code === 'string' ? code : undefined,
    key: typeof key === 'string' ? key : undefined,
  };
}

/** The error that `failure` describes. */
function fromFailure({ name, message, code, key }: Failure): Error {
  if (code?.startsWith('SOLOFLIGHT_') === true)
    return new SoloflightError(code as `SOLOFLIGHT_${string}`, message, { key });
  return name === 'TypeError' ? new TypeError(message) : Object.assign(new Error(message), { name });
}

/** The result in an answer, or the failure as a rejection. */
export async function fromAnswer({ result, failure }: Extract<Message, { kind: 'answer' }>): Promise<unknown> {
  if (failure === undefined) return result;
  throw fromFailure(failure);
}

export function toPlainEvent(event: WriteEvent): PlainEvent {
  return 'error' in event ? { ...event, error: toFailure(event.error) } : event;
}

export function fromPlainEvent(event: PlainEvent): WriteEvent {
  const { error } = event;
  return (error === undefined ? event : { ...event, error: fromFailure(error) }) as WriteEvent;
}

/** A status whose error, if it has one, is a {@link Failure}. */
export function toPlainStatus(status: WriteStatus): WriteStatus {
  return status.lastError === undefined ? status : { ...status, lastError: toFailure(status.lastError) };
}

export function fromPlainStatus(status: WriteStatus): WriteStatus {
  return status.lastError === undefined ? status : { ...status, lastError: fromFailure(status.lastError as Failure) };
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
