import type { KnipConfig } from 'knip';

import { ENTRIES } from './test/package/entries.ts';

export default {
  entry: [
    ...ENTRIES.map(({ source }) => source),
    '.ci/*.ts',
    'bench/*.ts',
    'bench/objects/worker.ts',
    'examples/**/*.ts',
    'test/**/*.test.ts',
    'test/**/*.test-d.ts',
    'test/**/fixtures/*.ts',
    'test/browser/page.ts',
    'test/support/burn.ts',
    'test/workers/worker.ts',
  ],
  project: ['{src,test,bench,examples,.ci}/**/*.ts', '*.config.ts'],
  ignoreBinaries: ['apt-get', 'promtool', 'redis-server'],
  ignoreDependencies: ['@arethetypeswrong/cli', 'publint', 'axe-core'],
} satisfies KnipConfig;
