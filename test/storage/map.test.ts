import { expect, test } from 'vitest';

import { mapStorage } from '../../src/storage/map.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;

test('entries survive close, for the next cache over the same map', async () => {
  const storage = mapStorage();
  const entry = sampleEntry(AT);

  await storage.set('k', entry, AT);
  await storage.close?.();

  expect(await storage.get('k')).toBe(entry);
});

test('a sweep looks at a bounded part and the next one goes on from there', async () => {
  const storage = mapStorage();
  const entry = sampleEntry(AT);
  for (let number = 0; number < 1_000; number += 1) await storage.set(`kept-${number}`, entry, Infinity);
  await storage.set('outlived', entry, AT);

  const removed: unknown[] = [];
  for (let sweeps = 0; sweeps < 7; sweeps += 1) removed.push(await storage.sweep?.(AT, 10));

  expect(removed).toEqual([0, 0, 0, 0, 0, 0, 1]);
});

test('sweeps go round: what is outlived later is found too, also after clear', async () => {
  const storage = mapStorage();
  const entry = sampleEntry(AT);
  for (let number = 0; number < 10; number += 1) await storage.set(`k${number}`, entry, AT + number);

  expect(await storage.sweep?.(AT + 4, 100)).toBe(5);
  expect(await storage.sweep?.(AT + 9, 100)).toBe(5);
  await storage.clear?.();
  await storage.set('again', entry, AT);
  expect(await storage.sweep?.(AT, 100)).toBe(1);
  expect(await storage.sweep?.(AT, 100)).toBe(0);
});
