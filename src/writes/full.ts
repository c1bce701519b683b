/** What storages say when they take nothing more: our own adapters and SQLite, files, Redis. */
const CODES: ReadonlySet<unknown> = new Set(['SOLOFLIGHT_STORAGE_FULL', 'SQLITE_FULL', 'ENOSPC']);
const MESSAGE = /SQLITE_FULL|database or disk is full|\bOOM command not allowed/;

/** Whether `error`, or what caused it, says that nothing more can be stored. */
export function isFull(error: unknown): boolean {
  const { code, message, cause } = Object(error) as { readonly [name: string]: unknown };
  if (CODES.has(code) || (typeof message === 'string' && MESSAGE.test(message))) return true;
  return cause !== undefined && cause !== error && isFull(cause);
}
