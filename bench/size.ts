import { brotliCompressSync, gzipSync } from 'node:zlib';

import { build, type Plugin } from 'esbuild';

import type { Candidate } from './candidate.ts';
import { kilobytes, type Findings, type Question } from './question.ts';

export const question: Question = {
  title: 'Size',
  method:
    'What a program takes on by importing it, tree-shaken and minified by esbuild: the code of the package itself, and all that it brings along. Of soloflight the whole entry point is counted.',
  variants: ['all'],
  passes: 1,
  bound: 20_000,
  unable: (candidate) => (candidate.code === undefined ? 'come as a package' : undefined),
  measure,
  tables: [
    {
      columns: [
        {
          heading: 'own code, gzip',
          variant: 'all',
          figure: 'gzip',
          show: kilobytes,
          targets: { soloflight: '≤ 6.0' },
        },
        {
          heading: 'own code, brotli',
          variant: 'all',
          figure: 'brotli',
          show: kilobytes,
          targets: { soloflight: '≤ 6.0', 'soloflight-singleflight': '≤ 1.5' },
        },
        { heading: 'with its dependencies, gzip', variant: 'all', figure: 'whole', show: kilobytes },
      ],
    },
  ],
};

async function measure({ code = '' }: Candidate): Promise<Findings> {
  const own = await bundled(code, [othersOutside]);
  const whole = await bundled(code, []);
  return { gzip: [gzipSync(own).length], brotli: [brotliCompressSync(own).length], whole: [gzipSync(whole).length] };
}

async function bundled(code: string, plugins: Plugin[]): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: import.meta.dirname, sourcefile: 'program' },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    write: false,
    logLevel: 'error',
    plugins,
  });
  return (outputFiles[0] as (typeof outputFiles)[number]).contents;
}

/** Leaves out what the package itself imports from other packages. */
const othersOutside: Plugin = {
  name: 'others-outside',
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ kind, importer }) =>
      kind === 'entry-point' || importer.endsWith('program') ? undefined : { external: true },
    );
  },
};
