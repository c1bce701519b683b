import { describe, expect, onTestFinished, test } from 'vitest';

import { startFleet, type Fleet } from './fleet.ts';
import { until } from './until.ts';

/** Deadlines that a busy machine does not meet by accident. */
export const PATIENT = { readTimeout: '1m', writeTimeout: '1m', leaseWait: '1m', maxDuration: '2m' } as const;

/** Starts a fleet that ends with the test. */
export async function startedFleet(...args: Parameters<typeof startFleet>): Promise<Fleet> {
  const fleet = await startFleet(...args);
  onTestFinished(() => fleet.stop());
  return fleet;
}

/** Registers the tests of `processes` processes over one Redis. */
export function fleetSuite(redis: { readonly url: string }, processes: number): void {
  describe(`${processes} processes over one Redis`, () => {
    test('load a cold key once for 100 calls in each, again after an invalidation, and keep nothing old', async () => {
      let version = 1;
      const answering = Promise.withResolvers<void>();
      const { members } = await startedFleet(processes, { url: redis.url, cache: PATIENT }, async () => {
        const loaded = version;
        await answering.promise;
        return loaded;
      });
      const readAll = () => Promise.all(members.map((member) => member.tell({ kind: 'get', key: 'cold', times: 100 })));
      const loads = () => members.reduce((sum, member) => sum + member.loads.length, 0);
      const all = (version: number) => members.map(() => [version]);

      const first = readAll();
      await until('all processes wait for the key', async () => {
        const stats = await Promise.all(members.map((member) => member.tell({ kind: 'stats' })));
        return stats.every(({ value }) => (value as { readonly inFlight: number }).inFlight > 0);
      });
      answering.resolve();
      expect((await first).map(({ value, error }) => error ?? value)).toEqual(all(1));
      expect(loads()).toBe(1);

      version = 2;
      await members.at(-1)!.tell({ kind: 'invalidate', key: 'cold' });
      await until('all processes have heard of the invalidation', async () => {
        const answers = await Promise.all(members.map((member) => member.tell({ kind: 'get', key: 'cold' })));
        return answers.every(({ value }) => (value as number[])[0] === 2);
      });
      expect((await readAll()).map(({ value, error }) => error ?? value)).toEqual(all(2));
      expect(loads()).toBe(2);

      const problems = await Promise.all(members.map((member) => member.tell({ kind: 'problems' })));
      expect(problems.flatMap(({ value }) => value)).toEqual([]);
    });
  });

  test('processes take over from one that is killed while it loads', async () => {
    const answer = Promise.withResolvers<string>();
    let calls = 0;
    const { members } = await startedFleet(4, { url: redis.url, cache: PATIENT }, () => {
      calls += 1;
      // The first call never gets its answer.
      return calls === 1 ? new Promise(() => {}) : answer.promise;
    });

    const reads = members.map((member) => member.tell({ kind: 'get', key: 'taken over' }));
    await until('one process loads', () => calls === 1);
    const dead = members.findIndex(({ loads }) => loads.length > 0);
    await members[dead]!.kill();
    await until('another one loads', () => calls === 2);
    answer.resolve('value');
    const answers = await Promise.all(reads.filter((_, index) => index !== dead));

    expect(answers.map(({ value, error }) => error ?? value)).toEqual([['value'], ['value'], ['value']]);
    expect(calls).toBe(2);
  });
}
