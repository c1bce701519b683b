import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';

import { build } from 'tsup';
import { afterAll, beforeAll, expect, test } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
const [queueFile, sinkFile] = [join(directory, 'queue.db'), join(directory, 'sink.db')];
const children: ChildProcess[] = [];
/** `SOLOFLIGHT_CRASHES=100` makes it a hundred. */
const crashes = Number(process.env['SOLOFLIGHT_CRASHES'] ?? 8);

// Bundled from the source as it is now: neither an old build nor a missing one can get in between.
beforeAll(async () => {
  await build({
    entry: [join(import.meta.dirname, 'fixtures/writer.ts')],
    outDir: directory,
    outExtension: () => ({ js: '.mjs' }),
    format: 'esm',
    config: false,
    removeNodeProtocol: false,
    silent: true,
    clean: false,
  });
}, 30_000);

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

/** Runs the writer, killed `after` milliseconds from when it is ready, and notes what it said was accepted. */
async function runWriter(run: number, mode: 'put' | 'drain', after: number, accepted: Map<string, number[]>) {
  const args = [join(directory, 'writer.mjs'), queueFile, sinkFile, String(run), mode];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const [key = '', token] = line.split(' ');
    if (key === 'ready') {
      if (mode === 'put') setTimeout(() => child.kill('SIGKILL'), after);
    } else accepted.set(key, [...(accepted.get(key) ?? []), Number(token)]);
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
  { timeout: 20_000 + crashes * 2_000 },
  async () => {
    const accepted = new Map<string, number[]>();

    for (let run = 1; run <= crashes; run += 1)
      expect(await runWriter(run, 'put', Math.random() * 150, accepted)).toEqual([null, 'SIGKILL']);
    expect(await runWriter(crashes + 1, 'drain', 0, accepted)).toEqual([0, null]);

    const taken = takenTokens();
    expect([...accepted.values()].flat().length).toBeGreaterThan(crashes);
    for (const [key, tokens] of accepted) {
      const of = taken.get(key) ?? [];
      expect(of).toEqual([...new Set(of)].toSorted((a, b) => a - b));
      const reached = new Set(of);
      expect(tokens.filter((token) => !reached.has(token))).toEqual([]);
      // The final value: nothing acknowledged comes after it, and what comes after what was acknowledged was put later.
      expect(of.at(-1)).toBeGreaterThanOrEqual(Math.max(...tokens));
    }
    const queue = new DatabaseSync(queueFile);
    expect(queue.prepare('SELECT count(*) AS rows FROM soloflight_writes').get()).toEqual({ rows: 0 });
    expect(queue.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
    queue.close();
  },
);
