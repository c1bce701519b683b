/* oxlint-disable typescript/no-floating-promises -- node:test waits for its tests by itself. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { isSoloflightError, TieredCache } from 'soloflight';
import { storageSuite } from 'soloflight/testing';

import { fileStorage } from './file-storage.ts';

const root = mkdtempSync(join(tmpdir(), 'soloflight-files-'));
after(() => rmSync(root, { recursive: true }));
const newFolder = (): string => mkdtempSync(join(root, 'test-'));

describe('file storage does what every storage tier must', () => {
  let folder = '';
  storageSuite(
    { test, equal: assert.deepStrictEqual },
    {
      open: () => fileStorage((folder = newFolder())),
      supports: {
        references: false,
        binary: true,
        // Methods that make a storage faster or tidier. The cache can do without them.
        getMany: false,
        setMany: false,
        deleteMany: false,
        setIfNewer: false,
        clear: false,
        sweep: false,
        close: false,
        reopen: () => fileStorage(folder),
      },
    },
  );
});

describe('file storage under a cache', () => {
  test('keeps values across restarts', async () => {
    const storage = fileStorage(join(newFolder(), 'not', 'there', 'yet'));
    let loads = 0;
    const read = async (): Promise<number> => {
      await using cache = new TieredCache<number>({ ttl: '1m', storage, upstream: () => ++loads });
      return await cache.get('k');
    };

    const values = [await read(), await read()];

    assert.deepEqual(values, [1, 1]);
  });

  test('takes a damaged file for a miss, and replaces it', async () => {
    const folder = newFolder();
    const storage = fileStorage(folder);
    const errors: unknown[] = [];
    await using cache = new TieredCache<string>({ ttl: '1m', memory: false, storage, upstream: () => 'loaded' });
    cache.on('tier-error', ({ error }) => errors.push(error));
    await cache.set('k', 'set');
    for (const file of readdirSync(folder)) writeFileSync(join(folder, file), 'damaged');

    const value = await cache.get('k');
    await cache.idle();

    assert.equal(value, 'loaded');
    assert.equal(errors.length, 1);
    assert.ok(isSoloflightError(errors[0], 'SOLOFLIGHT_UNDECODABLE'));
    assert.equal((await storage.get('k'))?.value, 'loaded');
  });

  test('leaves no draft behind when it can not write', async () => {
    const folder = newFolder();
    const storage = fileStorage(folder);
    const unserializable = { value: () => {} } as never;

    await assert.rejects(async () => storage.set('k', unserializable, Infinity), /could not be cloned/);

    assert.deepEqual(readdirSync(folder), []);
  });
});
