import { SoloflightError } from '../errors.js';
import type { WriteStatus } from '../writes/write-behind.js';
import type { WriteEvent } from '../writes/write-events.js';

/** An error without the parts that can't be cloned, and with the code that cloning drops. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly key?: string | undefined;
}

/** An event whose error, if it has one, is a {@link Failure}. */
export type PlainEvent = { readonly type: WriteEvent['type']; readonly error?: Failure };

/** Whether `candidate`, which anybody may have sent, is a failure. */
export function isFailure(candidate: unknown): candidate is Failure {
  const { name, message, code, key } = Object(candidate) as { readonly [name: string]: unknown };
  const isText = (value: unknown): boolean => typeof value === 'string';
  return [name, message].every(isText) && [code, key].every((value) => value === undefined || isText(value));
}

export function toFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: 'Error', message: textOf(error), code: undefined };
  const { code, key } = error as { readonly code?: unknown; readonly key?: unknown };
  return {
    ...{ name: textOf(error.name), message: textOf(error.message) },
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
export async function fromAnswer({ result, failure }: { result?: unknown; failure?: Failure }): Promise<unknown> {
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
  return isFailure(status.lastError) ? { ...status, lastError: fromFailure(status.lastError) } : status;
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
