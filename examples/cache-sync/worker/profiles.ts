import { CacheObject, objectWrites, WriteConflictError, type DurableCacheOptions } from 'soloflight/cloudflare';

import { applied, newest, parseChange, type Profile } from '../profile.js';
import { fetchProfile, deliver } from './main-database.js';

/** Bindings and variables, as wrangler.jsonc sets them. */
export interface Env {
  readonly PROFILES: DurableObjectNamespace<Profiles>;
  /** Where the main database is. */
  readonly DATABASE_URL: string;
  /** How long edits wait for others before they go to the main database together. */
  readonly FLUSH_EVERY_MS: string;
}

/** One object per user: it knows the newest profile, tells all who look at it, and spares the main database. */
export class Profiles extends CacheObject<Env, Profile> {
  protected override configure({ DATABASE_URL, FLUSH_EVERY_MS }: Env): DurableCacheOptions<Profile> {
    return {
      ttl: '1m',
      staleIfError: Infinity, // while the database is down, what was known last
      idleTtl: '30d', // nobody looked for a month: all is deleted but what is not delivered yet
      upstream: (id, { signal }) => fetchProfile(DATABASE_URL, id, signal),
      writes: objectWrites({
        flushEvery: Number(FLUSH_EVERY_MS),
        retry: { initial: '1s', max: '1m' },
        sink: (writes, { signal }) => deliver(DATABASE_URL, writes, signal),
        resolve: newest, // somebody wrote to the database itself: of each field the later edit
        apply: (current, change, key) => {
          const edit = parseChange(change);
          if (current === undefined) throw new TypeError('There is no such profile');
          const next = applied(current, edit, Date.now());
          if (next === 'conflict') throw new WriteConflictError(key, current);
          return next;
        },
        // Edits only: whole profiles would overwrite what their sender did not know of, and deleting is not for the page.
        authorizeWrite: ({ type }) => type === 'update',
        authorize: isOwnPage,
        badMessages: 'close',
      }),
    };
  }
}

/** Browsers open WebSockets, and send some requests, from any page. Here your sessions would be looked at as well. */
function isOwnPage(request: Request): boolean {
  return request.headers.get('origin') === new URL(request.url).origin;
}
