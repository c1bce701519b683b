import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';

import { defineStorage, UndecodableError } from 'soloflight';
import type { Entry, StorageTier } from 'soloflight';

/** Keeps each entry in a file of its own in `folder`, which any number of processes may share. */
export function fileStorage(folder: string): StorageTier {
  /** Hashes the key, which may be longer than a file name; as UTF-16, since in UTF-8 all lone surrogates are the same. */
  const fileOf = (key: string) => join(folder, createHash('sha256').update(key, 'utf16le').digest('hex'));

  return defineStorage({
    name: 'files',

    async get(key) {
      const payload = await readFile(fileOf(key)).catch(undefinedIfMissing);
      if (payload === undefined) return undefined;
      try {
        return deserialize(payload) as Entry;
      } catch (error) {
        throw new UndecodableError(key, 'the file is damaged, or of a later version of Node', error);
      }
    },

    async set(key, entry) {
      const draft = join(folder, `${randomUUID()}.draft`);
      await mkdir(folder, { recursive: true });
      try {
        // Stores values that JSON can't: `Infinity` in the instants of an entry, and the `undefined` of an absent value.
        await writeFile(draft, serialize(entry));
        // In one step, so that nobody ever reads half an entry.
        await rename(draft, fileOf(key));
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
    },

    async delete(key) {
      return (await unlink(fileOf(key)).then(() => true, undefinedIfMissing)) ?? false;
    },
  });
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
