import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { TieredCache, toCacheStatus } from 'soloflight';

import { fileStorage } from './file-storage.ts';

/* Looks the same thing up in each run: the first one loads it, the ones after find it in a file. */

const { FOLDER = join(tmpdir(), 'soloflight-files') } = process.env;

await using greetings = new TieredCache<string>({
  ttl: '1m',
  storage: fileStorage(FOLDER),
  upstream: (name) => `Hello, ${name}, from process ${process.pid}`,
});
const story = await greetings.lookup('world');
console.log(story.value);
console.log(toCacheStatus(story));
