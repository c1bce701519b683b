import { expect, test } from 'vitest';

import { cachedFetch } from '../../src/http/index.js';
import { Variants } from '../../src/http/variants.js';

const URL = 'http://origin/';
const headers = { 'cache-control': 'max-age=60', vary: 'accept-language' };

test('a URL keeps its hundred most recently used variants, and other URLs keep theirs', async () => {
  let asked = 0;
  const fetch = cachedFetch({
    fetch: async () => {
      asked += 1;
      return new Response('x', { headers });
    },
  });
  const ask = async (language: string, url = URL): Promise<boolean> => {
    const before = asked;
    await (await fetch(url, { headers: { 'accept-language': language } })).text();
    await fetch.cache.idle();
    return asked === before;
  };
  for (const url of [`${URL}other`, URL]) for (const language of ['parent', 'used', 'unused']) await ask(language, url);

  for (let n = 0; n < 150; n += 1) {
    await ask(`made-up-${n}`);
    await ask('used');
  }

  expect(fetch.cache.getStats().size).toBeLessThanOrEqual(101 + 3);
  expect([await ask('parent'), await ask('used'), await ask('made-up-149')]).toEqual([true, true, true]);
  expect([await ask('unused'), await ask('made-up-0')]).toEqual([false, false]);
  expect(await ask('unused', `${URL}other`)).toBe(true);
});

test('the count of variants takes a bounded memory itself: what was used long ago counts anew', () => {
  const variants = new Variants();
  for (let n = 0; n < 100; n += 1) variants.use('old', `${n}`);
  for (let n = 0; n < 100; n += 1) variants.use('new', `${n}`);

  expect(variants.use('old', 'one more')).toBe('0');
  for (let key = 0; key < 5; key += 1) variants.use(`long ${key}`, 'x'.repeat(900_000));

  expect([variants.use('old', 'a'), variants.use('new', 'a')]).toEqual([undefined, undefined]);
});
