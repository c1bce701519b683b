import { expect, test } from 'vitest';

import { liveLong, nothing } from '../../support/long-life.js';

test('a million keys, errors, aborts and invalidations leave no more than the configured maximum', async () => {
  expect(await liveLong(1_000_000)).toEqual(nothing);
});
