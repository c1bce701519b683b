import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

import { recordTo } from './test/support/record.ts';

// One seed for all chance of a run, so that it can be repeated: see test/support/property.ts.
process.env['SOLOFLIGHT_SEED'] ??= String(Math.floor(Math.random() * 2 ** 31));

// The tools of Workers would otherwise ask the network for their own news, and for a description of this place.
Object.assign(process.env, {
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
});

/** What tests on plain Node need. */
const node = {
  // Tests of what is left in memory collect garbage first.
  test: { execArgv: ['--expose-gc'] },
} satisfies TestProjectInlineConfiguration;

export default defineConfig(({ mode }) => {
  process.env['SOLOFLIGHT_RUNS'] ??= mode === 'full' ? '3' : '0.2';
  const record = process.env['SOLOFLIGHT_RECORD'];
  return {
    test: {
      coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'], thresholds: { lines: 95 } },
      // All projects inherit these. The limits are for what hangs: a busy machine must not fail a test.
      testTimeout: 120_000,
      hookTimeout: 120_000,
      expect: { poll: { timeout: 20_000 } },
      allowOnly: false,
      // Vitest leaves one core to itself otherwise, so that two cores ran one file at a time, and much of it is waiting.
      maxWorkers: '100%',
      ...(record !== undefined && { reporters: ['default', recordTo(record)] }),
      projects: [
        {
          ...node,
          test: {
            ...node.test,
            name: 'unit',
            include: ['test/**/*.test.ts'],
            exclude: [...configDefaults.exclude, 'test/{package,services,workers,browser,full}/**'],
          },
        },
        {
          test: {
            name: 'types',
            include: [],
            // Only the tests' own errors: those of the source are reported by `npm run check`.
            typecheck: { enabled: true, only: true, include: ['test/types/**/*.test-d.ts'], ignoreSourceErrors: true },
          },
        },
        room('package'),
        ...quickAndFull('services', () => ({
          test: { globalSetup: ['test/support/redis-server.ts', 'test/support/promtool.ts'] },
        })),
        ...quickAndFull('workers', () => ({
          plugins: [cloudflareTest({ verbose: false, wrangler: { configPath: 'test/workers/wrangler.jsonc' } })],
          test: { globalSetup: ['test/support/http-origin-setup.ts'] },
        })),
        ...quickAndFull('browser', () => ({ test: { globalSetup: ['test/browser/support/setup.ts'] } })),
        ...['bench', 'cloudflare', 'conformance', 'examples', 'processes', 'properties'].map((name) =>
          room(`full/${name}`, node),
        ),
      ],
    },
  };
});

/** The project of one folder in `test`. A room in `test/full` is a project `full-…`, which `npm test` leaves out. */
function room(folder: string, settings: TestProjectInlineConfiguration = {}): TestProjectInlineConfiguration {
  const name = folder.replace('/', '-');
  return { ...settings, test: { ...settings.test, name, include: [`test/${folder}/**/*.test.ts`] } };
}

/** Two projects with the same settings, made twice, since a plugin keeps state of the project that it is in. */
function quickAndFull(
  folder: string,
  settings: () => TestProjectInlineConfiguration,
): TestProjectInlineConfiguration[] {
  return [room(folder, settings()), room(`full/${folder}`, settings())];
}
