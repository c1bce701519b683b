import { renderCacheStatus, type HttpCacheStatus } from './cache-status.js';
import type { HttpSettings, Told } from './settings.js';

/** The member of `Cache-Status` that tells what became of a request; `undefined` where that field is not wanted. */
export function told({ name, showKey, hear }: HttpSettings, about: Told, status: HttpCacheStatus): string | undefined {
  hear?.(about, status, undefined);
  const { key } = about;
  return name === undefined ? undefined : renderCacheStatus(name, { key: showKey ? key : undefined, ...status });
}
