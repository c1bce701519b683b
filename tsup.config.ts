import { defineConfig } from 'tsup';

import { ENTRIES } from './test/package/entries.ts';

export default defineConfig({
  entry: Object.fromEntries(ENTRIES.map(({ name, source }) => [name, source])),
  format: 'esm',
  target: 'es2022',
  platform: 'neutral',
  tsconfig: 'src/tsconfig.json',
  // Declarations name `Symbol.asyncDispose`, whatever libraries a program compiles with.
  dts: { banner: '/// <reference lib="esnext.disposable" />' },
  // What entries share is in chunks: there is one copy of every class, whichever entries a program imports.
  splitting: true,
  treeshake: { moduleSideEffects: 'no-external' },
  // A bundler keeps what it can't know to be pure, in a chunk also what nothing of the program uses.
  pure: ['Object.freeze'],
  clean: true,
  external: ['lru-cache', 'cloudflare:workers', /^node:/],
});
