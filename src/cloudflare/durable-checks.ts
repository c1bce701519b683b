import { isCodec } from '../codecs/payload.js';
import { misuse } from '../errors.js';

/** @throws TypeError unless `storage` belongs to an object with SQLite, and `options` is an object. */
export function checkStorage(storage: DurableObjectStorage, options: unknown): void {
  if (!hasSql(storage)) {
    throw misuse(
      'storage',
      "the `ctx.storage` of a Durable Object whose class is listed in `new_sqlite_classes` of the Worker's migrations",
      storage,
    );
  }
  if (typeof options !== 'object' || options === null) throw misuse('options', 'an object', options);
}

/** A table's name can't be a bound parameter, so it must be a safe identifier. */
export function checkTableName(table: unknown): void {
  if (typeof table !== 'string' || !/^(?!sqlite_|_cf_)[a-z_]\w{0,62}$/i.test(table)) {
    throw misuse(
      'table',
      "a name of 1 to 63 letters, digits and underscores that starts with neither a digit, 'sqlite_' nor '_cf_'",
      table,
    );
  }
}

export function checkStorageCodec(codec: unknown): void {
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
}

/** In classes without SQLite the property exists, and throws. */
function hasSql(storage: DurableObjectStorage | undefined): boolean {
  try {
    return typeof storage?.sql.exec === 'function' && typeof storage.transactionSync === 'function';
  } catch {
    return false;
  }
}
