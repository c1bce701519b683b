/** Whether `error` says that a table is missing: nothing was stored yet, or `deleteAll` came. */
export function isMissingTable(error: unknown): boolean {
  return error instanceof Error && error.message.includes('no such table');
}
