import type { Ask } from './ask.js';
import { renderCacheStatus, type HttpCacheStatus } from './cache-status.js';
import type { HttpSettings } from './settings.js';

/** The member of `Cache-Status` that tells what became of a request; `undefined` where that field is not wanted. */
export function told(
  { name, showKey }: HttpSettings,
  { key }: { readonly ask: Ask; readonly key: string | undefined },
  status: HttpCacheStatus,
): string | undefined {
  return name === undefined ? undefined : renderCacheStatus(name, { key: showKey ? key : undefined, ...status });
}
