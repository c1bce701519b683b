import { Keyv } from 'keyv';
import { createStorage } from 'unstorage';
import { expect, test } from 'vitest';

import { broadcastChannelBackplane } from '../../src/backplane/index.js';
import { gzip, structuredCloneCodec } from '../../src/codecs/index.js';
import { mapStorage } from '../../src/index.js';
import { redisBackplane, redisQueue, redisStorage } from '../../src/redis/index.js';
import { keyvStorage } from '../../src/storage/keyv.js';
import { sqliteQueue, sqliteStorage } from '../../src/storage/sqlite.js';
import { unstorageStorage } from '../../src/storage/unstorage.js';

const client = {} as never;

// An option that silently does nothing is noticed in production, if at all.
test.each<readonly [string, (options: never) => unknown, object]>([
  ['mapStorage', (options) => mapStorage(options), { readTimout: 5 }],
  ['sqliteStorage', (options) => sqliteStorage(options), { database: ':memory:', tabel: 'x' }],
  ['sqliteQueue', (options) => sqliteQueue(options), { database: ':memory:', tabel: 'x' }],
  ['redisStorage', (options) => redisStorage(options), { client, readTimout: 5 }],
  ['redisQueue', (options) => redisQueue(options), { client, queue: 'q', prefx: 'x' }],
  ['redisBackplane', (options) => redisBackplane(options), { publisher: client, subscriber: client, chanel: 'x' }],
  ['broadcastChannelBackplane', (options) => broadcastChannelBackplane(options), { chanel: 'x' }],
  ['keyvStorage', (options) => keyvStorage(new Keyv(), options), { tll: '1s' }],
  ['unstorageStorage', (options) => unstorageStorage(createStorage(), options), { bas: 'x' }],
  ['gzip', (options) => gzip(structuredCloneCodec, options), { abov: 5 }],
])('%s refuses an option that it does not know', (_name, make, options) => {
  const misspelt = Object.keys(options).at(-1)!;

  expect(() => make(options as never)).toThrow(TypeError);
  expect(() => make(options as never)).toThrow(`got \`'${misspelt}'\``);
});
