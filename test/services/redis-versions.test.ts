import { describe, expect, test } from 'vitest';

import type { StorageTier } from '../../src/contracts.js';
import { redisStorage } from '../../src/redis/index.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';
import { command, FIRST } from '../support/redis-clients.ts';
import { connections, newName, sharedRedis } from '../support/redis-suites.ts';
import { until } from '../support/until.ts';

const HOUR = 3_600_000;
const connected = connections(sharedRedis(), FIRST);

const later = (): number => Date.now() + HOUR;
const send = (...words: string[]): Promise<unknown> => command(connected[0]!.client, words);

function setup({ lease = true } = {}) {
  const prefix = `${newName('p')}:`;
  const storage = redisStorage({ client: connected[0]!.client, prefix, lease });
  const names = (key: string) => ['', 'lease', 'claim'].map((end) => `${prefix}{.${key}}${end}`);
  const there = async (key: string) => send('EXISTS', ...names(key));
  return { storage, prefix, names, there, claim: (key: string) => names(key)[2]! };
}

async function versionOf(storage: StorageTier, key: string): Promise<string> {
  return (await storage.version!(key, -Infinity)).version;
}

function land(storage: StorageTier, key: string, version: string, startedAt = Date.now()): unknown {
  return storage.setIfVersion!(key, sampleEntry(startedAt, { startedAt, value: 'loaded' }), later(), version, false);
}

describe('the claim of a key that has no entry', () => {
  test('is no entry: nothing is read, and nothing was there to be deleted', async () => {
    const { storage, there } = setup();
    await versionOf(storage, 'k');
    expect(await there('k')).toBe(1);

    expect(await storage.get('k')).toBeUndefined();
    expect(await storage.delete('k')).toBe(false);
    expect(await there('k')).toBe(0);
  });

  test('lives for ten minutes, renewed with each question, and its end refuses loads', async () => {
    const { storage, claim } = setup();
    const version = await versionOf(storage, 'k');
    const left = Number(await send('PTTL', claim('k')));
    expect(left).toBeGreaterThan(300_000);
    expect(left).toBeLessThanOrEqual(600_000);

    await send('PEXPIRE', claim('k'), '100000');
    expect(await versionOf(storage, 'k')).toBe(version);
    expect(Number(await send('PTTL', claim('k')))).toBeGreaterThan(300_000);

    await send('PEXPIRE', claim('k'), '1');
    await until('it is over', async () => (await send('EXISTS', claim('k'))) === 0);
    expect(await land(storage, 'k', version)).toBe(false);
    expect(await versionOf(storage, 'k')).not.toBe(version);
  });

  test('is replaced if something else lies under its name', async () => {
    const { storage, claim } = setup();
    await send('RPUSH', claim('k'), 'not ours');
    expect(await land(storage, 'k', 'not ours')).toBe(false);

    expect(await land(storage, 'k', await versionOf(storage, 'k'))).toBe(true);
  });
});

describe.each([true, false])('with leases: %s', (lease) => {
  const changes: Readonly<Record<string, (storage: StorageTier) => unknown>> = {
    set: (storage) => storage.set('k', sampleEntry(1), later()),
    setMany: (storage) => storage.setMany!([{ key: 'k', entry: sampleEntry(1), keepUntil: later() }]),
    delete: (storage) => storage.delete('k'),
    deleteMany: (storage) => storage.deleteMany!(['k']),
    clear: (storage) => storage.clear!(),
    'setIfVersion as a change': async (storage) =>
      storage.setIfVersion!('k', sampleEntry(1), later(), await versionOf(storage, 'k'), true),
  };

  test.each(Object.entries(changes))('%s ends claim and lease in the same step', async (_, change) => {
    const { storage, prefix, names } = setup({ lease });
    const leasing = redisStorage({ client: connected[0]!.client, prefix });
    await storage.set('k', sampleEntry(Date.now()), later());
    const version = await versionOf(storage, 'k');
    const answer = await leasing.lease!('k', HOUR, Infinity);

    await change(storage);

    expect(await send('EXISTS', names('k')[1]!, names('k')[2]!)).toBe(0);
    expect(await land(storage, 'k', version)).toBe(false);
    const entry = sampleEntry(Date.now());
    expect(answer.kind === 'lease' && (await answer.lease.store(entry, later()))).toBe(false);
  });
});

test('an entry that can not be decoded is none to whoever asks for the version', async () => {
  const { storage, names } = setup();
  await send('SET', names('k')[0]!, '5\nsoloflight/1 [');

  const answer = await storage.version!('k', 1);

  expect(answer).toEqual({ version: answer.version });
});

test('clear leaves no name of any key behind, whichever of its names are there', async () => {
  const { storage, there } = setup();
  const keys = ['entry', 'claim', 'lease', 'a}b', '}claim', 'lease}claim'];
  await storage.set('entry', sampleEntry(Date.now()), later());
  for (const key of keys.slice(1)) await versionOf(storage, key);
  await storage.lease!('lease', HOUR, Infinity);

  await storage.clear!();

  expect(await Promise.all(keys.map(there))).toEqual(keys.map(() => 0));
});

test('clear removes an entry together with its claim, whichever it finds: no load can store between the two', async () => {
  const removed: unknown[] = [];
  const client = {
    callBuffer: (command: string, ...words: unknown[]) => {
      if (command === 'SCAN') return Promise.resolve(['0', [Buffer.from('p:{.k}claim')]]);
      removed.push(...words.map(String));
      return Promise.resolve(3);
    },
  };

  await redisStorage({ client, prefix: 'p:' }).clear!();

  expect(removed).toEqual(['p:{.k}', 'p:{.k}lease', 'p:{.k}claim']);
});

test('removing many keys ends the leases of all', async () => {
  const { storage, there } = setup();
  const keys = Array.from({ length: 2_500 }, (_each, index) => `k-${index}`);
  for (const key of ['k-0', 'k-999', 'k-1000', 'k-2499']) await storage.lease!(key, HOUR, Infinity);

  await storage.deleteMany!(keys);

  expect(await Promise.all(['k-0', 'k-999', 'k-1000', 'k-2499'].map(there))).toEqual([0, 0, 0, 0]);
});
