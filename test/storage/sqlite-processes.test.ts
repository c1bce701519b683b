import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';

import { build } from 'tsup';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { sqliteStorage } from '../../src/storage/sqlite.js';

const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
const children: ChildProcess[] = [];
let files = 0;

// Bundled from the source as it is now: neither an old build nor a missing one can get in between.
beforeAll(async () => {
  const entry = ['writer', 'contender'].map((name) => join(import.meta.dirname, 'fixtures', `${name}.ts`));
  await build({
    entry,
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

/** A process that runs a fixture, with its output line by line. */
function start(fixture: 'writer' | 'contender', ...args: string[]) {
  const child = spawn(process.execPath, [join(directory, `${fixture}.mjs`), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const exited = once(child, 'exit');
  return { child, exited, lines: createInterface({ input: child.stdout }) };
}

function newFile(): string {
  files += 1;
  return join(directory, `${files}.db`);
}

/** Starts a writer, kills it once it has reported `enough` batches, and gives the number of batches it reported in all. */
async function writeUntilKilled(file: string, batchSize: number, enough: number): Promise<number> {
  const { child, exited, lines } = start('writer', file, String(batchSize));
  let reported = 0;
  for await (const line of lines) {
    reported = Number(line) + 1;
    if (reported === enough) child.kill('SIGKILL');
  }
  expect(await exited).toEqual([null, 'SIGKILL']);
  return reported;
}

function checkIntegrity(file: string): void {
  const database = new DatabaseSync(file);
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  database.close();
}

describe('a writer killed with SIGKILL', () => {
  test.each([1, 57, 300])('after %i entries leaves a readable file with all that it reported', async (enough) => {
    const file = newFile();

    const reported = await writeUntilKilled(file, 1, enough);

    expect(reported).toBeGreaterThanOrEqual(enough);
    const storage = sqliteStorage({ database: file });
    for (let number = 0; number < reported; number += 1) {
      expect(await storage.get(`k${number}`)).toMatchObject({
        value: { number },
        createdAt: 1_700_000_000_000 + number + 0.5,
        errorUntil: Infinity,
        loadMs: number,
      });
    }
    await storage.set('after', (await storage.get('k0'))!, Infinity);
    expect(await storage.get('after')).toBeDefined();
    await storage.close?.();
    checkIntegrity(file);
  });

  test('leaves batches that are whole', async () => {
    const file = newFile();
    const batchSize = 200;

    const reported = await writeUntilKilled(file, batchSize, 20);

    const storage = sqliteStorage({ database: file });
    const held: number[] = [];
    for (let batch = 0; batch <= reported; batch += 1) {
      const keys = Array.from({ length: batchSize }, (_, index) => `k${batch * batchSize + index}`);
      held.push((await storage.getMany?.(keys))!.filter((entry) => entry !== undefined).length);
    }
    await storage.close?.();
    expect(held.slice(0, reported)).toEqual(Array.from({ length: reported }, () => batchSize));
    // One more may have been stored and not reported any more.
    expect([0, batchSize]).toContain(held[reported]);
    checkIntegrity(file);
  });
});

describe('four processes on one new file', () => {
  test("make the table once, lose nothing, and see each other's entries", { timeout: 60_000 }, async () => {
    const file = newFile();
    const rounds = 100;

    const contenders = [0, 1, 2, 3].map((own) => start('contender', file, String(own), String(rounds)));
    const outputs = contenders.map(({ lines }) => lines[Symbol.asyncIterator]());
    for (const output of outputs) expect((await output.next()).value).toBe('ready');
    for (const { child } of contenders) child.stdin.write('go\n');
    const reports = await Promise.all(
      outputs.map(
        async (output) => JSON.parse(String((await output.next()).value)) as { seen: number; backwards: number },
      ),
    );
    const exits = await Promise.all(contenders.map(({ exited }) => exited));

    expect(exits).toEqual([0, 1, 2, 3].map(() => [0, null]));
    const storage = sqliteStorage({ database: file });
    for (let own = 0; own < 4; own += 1) {
      const keys = Array.from({ length: rounds }, (_, round) => `own-${own}-${round}`);
      expect((await storage.getMany?.(keys))?.map((entry) => entry?.value)).toEqual(
        keys.map((key) => key.slice('own-'.length)),
      );
    }
    expect((await storage.get('shared'))?.value).toBe(`3-${rounds - 1}`);
    expect(reports.map(({ backwards }) => backwards)).toEqual([0, 0, 0, 0]);
    // Each sees at least its own entries, and the one that is last in a round those of the others.
    for (const { seen } of reports) expect(seen).toBeGreaterThanOrEqual(rounds);
    expect(reports.reduce((sum, { seen }) => sum + seen, 0)).toBeGreaterThan(rounds * 4);
    await storage.close?.();
    checkIntegrity(file);
  });
});
