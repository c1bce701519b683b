import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    backplane: 'src/backplane/index.ts',
    browser: 'src/browser/index.ts',
    cloudflare: 'src/cloudflare/index.ts',
    codecs: 'src/codecs/index.ts',
    http: 'src/http/index.ts',
    keyv: 'src/storage/keyv.ts',
    redis: 'src/redis/index.ts',
    sqlite: 'src/storage/sqlite.ts',
    testing: 'src/testing/index.ts',
    unstorage: 'src/storage/unstorage.ts',
    writes: 'src/writes/index.ts',
    // The same two for plain Workers: see the condition `workerd` in package.json.
    'index.workerd': 'src/cloudflare/worker-core.ts',
    'http.workerd': 'src/cloudflare/worker-http.ts',
  },
  format: 'esm',
  target: 'es2022',
  platform: 'neutral',
  tsconfig: 'src/tsconfig.json',
  dts: true,
  // What entries share is in chunks: there is one copy of every class, whichever entries a program imports.
  splitting: true,
  treeshake: { moduleSideEffects: 'no-external' },
  // A bundler keeps what it can't know to be pure, in a chunk also what nothing of the program uses.
  pure: ['Object.freeze'],
  clean: true,
  external: ['lru-cache', 'cloudflare:workers', /^node:/],
});
