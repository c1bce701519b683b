import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { startFleet, type Fleet } from '../support/fleet.ts';
import { startRedis, type RedisServer } from '../support/redis-server.ts';
import { checkHistory, type Read, type Write } from './fixtures/history.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

async function started(...args: Parameters<typeof startFleet>): Promise<Fleet> {
  const fleet = await startFleet(...args);
  onTestFinished(() => fleet.stop());
  return fleet;
}

describe('twenty processes over one Redis', () => {
  test(
    'load a cold key once for 2,000 concurrent calls, again after an invalidation, and keep nothing old',
    { timeout: 60_000 },
    async () => {
      let version = 1;
      const { members } = await started(20, { url: server.url }, async () => {
        const loaded = version;
        await sleep(200);
        return loaded;
      });
      const readAll = () => Promise.all(members.map((member) => member.tell({ kind: 'get', key: 'cold', times: 100 })));
      const loads = () => members.reduce((sum, member) => sum + member.loads.length, 0);

      const first = await readAll();
      expect(first.map(({ value, error }) => error ?? value)).toEqual(members.map(() => [1]));
      expect(loads()).toBe(1);

      version = 2;
      await members[7]!.tell({ kind: 'invalidate', key: 'cold' });
      await sleep(100);
      const second = await readAll();
      expect(second.map(({ value, error }) => error ?? value)).toEqual(members.map(() => [2]));
      expect(loads()).toBe(2);

      const problems = await Promise.all(members.map((member) => member.tell({ kind: 'problems' })));
      expect(problems.flatMap(({ value }) => value)).toEqual([]);
    },
  );

  test('take over from one that is killed while it loads', { timeout: 60_000 }, async () => {
    const release = Promise.withResolvers<string>();
    let calls = 0;
    const fleet = await started(4, { url: server.url }, () => {
      calls += 1;
      // The first one never gets its answer.
      return calls === 1 ? new Promise(() => {}) : release.promise;
    });
    const reads = fleet.members.map((member) => member.tell({ kind: 'get', key: 'taken over' }));
    await until(() => calls === 1);
    const dead = fleet.members.findIndex(({ loads }) => loads.length > 0);
    await fleet.members[dead]!.kill();
    const killedAt = performance.now();
    await until(() => calls === 2);
    const tookOverAfter = performance.now() - killedAt;
    release.resolve('value');
    const answers = await Promise.all(reads.filter((_, index) => index !== dead));

    expect(answers.map(({ value, error }) => error ?? value)).toEqual([['value'], ['value'], ['value']]);
    expect(calls).toBe(2);
    expect(tookOverAfter).toBeLessThan(5_000);
  });
});

describe('random reads, sets and invalidations in six processes', () => {
  test(
    'no read that starts after an invalidation is over, and heard of, gives what was there before',
    { timeout: 60_000 },
    async () => {
      const versions = new Map<string, number>();
      const { members } = await started(6, { url: server.url, cache: { ttl: '1h' } }, async (key) => {
        // The worst that an upstream can do: it decides what to answer early, and answers late.
        const version = versions.get(key) ?? 0;
        await sleep(1 + Math.random() * 20);
        return version;
      });
      const reads: Read[] = [];
      const writes: Write[] = [];
      const any = () => members[Math.floor(Math.random() * members.length)]!;
      const until = performance.now() + 6_000;
      const keys = ['a', 'b', 'c'];
      const reader = async (): Promise<void> => {
        while (performance.now() < until) {
          const key = keys[Math.floor(Math.random() * keys.length)]!;
          const { from, to, value, error } = await any().tell({ kind: 'get', key });
          expect(error).toBeUndefined();
          for (const version of value as number[]) reads.push({ key, from, to, version });
        }
      };
      const writer = async (key: string): Promise<void> => {
        while (performance.now() < until) {
          await sleep(5 + Math.random() * 60);
          const version = (versions.get(key) ?? 0) + 1;
          versions.set(key, version);
          const kind = Math.random() < 0.5 ? 'set' : 'invalidate';
          const { to, error } = await any().tell(kind === 'set' ? { kind, key, value: version } : { kind, key });
          expect(error).toBeUndefined();
          writes.push({ key, version, to });
        }
      };

      await Promise.all([...Array.from({ length: 24 }, reader), ...keys.map(writer)]);
      const { violations, widest } = checkHistory(reads, writes, 250);

      expect(reads.length).toBeGreaterThan(500);
      expect(writes.length).toBeGreaterThan(50);
      expect(violations, `the widest window was ${widest} ms`).toEqual([]);
    },
  );

  test('the check finds what it is there for', () => {
    const writes = [{ key: 'k', version: 1, to: 100 }];
    const old = { key: 'k', from: 500, to: 501, version: 0 };
    expect(checkHistory([old], writes, 250).violations).toEqual([old]);
    expect(checkHistory([{ ...old, from: 300 }], writes, 250)).toEqual({ violations: [], widest: 200 });
    expect(
      checkHistory(
        [
          { ...old, from: 99 },
          { ...old, version: 1 },
        ],
        writes,
        250,
      ).violations,
    ).toEqual([]);
  });
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}
