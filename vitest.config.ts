import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { configDefaults, defineConfig } from 'vitest/config';

const PACKAGE = 'test/package/**/*.test.ts';
const SERVICES = 'test/services/**/*.test.ts';
const WORKERS = 'test/workers/**/*.test.ts';
const BROWSER = 'test/browser/**/*.test.ts';

// The tools of Workers would otherwise ask the network for their own news, and for a description of this place.
Object.assign(process.env, {
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
});

export default defineConfig({
  test: {
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'], thresholds: { lines: 95 } },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, PACKAGE, SERVICES, WORKERS, BROWSER],
          // Tests of what is left in memory collect garbage first.
          execArgv: ['--expose-gc'],
          // Generous, since machines may be slow: nothing waits for real time.
          testTimeout: 30_000,
          hookTimeout: 30_000,
          allowOnly: false,
        },
      },
      {
        test: {
          name: 'services',
          globalSetup: ['test/support/redis-server.ts'],
          include: [SERVICES],
          testTimeout: 30_000,
          allowOnly: false,
        },
      },
      {
        plugins: [cloudflareTest({ verbose: false, wrangler: { configPath: 'test/workers/wrangler.jsonc' } })],
        test: {
          name: 'workers',
          globalSetup: ['test/support/http-origin-setup.ts'],
          include: [WORKERS],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          allowOnly: false,
        },
      },
      {
        test: {
          name: 'browser',
          globalSetup: ['test/browser/support/setup.ts'],
          include: [BROWSER],
          // A browser on a busy machine takes its time; what hangs is told by the tests themselves.
          testTimeout: 20_000,
          hookTimeout: 30_000,
          expect: { poll: { timeout: 10_000 } },
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
