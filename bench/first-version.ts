import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { build } from 'esbuild';

/** The last commit of 0.1.0: no process compared versions, and writes of loads went without conditions. */
const COMMIT = '894e28326f9eeafa8f20ca08f71ee5f4ec797020';

/** What of 0.1.0 is measured. */
export interface FirstVersion {
  readonly TieredCache: new (options: object) => {
    get(key: string): Promise<unknown>;
    set(key: string, value: unknown): Promise<void>;
    invalidate(keys: string | readonly string[]): Promise<unknown>;
    close(): Promise<void>;
  };
  readonly redisStorage: (options: object) => object;
}

/** 0.1.0, built from the history of this repository; `undefined` where that is not there. */
export async function firstVersion(): Promise<FirstVersion | undefined> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-0.1.0-'));
  try {
    const archive = execFileSync('git', ['archive', COMMIT, 'src'], {
      ...{ cwd: root, maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'ignore'] },
    });
    execFileSync('tar', ['x', '-C', directory], { input: archive });
    const outfile = join(directory, 'first-version.mjs');
    await build({
      stdin: {
        contents: "export { TieredCache } from './index.js'; export { redisStorage } from './redis/index.js';",
        resolveDir: join(directory, 'src'),
      },
      ...{ bundle: true, format: 'esm', target: 'es2022', platform: 'node', outfile, logLevel: 'silent' },
      nodePaths: [join(root, 'node_modules')],
    });
    return (await import(pathToFileURL(outfile).href)) as FirstVersion;
  } catch (error) {
    console.error(`0.1.0 can't be built here: ${String(error)}`);
    return undefined;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
