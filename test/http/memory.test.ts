import { describe, expect, onTestFinished, test } from 'vitest';

import { Detours } from '../../src/http/detours.js';
import { cachedFetch, sizeOfResponse, type StoredResponse } from '../../src/http/index.js';
import { lruMemory } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';

const BOUND = 10_000_000;
const LONG = 'x'.repeat(8_000);

/** The bytes that so many different requests leave behind. */
async function growth(requests: number, ask: (n: number) => Request, answer: () => Response): Promise<number> {
  const memory = lruMemory<StoredResponse>({ maxSize: BOUND, sizeOf: sizeOfResponse });
  const fetch = cachedFetch({ fetch: async () => answer(), cache: { memory } });
  onTestFinished(() => fetch.cache.close());
  await (await fetch('http://origin/first')).text();
  gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < requests; n += 1) await (await fetch(ask(n))).text();
  gc?.();
  const after = process.memoryUsage().heapUsed;
  expect(await fetch.cache.getIfCached(ask(requests - 1).url)).toBeDefined();
  return after - before;
}

const plain = (headers: Record<string, string> = {}): Response =>
  new Response('', { headers: { 'cache-control': 'max-age=60', ...headers } });

describe('the bound of memory holds where what is large is not the body', () => {
  test.each<[string, (n: number) => Request, () => Response]>([
    ['long URLs', (n) => new Request(`http://origin/${n}?${LONG}`), () => plain()],
    [
      'long headers',
      (n) => new Request(`http://origin/${n}`),
      () => plain({ 'x-long': LONG.replaceAll('x', () => 'y') }),
    ],
    [
      'many headers',
      (n) => new Request(`http://origin/${n}`),
      () => plain(Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`x-${index}`, `v${index}`]))),
    ],
    [
      'long values of what is varied by',
      (n) => new Request(`http://origin/${n}`, { headers: { 'x-by': LONG.replaceAll('x', () => 'z') } }),
      () => plain({ vary: 'x-by' }),
    ],
    [
      'many tags',
      (n) => new Request(`http://origin/${n}`),
      () => plain({ 'cache-tag': Array.from({ length: 500 }, (_, index) => `tag-${index}`).join(',') }),
    ],
  ])('%s', async (_case, ask, answer) => {
    expect(await growth(2_500, ask, answer)).toBeLessThan(1.5 * BOUND);
  });

  test('tags by prefix, which count in the default memory', async () => {
    const fetch = cachedFetch({ fetch: async () => plain(), prefixTags: true });
    onTestFinished(() => fetch.cache.close());
    const path = `/${'x'.repeat(480)}`.repeat(16);
    for (let n = 0; n < 1_600; n += 1) await (await fetch(`http://origin/${n}${path}/`)).text();

    // 75 kB each, of which the tags are 60.
    expect(fetch.cache.getStats().size).toBeLessThan(1_500);
  });

  test('keys whose answers could not be shared', () => {
    const detours = new Detours(manualClock(), 120_000);
    for (let n = 0; n < 5_000; n += 1) detours.mark(`${n} ${LONG}`, 'private');
    for (let n = 0; n < 20_000; n += 1) detours.mark(`${n}`, 'private');

    const isMarked = (key: string): boolean => detours.why(key) !== undefined;
    expect([isMarked(`0 ${LONG}`), isMarked(`4999 ${LONG}`), isMarked('9999'), isMarked('19999')]).toEqual([
      false,
      false,
      false,
      true,
    ]);
    for (let n = 0; n < 600; n += 1) detours.mark(`${n} ${LONG}`, 'private');
    const left = Array.from({ length: 600 }, (_, n) => `${n} ${LONG}`).filter((key) => isMarked(key));
    expect(left.length).toBeLessThanOrEqual(500);
  });
});
