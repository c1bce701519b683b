import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createStorage, prefixStorage } from 'unstorage';
import fsDriver from 'unstorage/drivers/fs';
import { afterAll, describe, expect, test } from 'vitest';

import { gzip, structuredCloneCodec } from '../../src/codecs/index.js';
import type { StorageTier } from '../../src/index.js';
import { unstorageStorage } from '../../src/storage/unstorage.js';
import { storageSuite } from '../../src/testing/index.js';

const runner = { test, equal: (actual: unknown, expected: unknown) => expect(actual).toEqual(expected) };
const cannot = {
  references: false,
  deleteReports: false,
  deleteMany: false,
  setIfNewer: false,
  clear: false,
  sweep: false,
  close: false,
};

describe('memory', () => {
  storageSuite(runner, { open: () => unstorageStorage(createStorage()), supports: cannot });
});

describe('a part of a storage, with bytes of a codec that takes its time', () => {
  const codec = gzip(structuredCloneCodec, { above: 64 });
  storageSuite(runner, {
    open: () => unstorageStorage(prefixStorage(createStorage(), 'app:cache'), { base: 'posts', codec }),
    supports: { ...cannot, binary: true },
  });
});

describe('files', () => {
  const directory = mkdtempSync(join(tmpdir(), 'soloflight-'));
  const opened = new Map<StorageTier, string>();
  const openAt = (base: string): StorageTier => {
    const tier = unstorageStorage(createStorage({ driver: fsDriver({ base }) }));
    opened.set(tier, base);
    return tier;
  };

  afterAll(() => rmSync(directory, { recursive: true }));

  storageSuite(runner, {
    open: () => openAt(join(directory, String(opened.size))),
    // Two writers of one file each empty it first and then write over each other.
    supports: { ...cannot, atomicSet: false, reopen: (tier) => openAt(opened.get(tier)!) },
  });
});
