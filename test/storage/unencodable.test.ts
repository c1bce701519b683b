import { Keyv } from 'keyv';
import { createStorage } from 'unstorage';
import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { webStorageQueue } from '../../src/browser/web-storage-queue.js';
import { webStorageStorage } from '../../src/browser/web-storage.js';
import { cacheApiStorage } from '../../src/cloudflare/cache-api.js';
import { workersKvStorage } from '../../src/cloudflare/workers-kv.js';
import { structuredCloneCodec } from '../../src/codecs/index.js';
import { toPayload } from '../../src/codecs/payload.js';
import type { QueuedWrite, StorageTier, WriteQueue } from '../../src/contracts.js';
import { jsonCodec, UnencodableError } from '../../src/index.js';
import { toRecord } from '../../src/redis/queue-record.js';
import { toValue } from '../../src/redis/value.js';
import { keyvStorage } from '../../src/storage/keyv.js';
import { sqliteQueue, sqliteStorage } from '../../src/storage/sqlite.js';
import { unstorageStorage } from '../../src/storage/unstorage.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;
const BAD = sampleEntry(AT, { value: { n: 1n } });

function stubLocalStorage(): void {
  const held = new Map<string, string>();
  vi.stubGlobal('localStorage', {
    get length() {
      return held.size;
    },
    key: (index: number) => [...held.keys()][index] ?? null,
    getItem: (name: string) => held.get(name) ?? null,
    setItem: (name: string, text: string) => void held.set(name, text),
    removeItem: (name: string) => void held.delete(name),
  });
  onTestFinished(() => void vi.unstubAllGlobals());
}

const never = (): never => {
  throw new Error('nothing is to be stored');
};

const STORAGES: readonly [string, () => StorageTier][] = [
  ['SQLite', () => sqliteStorage({ database: ':memory:', codec: jsonCodec })],
  ['Keyv', () => keyvStorage(new Keyv(), { codec: jsonCodec })],
  ['unstorage', () => unstorageStorage(createStorage(), { codec: jsonCodec })],
  ['Workers KV', () => workersKvStorage({ get: never, put: never, delete: never }, { codec: jsonCodec })],
  ['the Cache API', () => cacheApiStorage({ match: never, put: never, delete: never }, { codec: jsonCodec })],
  ['web storage', () => (stubLocalStorage(), webStorageStorage({ codec: jsonCodec }))],
];

const QUEUES: readonly [string, () => WriteQueue][] = [
  ['SQLite', () => sqliteQueue({ database: ':memory:', codec: jsonCodec })],
  ['web storage', () => (stubLocalStorage(), webStorageQueue({ codec: jsonCodec }))],
];

const WRITE: QueuedWrite = {
  ...{ id: '1', sequence: 1, key: 'k', kind: 'put', value: { n: 1n }, at: AT, attempts: 0, revision: 0, triedFor: 0 },
  ...{ whole: false, dead: undefined },
};

/** What `run` throws or rejects with. */
async function failureOf(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return undefined;
}

const refusal = expect.objectContaining({
  ...{ name: 'UnencodableError', code: 'SOLOFLIGHT_UNENCODABLE', key: 'k' },
  cause: new TypeError('Do not know how to serialize a BigInt'),
});

describe("a value that its codec can't encode", () => {
  test.each(STORAGES)('is refused by every write of a tier over %s, with the reason', async (_name, open) => {
    const tier = open();
    const writes = [
      () => tier.set('k', BAD, AT),
      () => tier.setMany?.([{ key: 'k', entry: BAD, keepUntil: AT }]) ?? tier.set('k', BAD, AT),
      () => tier.setIfNewer?.('k', BAD, AT) ?? tier.set('k', BAD, AT),
      () => tier.setIfVersion?.('k', BAD, AT, '', true) ?? tier.set('k', BAD, AT),
    ];

    for (const write of writes) expect(await failureOf(write)).toEqual(refusal);
    expect(await failureOf(() => tier.set('k', sampleEntry(AT, { meta: { n: 1n } }), AT))).toEqual(refusal);
  });

  test.each(QUEUES)('is refused by a queue in %s', async (_name, open) => {
    expect(await failureOf(() => open().put([WRITE]))).toEqual(refusal);
  });

  test('is refused on its way into Redis', async () => {
    expect(await failureOf(() => toValue('k', BAD, jsonCodec))).toEqual(refusal);
    expect(await failureOf(() => toRecord(WRITE, jsonCodec))).toEqual(refusal);
  });

  test('of any codec says which one it was', async () => {
    const { message } = (await failureOf(() => toPayload('k', () => {}, structuredCloneCodec))) as Error;

    expect(message).toMatch(
      /^The value of 'k' can't be stored: the codec 'structured-clone' failed on it \(.+\)\. Load/,
    );
    for (const encode of [() => Promise.reject(new Error()), () => Promise.resolve(5 as never)])
      expect(await failureOf(() => toPayload('k', 1, { ...jsonCodec, encode }))).toBeInstanceOf(UnencodableError);
  });

  test('for its size is told as too large', async () => {
    const tooLarge = Object.assign(new UnencodableError('k', 'x'), { code: 'SOLOFLIGHT_VALUE_TOO_LARGE' });
    const failing = {
      ...jsonCodec,
      encode: () => {
        throw tooLarge;
      },
    };

    expect(await failureOf(() => toPayload('k', 1, failing))).toBe(tooLarge);
  });
});
