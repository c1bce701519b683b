import { SoloflightError } from '../errors.js';
import { unavailable } from './storage-errors.js';

/** An IndexedDB database with one object store. */
export interface Schema {
  readonly name: string;
  readonly store: string;
  readonly version: number;
  /** Creates the store in a database that has none. */
  readonly create: (database: IDBDatabase) => void;
}

/**
 * Opens the database of `schema`.
 *
 * A database upgraded by a newer version of the program is opened as it is, as long as the store is there: each record
 * tells whether it can be read. While an older version holds the database open, the promise stays pending.
 *
 * @throws SoloflightError with code `SOLOFLIGHT_STORAGE_UNAVAILABLE` or `SOLOFLIGHT_FOREIGN_DATABASE`, as a rejection.
 */
export async function openDatabase(schema: Schema): Promise<IDBDatabase> {
  const database = await openNewest(schema);
  if (database.objectStoreNames.contains(schema.store)) return database;
  // An open connection would block the owner of the database.
  database.close();
  throw new SoloflightError(
    'SOLOFLIGHT_FOREIGN_DATABASE',
    `The IndexedDB database '${schema.name}' has no store '${schema.store}': it belongs to something else. Choose another \`database\``,
  );
}

async function openNewest(schema: Schema): Promise<IDBDatabase> {
  const factory = indexedDbFactory();
  try {
    return await request(factory, schema, schema.version);
  } catch (error) {
    if (nameOf(error) === 'VersionError') return request(factory, schema, undefined);
    throw error;
  }
}

function request(factory: IDBFactory, schema: Schema, version: number | undefined): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = version === undefined ? factory.open(schema.name) : factory.open(schema.name, version);
    opening.addEventListener('upgradeneeded', () => {
      if (!opening.result.objectStoreNames.contains(schema.store)) schema.create(opening.result);
    });
    opening.addEventListener('success', () => resolve(opening.result));
    opening.addEventListener('error', () => reject(opening.error));
  });
}

function indexedDbFactory(): IDBFactory {
  let factory: IDBFactory | null | undefined;
  try {
    factory = (globalThis as { readonly indexedDB?: IDBFactory | null }).indexedDB;
  } catch (error) {
    throw unavailable('IndexedDB', error);
  }
  if (factory === null || factory === undefined) throw unavailable('IndexedDB');
  return factory;
}

function nameOf(error: unknown): unknown {
  return (error as { readonly name?: unknown } | undefined)?.name;
}
