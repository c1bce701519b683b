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
  },
  format: 'esm',
  target: 'es2022',
  platform: 'neutral',
  tsconfig: 'src/tsconfig.json',
  dts: true,
  // One file per entry point: each costs half a millisecond at import, and errors know each other by brand.
  splitting: false,
  treeshake: true,
  clean: true,
  external: ['lru-cache', 'cloudflare:workers', /^node:/],
});
