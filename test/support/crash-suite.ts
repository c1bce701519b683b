import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';

import { build } from 'tsup';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { chanceFor, type Chance } from './chance.ts';

/** When a writer is killed: after it has reported this many accepted writes. */
interface Kill {
  readonly run: number;
  readonly after: number;
}

/** Registers the test of a process that puts writes and is killed `crashes` times. */
export function crashSuite(crashes: number): void {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  const [queueFile, sinkFile] = [join(directory, 'queue.db'), join(directory, 'sink.db')];
  const children: ChildProcess[] = [];

  // Bundled from the current source, so that neither an old build nor a missing one can interfere.
  beforeAll(async () => {
    await build({
      entry: [join(import.meta.dirname, '../writes/fixtures/writer.ts')],
      outDir: directory,
      outExtension: () => ({ js: '.mjs' }),
      format: 'esm',
      config: false,
      removeNodeProtocol: false,
      silent: true,
      clean: false,
    });
  }, 60_000);

  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  /** Runs the writer, and notes the writes it reports as accepted. Without a `kill`, the writer delivers the rest. */
  async function runWriter(accepted: Map<string, number[]>, chance: Chance, kill?: Kill): Promise<unknown[]> {
    const words = [String(kill?.run ?? 0), kill === undefined ? 'drain' : 'put', String(chance.below(2 ** 32))];
    const child = spawn(process.execPath, [join(directory, 'writer.mjs'), queueFile, sinkFile, ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const exited = once(child, 'exit');
    let heard = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const [key = '', token] = line.split(' ');
      if (key !== 'ready') {
        accepted.set(key, [...(accepted.get(key) ?? []), Number(token)]);
        heard += 1;
      }
      // The writer goes on while this is read, so the kill may hit it between any two of its steps.
      if (kill !== undefined && heard >= kill.after) child.kill('SIGKILL');
    }
    return exited;
  }

  function takenTokens(): Map<string, number[]> {
    const database = new DatabaseSync(sinkFile);
    const rows = database.prepare('SELECT key, tokens FROM taken ORDER BY place').all();
    database.close();
    const taken = new Map<string, number[]>();
    for (const { key, tokens } of rows as unknown as { key: string; tokens: string }[])
      taken.set(key, [...(taken.get(key) ?? []), ...(JSON.parse(tokens) as number[])]);
    return taken;
  }

  test(
    `a process killed ${crashes} times at random points: every acknowledged write reaches the sink, once and in order`,
    { timeout: 60_000 + crashes * 5_000 },
    async (context) => {
      const chance = chanceFor(context);
      const accepted = new Map<string, number[]>();

      for (let run = 1; run <= crashes; run += 1)
        // The first writer lives long enough to accept something; later ones may be killed before that.
        expect(await runWriter(accepted, chance, { run, after: run === 1 ? 20 : chance.below(150) })).toEqual([
          null,
          'SIGKILL',
        ]);
      expect(await runWriter(accepted, chance)).toEqual([0, null]);

      const taken = takenTokens();
      expect([...accepted.values()].flat().length).toBeGreaterThanOrEqual(20);
      for (const [key, tokens] of accepted) {
        const of = taken.get(key) ?? [];
        expect(of).toEqual([...new Set(of)].toSorted((a, b) => a - b));
        const reached = new Set(of);
        expect(tokens.filter((token) => !reached.has(token))).toEqual([]);
        // The final value is the last acknowledged one, or one that was put after it.
        expect(of.at(-1)).toBeGreaterThanOrEqual(Math.max(...tokens));
      }
      const queue = new DatabaseSync(queueFile);
      expect(queue.prepare('SELECT count(*) AS rows FROM soloflight_writes').get()).toEqual({ rows: 0 });
      expect(queue.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
      queue.close();
    },
  );
}
