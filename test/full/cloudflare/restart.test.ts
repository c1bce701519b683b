import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { startObjects, type RunningObjects } from './start-objects.js';

async function storyOf({ get }: RunningObjects, key: string): Promise<unknown> {
  return JSON.parse(await get(`${key}?story`));
}

test('an object answers from its storage after workerd was restarted, with the original age', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'soloflight-objects-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const before = await startObjects({ folder });
  const first = storyOf(before, 'key');
  await expect.poll(() => before.calls.length).toBe(1);
  before.calls[0]?.('value');
  expect(await first).toMatchObject({ value: 'value', status: 'miss', tier: 'upstream' });
  const loadedAt = Date.now();
  // A flight under way ends with the process; nobody may wait for it afterwards.
  const lost = before.get('other').catch((error: unknown) => error);
  await expect.poll(() => before.calls.length).toBe(2);
  await before.stop();
  expect(await lost).toBeInstanceOf(Error);

  const after = await startObjects({ folder });
  const askedAt = Date.now();
  const story = await storyOf(after, 'key');
  const other = after.get('other');
  await expect.poll(() => after.calls.length).toBe(1);
  after.calls[0]?.('again');

  expect(story).toMatchObject({ value: 'value', status: 'hit', tier: 'durable-object' });
  // It was loaded before the first instant, and read after the second; clocks round.
  expect((story as { readonly age: number }).age).toBeGreaterThanOrEqual(askedAt - loadedAt - 5);
  expect(await other).toBe('again');
});
