import { describe, expect, test } from 'vitest';

import type { Codec } from '../../src/contracts.js';
import { sqliteStorage, type SqliteDatabase } from '../../src/storage/sqlite.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;
const ENTRY = sampleEntry(AT);

/** The promises of a storage over a caller's handle, for any driver. `connect` opens an empty database. */
export function sqliteHandleSuite(driver: string, connect: () => SqliteDatabase): void {
  describe(`a handle of ${driver}`, () => {
    test('is not closed', async () => {
      const database = connect();
      const storage = sqliteStorage({ database });
      await storage.set('k', ENTRY, AT);

      await storage.close?.();

      expect(database.prepare('SELECT count(*) AS rows FROM soloflight').get()).toEqual({ rows: 1 });
      expect(() => storage.get('k')).toThrow(expect.objectContaining({ code: 'SOLOFLIGHT_STORAGE_CLOSED' }));
    });

    test('in a transaction takes what is stored into it, the table included', async () => {
      const database = connect();
      const storage = sqliteStorage({ database });

      database.exec('BEGIN');
      await storage.set('rolled back', ENTRY, AT);
      await storage.setMany?.([{ key: 'rolled back too', entry: ENTRY, keepUntil: AT }]);
      expect(await storage.getMany?.(['rolled back', 'rolled back too'])).toEqual([ENTRY, ENTRY]);
      database.exec('ROLLBACK');
      expect(await storage.get('rolled back')).toBeUndefined();
      database.exec('BEGIN');
      await storage.setMany?.([{ key: 'committed', entry: ENTRY, keepUntil: AT }]);
      await storage.deleteMany?.(['rolled back']);
      database.exec('COMMIT');

      expect(await storage.get('committed')).toEqual(ENTRY);
    });

    test('in a transaction keeps it when a batch fails, without any part of the batch', async () => {
      const database = connect();
      const storage = sqliteStorage({ database });
      await storage.get('k');
      const batch = [
        { key: 'a', entry: ENTRY, keepUntil: AT },
        { key: 'b', entry: ENTRY, keepUntil: NaN },
      ];

      expect(() => storage.setMany?.(batch)).toThrow(/constraint failed/);
      database.exec('CREATE TABLE mine (x); BEGIN; INSERT INTO mine VALUES (1)');
      expect(() => storage.setMany?.(batch)).toThrow(/constraint failed/);
      database.exec('COMMIT');

      expect(database.prepare('SELECT x FROM mine').get()).toEqual({ x: 1 });
      expect(await storage.getMany?.(['a', 'b'])).toEqual([undefined, undefined]);
    });

    test('that the caller closed makes calls fail, not hang or lie', async () => {
      const database = connect();
      const storage = sqliteStorage({ database });
      await storage.set('k', ENTRY, AT);

      database.close();

      for (const use of [
        () => storage.get('k'),
        () => storage.getMany?.(['k']),
        () => storage.setMany?.([{ key: 'k', entry: ENTRY, keepUntil: AT }]),
      ]) {
        expect(use).toThrow(/not open|finalized/);
      }
    });

    test('gives bytes to the codec as a Uint8Array, none at all included', async () => {
      const payloads: unknown[] = [];
      const codec: Codec = {
        name: 'raw',
        encode: (value) => value as Uint8Array,
        decode: (payload) => {
          payloads.push(payload);
          return payload;
        },
      };
      const storage = sqliteStorage({ database: connect(), codec });

      for (const value of [Uint8Array.of(1, 0, 255), new Uint8Array(0)]) {
        await storage.set('k', sampleEntry(AT, { value }), AT);
        expect((await storage.get('k'))?.value).toEqual(value);
      }

      expect(payloads.map((payload) => (payload as object).constructor.name)).toEqual(['Uint8Array', 'Uint8Array']);
    });
  });
}
