import { SoloflightError } from '../errors.js';

/** The error where a browser keeps nothing: site data is blocked, the page is sandboxed, or this is no browser. */
export function unavailable(what: string, cause?: unknown): SoloflightError {
  return new SoloflightError(
    'SOLOFLIGHT_STORAGE_UNAVAILABLE',
    `${what} can't be used here: site data is blocked, the frame is sandboxed, or this is not a page of a browser`,
    { cause },
  );
}

/** The error of an origin that may not store any more. */
export function full(what: string, cause: unknown, key?: string): SoloflightError {
  return new SoloflightError(
    'SOLOFLIGHT_STORAGE_FULL',
    `${what} is full: the browser's quota for this origin is used up. Store less, or elsewhere`,
    { key, cause },
  );
}

/** Whether `error` is a browser's report that its quota is used up. */
export function isQuotaError(error: unknown): boolean {
  const name = (error as { readonly name?: unknown } | undefined)?.name;
  // The second name is Firefox's, for web storage.
  return name === 'QuotaExceededError' || name === 'NS_ERROR_DOM_QUOTA_REACHED';
}
