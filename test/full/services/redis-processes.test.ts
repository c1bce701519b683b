import { describe, expect, test } from 'vitest';

import { chanceFor, type Chance } from '../../support/chance.ts';
import { fleetSuite, PATIENT, startedFleet } from '../../support/fleet-suite.ts';
import { sharedRedis } from '../../support/redis-suites.ts';
import { checkHistory, outlived, type Read, type Write } from './fixtures/history.ts';

const redis = sharedRedis();

fleetSuite(redis, 20);

describe('random reads, sets and invalidations in six processes', () => {
  // One change late: a process that is just storing what it loaded before the change may give it once more, and keep it
  // until the next change.
  test('no read gives what was there before the change before the last that all have heard of', async (context) => {
    const { reads, writes } = await randomHistory(chanceFor(context));

    const { violations, widest } = checkHistory(reads, writes, 1);

    expect(violations, `the widest window was ${widest} ms`).toEqual([]);
  });

  test('the checks find what they are there for', () => {
    const writes = [{ key: 'k', version: 1, to: 100 }];
    const old = { key: 'k', from: 500, to: 501, version: 0, arrived: 90 };
    expect(checkHistory([old], writes)).toEqual({ violations: [old], widest: 400 });
    const others = [
      { ...old, from: 99 },
      { ...old, version: 1 },
    ];
    expect(checkHistory(others, writes)).toEqual({ violations: [], widest: 0 });
    expect(checkHistory([old], writes, 1)).toEqual({ violations: [], widest: 0 });
    expect(outlived([old, { ...old, from: 190 }], 100)).toEqual([old]);
  });
});

/** Lets six processes read and change three keys. */
async function randomHistory(
  chance: Chance,
): Promise<{ readonly reads: readonly Read[]; readonly writes: readonly Write[] }> {
  const versions = new Map<string, number>();
  const delays = chance.fork();
  const settings = { url: redis.url, cache: { ...PATIENT, ttl: '1h' }, words: true } as const;
  const { members } = await startedFleet(6, settings, async (key) => {
    // The worst that an upstream can do: it decides what to answer early, and answers late.
    const version = versions.get(key) ?? 0;
    for (let turns = delays.below(200); turns > 0; turns -= 1) await turn();
    return version;
  });
  const reads: Read[] = [];
  const writes: Write[] = [];
  const keys = ['a', 'b', 'c'];
  const isOver = (): boolean => writes.length >= 60 && reads.length >= 1_000;
  const reader = async (own: Chance): Promise<void> => {
    while (!isOver()) {
      const key = own.oneOf(keys);
      const { from, to, value, error } = await own.oneOf(members).tell({ kind: 'get', key });
      expect(error).toBeUndefined();
      for (const version of value as number[]) reads.push({ key, from, to, version });
    }
  };
  const writer = async (key: string, own: Chance): Promise<void> => {
    while (!isOver()) {
      for (let turns = own.below(400); turns > 0; turns -= 1) await turn();
      const version = (versions.get(key) ?? 0) + 1;
      versions.set(key, version);
      const member = own.oneOf(members);
      const kind = own.next() < 0.5 ? 'set' : 'invalidate';
      const { error } = await member.tell(kind === 'set' ? { kind, key, value: version } : { kind, key });
      expect(error).toBeUndefined();
      const word = `${key} ${version}`;
      await member.tell({ kind: 'shout', word });
      const heard = await Promise.all(members.map((each) => each.tell({ kind: 'hear', word })));
      writes.push({ key, version, to: Math.max(...heard.map(({ to }) => to)) });
    }
  };
  await Promise.all([
    ...Array.from({ length: 24 }, () => reader(chance.fork())),
    ...keys.map((key) => writer(key, chance.fork())),
  ]);
  return { reads, writes };
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
