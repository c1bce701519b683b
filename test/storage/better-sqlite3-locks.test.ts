import BetterSqlite3 from 'better-sqlite3';
import { describe } from 'vitest';

import { lockedHandleSuite } from '../support/sqlite-locks.ts';

describe('a handle of better-sqlite3', () => {
  lockedHandleSuite((path) => new BetterSqlite3(path, { timeout: 0 }));
});
