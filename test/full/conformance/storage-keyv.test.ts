import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Keyv } from 'keyv';
import { afterAll, describe, expect, test } from 'vitest';

import { gzip, structuredCloneCodec } from '../../../src/codecs/index.js';
import type { StorageTier } from '../../../src/index.js';
import { keyvStorage } from '../../../src/storage/keyv.js';
import { storageSuite } from '../../../src/testing/index.js';
import { KeyvSqlite } from '../../support/keyv-sqlite.js';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const cannot = { references: false, setIfNewer: false, sweep: false, close: false };

describe('a map, in a namespace beside others', () => {
  const map = new Map<string, unknown>();
  let namespaces = 0;
  storageSuite(runner, {
    open: () => {
      namespaces += 1;
      return keyvStorage(new Keyv(map, { namespace: `a:${namespaces}` }));
    },
    supports: cannot,
  });
});

describe('bytes of a codec that takes its time', () => {
  const codec = gzip(structuredCloneCodec, { above: 64 });
  storageSuite(runner, {
    open: () => keyvStorage(new Keyv(), { codec }),
    supports: { ...cannot, clear: false, binary: true },
  });
});

describe('a SQLite file whose keys are short and know no case', () => {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  const opened = new Map<StorageTier, { readonly backend: KeyvSqlite; readonly path: string }>();
  const openAt = (path: string): StorageTier => {
    const backend = new KeyvSqlite(path);
    const tier = keyvStorage(new Keyv(backend));
    opened.set(tier, { backend, path });
    return tier;
  };
  const reopen = async (tier: StorageTier): Promise<StorageTier> => {
    const { backend, path } = opened.get(tier)!;
    await backend.disconnect();
    return openAt(path);
  };

  afterAll(async () => {
    for (const { backend } of opened.values()) await backend.disconnect();
    rmSync(directory, { recursive: true });
  });

  storageSuite(runner, {
    open: () => openAt(join(directory, `${opened.size}.db`)),
    supports: { ...cannot, clear: false, reopen },
  });
});
