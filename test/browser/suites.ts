import { indexedDbStorage, webStorageStorage } from '../../src/browser/index.js';
import { gzip, structuredCloneCodec } from '../../src/codecs/index.js';
import type { StorageTier } from '../../src/index.js';
import { storageSuite, type StorageSuiteOptions } from '../../src/testing/index.js';
import { assertEqual } from './support/equal.js';

let opened = 0;
const databases = new Map<StorageTier, string>();

function openDatabase(database: string): StorageTier {
  const tier = indexedDbStorage({ database });
  databases.set(tier, database);
  return tier;
}

/** The storage tiers of a browser, each for `storageSuite`. */
export const STORAGES: Readonly<Record<string, StorageSuiteOptions>> = {
  localStorage: {
    open: () => {
      localStorage.clear();
      return webStorageStorage();
    },
    supports: { references: false, reopen: () => webStorageStorage() },
  },
  'sessionStorage, with bytes of a codec that takes its time': {
    open: () => {
      sessionStorage.clear();
      return webStorageStorage({ area: 'session', prefix: 'a', codec: gzip(structuredCloneCodec, { above: 64 }) });
    },
    supports: { references: false, binary: true },
  },
  IndexedDB: {
    open: () => openDatabase(`conformance-${(opened += 1)}`),
    supports: {
      references: false,
      binary: true,
      reopen: async (tier) => {
        await tier.close?.();
        return openDatabase(databases.get(tier)!);
      },
    },
  },
};

/** Runs one test of a suite. Which there are, the same suite says outside of the browser. */
export async function runSuiteTest(suite: string, title: string): Promise<void> {
  const found: (() => Promise<void>)[] = [];
  storageSuite({ test: (name, run) => name === title && found.push(run), equal: assertEqual }, STORAGES[suite]!);
  if (found.length !== 1) throw new Error(`${found.length} tests of '${suite}' are called '${title}'`);
  await found[0]!();
}
