import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { waitPatiently } from '../../support/patience.js';
import { startWorker, type StartedWorker } from '../../support/start-worker.js';

const FIXTURE = new URL('fixtures/default-worker.ts', import.meta.url);
const ROUNDS = 100;

waitPatiently();

describe('caches of a plain Worker that say nothing of their scope', () => {
  let worker: StartedWorker;
  beforeAll(async () => {
    worker = await startWorker(FIXTURE, {
      ...{ compatibilityDate: '2026-10-23', compatibilityFlags: [] },
      durableObjects: { OBJECTS: { className: 'Objects', useSQLite: true } },
    });
  });
  afterAll(() => worker.stop());

  /** The answers of those who follow a client that leaves, and the calls of the upstream. */
  async function poison(route: string, key: string, followers: number): Promise<[Set<string>, number]> {
    const path = `/${route}?key=${key}`;
    const client = await worker.open(path);
    const load = await worker.called(key);
    const following = Array.from({ length: followers }, () => worker.get(path));
    await worker.arrived(key, followers + 1);
    await client.leave();
    load.answer('loaded');
    const answers = new Set(await Promise.all(following));
    answers.add(await worker.get(path));
    return [answers, worker.calls(key).length];
  }

  test.each([
    ...['get', 'getMany', 'getOrLoad', 'wrap', 'worker', 'objects', 'client'],
    ...['fetch', 'handler', 'hono'],
  ])('%s: fifty who follow are answered although the client that led has left', async (route) => {
    expect(await poison(route, `${route}-rush`, 50)).toEqual([new Set(['loaded']), 1]);
  });

  test.each([
    ...['get', 'getMany', 'getOrLoad', 'wrap', 'worker', 'objects', 'client'],
    ...['fetch', 'handler', 'hono'],
  ])(`%s: no client that leaves poisons its key, in ${ROUNDS} rounds`, async (route) => {
    const outcomes = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const [answers, calls] = await poison(route, `${route}-${round}.`, 3);
      outcomes.add(`${[...answers].join()} in ${calls}`);
    }

    expect([...outcomes]).toEqual(['loaded in 1']);
    expect(worker.complaints).toEqual([]);
  });
});
