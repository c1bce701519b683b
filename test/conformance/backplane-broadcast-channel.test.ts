import { expect, test } from 'vitest';

import { broadcastChannelBackplane } from '../../src/backplane/index.js';
import { backplaneSuite } from '../../src/testing/index.js';

let channels = 0;

backplaneSuite(
  { test, equal: (actual, expected) => expect(actual).toEqual(expected) },
  {
    open: () => {
      channels += 1;
      const channel = `conformance ${channels}`;
      return [broadcastChannelBackplane({ channel }), broadcastChannelBackplane({ channel })];
    },
  },
);
