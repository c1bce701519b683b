import { configDefaults, defineConfig } from 'vitest/config';

import { betterSqlite3 } from './test/support/better-sqlite3.ts';

const PACKAGE = 'test/package/**/*.test.ts';

export default defineConfig({
  test: {
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'], thresholds: { lines: 95 } },
    projects: [
      {
        resolve: { alias: { 'better-sqlite3': betterSqlite3 } },
        test: {
          name: 'unit',
          globalSetup: ['test/support/better-sqlite3.ts'],
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, PACKAGE],
          // Tests of what is left in memory collect garbage first.
          execArgv: ['--expose-gc'],
          allowOnly: false,
        },
      },
      {
        test: { name: 'package', include: [PACKAGE], testTimeout: 60_000, allowOnly: false },
      },
      {
        test: {
          name: 'types',
          include: [],
          // Only the tests' own errors: those of the source are reported by `npm run check`.
          typecheck: { enabled: true, only: true, include: ['test/types/**/*.test-d.ts'], ignoreSourceErrors: true },
        },
      },
    ],
  },
});
