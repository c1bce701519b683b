import { isSoloflightError } from '../errors.js';

/** Why a stranger's write was not taken, in words that are meant for the stranger. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

const RETRY = { 'retry-after': '1' };

/** What a stranger is told of `error`. What is none of their business goes to `report`. */
export function toRefusal(error: unknown, report: (error: unknown) => void): Refusal {
  if (error instanceof Refusal) return error;
  if (isSoloflightError(error, 'SOLOFLIGHT_TOO_MANY_WRITES'))
    return new Refusal(503, error.code, 'Too many writes are pending. Try again in a moment', RETRY);
  if (isSoloflightError(error) && isSoloflightError(error.cause, 'SOLOFLIGHT_VALUE_TOO_LARGE'))
    return new Refusal(413, 'SOLOFLIGHT_VALUE_TOO_LARGE', 'The value is too large to be stored');
  report(error);
  if (isSoloflightError(error))
    return new Refusal(503, error.code, 'The write could not be taken right now. Try again in a moment', RETRY);
  return new Refusal(500, 'INTERNAL_ERROR', 'This object can not take the write. The reason is in its logs');
}
