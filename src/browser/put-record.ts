import { UnencodableError } from '../errors.js';

/** Puts `record`, which belongs to `key`, into `store`. @throws UnencodableError if something in it can't be cloned. */
export function putRecord(store: IDBObjectStore, key: string, record: object): void {
  try {
    store.put(record);
  } catch (error) {
    const { name, message } = error as Error;
    if (name !== 'DataCloneError') throw error;
    throw new UnencodableError(key, `IndexedDB can't clone it (${message})`, error);
  }
}
