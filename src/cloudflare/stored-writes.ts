import { isMissingTable } from './missing-table.js';

/** The table of writes that an object has accepted. */
export const WRITES_TABLE = 'soloflight_writes';

/** Whether an object keeps writes or dead letters, also those of an earlier version of the program, which took writes. */
export function hasWrites({ sql }: DurableObjectStorage): boolean {
  try {
    return sql.exec(`SELECT 1 FROM ${WRITES_TABLE} LIMIT 1`).toArray().length > 0;
  } catch (error) {
    if (isMissingTable(error)) return false;
    throw error;
  }
}
