import { isSoloflightError, type SoloflightError } from '../errors.js';

/** The reason why a stranger's write was refused, in words for the stranger. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent beside the error. Has a JSON form. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
    this.details = details;
  }
}

const RETRY = { 'retry-after': '1' };

/** The refusal that tells a stranger about `error`. Anything not for strangers goes to `report`. */
export function toRefusal(error: unknown, report: (error: unknown) => void): Refusal {
  if (error instanceof Refusal) return error;
  if (isSoloflightError(error, 'SOLOFLIGHT_WRITE_CONFLICT')) return conflict(error);
  if (isSoloflightError(error, 'SOLOFLIGHT_TOO_MANY_WRITES'))
    return new Refusal(503, error.code, 'Too many writes are pending. Try again in a moment', RETRY);
  if (isSoloflightError(error) && isSoloflightError(error.cause, 'SOLOFLIGHT_VALUE_TOO_LARGE'))
    return new Refusal(413, 'SOLOFLIGHT_VALUE_TOO_LARGE', 'The value is too large to be stored');
  report(error);
  if (isSoloflightError(error))
    return new Refusal(503, error.code, 'The write could not be taken right now. Try again in a moment', RETRY);
  return new Refusal(500, 'INTERNAL_ERROR', 'This object can not take the write. The reason is in its logs');
}

/** @see RFC 9110 §15.5.10: a conflict comes with enough information to recognise it. */
function conflict(error: SoloflightError): Refusal {
  const { key } = error;
  const value = (error as { readonly current?: unknown }).current;
  const message = 'The change was made without knowing the current value. Look at `value`, and decide anew';
  return new Refusal(409, error.code, message, {}, jsonOf({ key, value }) ?? { key });
}

/** `details` in their JSON form; `undefined` if they have none. */
function jsonOf(details: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  try {
    return JSON.parse(JSON.stringify(details)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
