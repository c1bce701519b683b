import { indexedDbQueue, indexedDbStorage, webStorageQueue, webStorageStorage } from '../../src/browser/index.js';
import { gzip, structuredCloneCodec } from '../../src/codecs/index.js';
import type { StorageTier } from '../../src/index.js';
import {
  storageSuite,
  writeQueueSuite,
  type StorageSuiteOptions,
  type StorageSuiteRunner,
  type WriteQueueSuiteOptions,
} from '../../src/testing/index.js';
import type { WriteQueue } from '../../src/writes/index.js';
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
      version: true,
      reopen: async (tier) => {
        await tier.close?.();
        return openDatabase(databases.get(tier)!);
      },
    },
  },
};

const queueDatabases = new Map<WriteQueue, string>();
const unstorable = (): void => {};

function openQueue(database: string): WriteQueue {
  const queue = indexedDbQueue({ database });
  queueDatabases.set(queue, database);
  return queue;
}

/** The queues for writes of a browser, each for `writeQueueSuite`. */
export const QUEUES: Readonly<Record<string, WriteQueueSuiteOptions>> = {
  'a queue in localStorage': {
    open: () => {
      localStorage.clear();
      return webStorageQueue();
    },
    // To JSON, a function is nothing.
    supports: { references: false, unstorable, own: true, reopen: () => webStorageQueue() },
  },
  'a queue in sessionStorage, with bytes of a codec that takes its time': {
    open: () => {
      sessionStorage.clear();
      return webStorageQueue({ area: 'session', prefix: 'a', codec: gzip(structuredCloneCodec, { above: 64 }) });
    },
    supports: { references: false, unstorable, own: true },
  },
  'a queue in IndexedDB': {
    open: () => openQueue(`queue-${(opened += 1)}`),
    supports: {
      references: false,
      unstorable,
      own: true,
      reopen: async (queue) => {
        await queue.close?.();
        return openQueue(queueDatabases.get(queue)!);
      },
    },
  },
};

/** Registers the tests of `suite` with `runner`, outside of the browser as well as inside. */
export function addSuite(runner: StorageSuiteRunner, suite: string): void {
  const storage = STORAGES[suite];
  if (storage !== undefined) storageSuite(runner, storage);
  else writeQueueSuite(runner, QUEUES[suite]!);
}

/** Runs one test of `suite`, inside the browser. */
export async function runSuiteTest(suite: string, title: string): Promise<void> {
  const found: (() => Promise<void>)[] = [];
  addSuite({ test: (name, run) => name === title && found.push(run), equal: assertEqual }, suite);
  if (found.length !== 1) throw new Error(`${found.length} tests of '${suite}' are called '${title}'`);
  await found[0]!();
}
