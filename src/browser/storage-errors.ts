import { SoloflightError } from '../errors.js';

/** The error where a browser keeps nothing: site data is blocked, the page is sandboxed, it failed, or this is no browser. */
export function unavailable(what: string, cause?: unknown): SoloflightError {
  return new SoloflightError(
    'SOLOFLIGHT_STORAGE_UNAVAILABLE',
    `${what} can't be used here: site data is blocked, the frame is sandboxed, the browser can't read its own files (a private window, a damaged profile), or this is not a page of a browser`,
    { cause },
  );
}

/** The error of an origin that may not store any more. */
function full(what: string, cause: unknown, key?: string): SoloflightError {
  return new SoloflightError(
    'SOLOFLIGHT_STORAGE_FULL',
    `${what} is full: the browser's quota for this origin is used up. Store less, or elsewhere`,
    { key, cause },
  );
}

/** Whether `error` is a browser's report that its quota is used up. */
function isQuotaError(error: unknown): boolean {
  const name = (error as { readonly name?: unknown } | undefined)?.name;
  // The second name is Firefox's, for web storage.
  return name === 'QuotaExceededError' || name === 'NS_ERROR_DOM_QUOTA_REACHED';
}

/** What browsers throw where they can't, or may not, keep anything. */
const UNAVAILABLE: ReadonlySet<unknown> = new Set([
  ...(['SecurityError', 'InvalidStateError', 'UnknownError', 'NotReadableError'] as const),
  ...(['OperationError', 'TimeoutError', 'NS_ERROR_FILE_CORRUPTED'] as const),
]);

/** `error` of a browser's storage as callers are told of it: with a code, if it says that nothing is kept. */
export function storageError(what: string, error: unknown, key?: string): unknown {
  if (isQuotaError(error)) return full(what, error, key);
  const { name } = Object(error) as { readonly name?: unknown };
  return UNAVAILABLE.has(name) ? unavailable(what, error) : error;
}
