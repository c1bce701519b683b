import { defineWrites, TieredCache } from 'soloflight';
import {
  connectivity,
  sharedWrites,
  indexedDbQueue,
  webStorageStorage,
  type ProbeContext,
  type SharedWrites,
} from 'soloflight/browser';
import { WriteBehind, type PendingWrite, type WriteOutcome } from 'soloflight/writes';

import {
  changeOf,
  edited,
  mergedEdits,
  resolved,
  type EditableProfile,
  type FieldName,
  type Profile,
} from '../profile.js';
import { mergedWrites } from './merged-writes.js';
import { author, conflictPolicy } from './settings.js';

/* All that concerns soloflight in the page. */

export const connection = connectivity({ probe: isHealthy, backoff: { initial: '1s', max: '15s' } });

/** The edits of all tabs: one of them delivers, all see them, and they outlive reloads and crashes in IndexedDB. */
export const edits: SharedWrites<EditableProfile> = sharedWrites<EditableProfile>({
  name: 'cache-sync-edits',
  open: () =>
    new WriteBehind<EditableProfile>({
      queue: indexedDbQueue({ database: 'cache-sync-edits' }),
      flushEvery: '200ms',
      schedule: connection.schedule((options) => edits.flush(options)), // nothing is tried while the server can't be reached
      retry: { initial: '1s', max: '15s' },
      merge: mergedEdits,
      resolve: (local, remote) => resolved(conflictPolicy(), local, remote),
      sink: (writes, { signal }) => Promise.all(writes.map((write) => deliver(write, signal))),
    }),
});

/** What this tab knows of profiles: from memory, from localStorage, or from the server. */
export const profiles = new TieredCache<EditableProfile>({
  ttl: '1m',
  staleIfError: '30d', // while the server can't be reached
  storage: webStorageStorage({ prefix: 'cache-sync-profiles' }),
  upstream: (id, { signal }) => load(`/api/profiles/${id}`, signal),
  writes: defineWrites(mergedWrites(edits)),
});

export const users = new TieredCache<string[]>({
  ttl: '1m',
  staleIfError: '30d',
  storage: webStorageStorage({ prefix: 'cache-sync-users' }),
  upstream: (_key, { signal }) => load('/api/users', signal),
});

/** Edits a profile: seen in all tabs at once, delivered when the server can be reached. */
export function edit(
  id: string,
  values: Partial<Record<FieldName, string>>,
  seen: EditableProfile,
): Promise<EditableProfile> {
  const change = (profile = seen): EditableProfile => edited(profile, values, { at: Date.now(), by: author, seen });
  // However old: the server may be away.
  return profiles.update(id, change, { maxStale: Infinity });
}

/** Takes what the server says that a profile is now. Edits that are not delivered yet stay on top of it. */
export async function receive(id: string, profile: Profile): Promise<void> {
  void profiles.expire(id); // whatever is being loaded may be older
  await profiles.getOrLoad(id, () => profile, { reload: true });
}

/** Asks the server anew, since changes may have been missed. What is known, and what is being loaded, stays until it answers. */
export async function refresh(id: string): Promise<void> {
  await profiles.refresh(id);
}

/** Asks the server anew, since what is known is not what is. It is shown until the server answers. */
export async function reload(id: string): Promise<void> {
  void profiles.expire(id);
  await profiles.refresh(id);
}

/** Asks the API. What something else answers (a sign-in page, the network of a hotel) is no answer, whatever its status. */
function ask(url: string, init: RequestInit): Promise<Response> {
  return connection.track(async () => {
    const response = await fetch(url, init);
    const isOwn = !response.redirected && response.headers.get('content-type')?.startsWith('application/json') === true;
    if (isOwn || response.status >= 500) return response;
    throw new TypeError(`${url} was answered by something else: ${response.status}`);
  });
}

/** Whether the API itself answers. */
async function isHealthy({ signal }: ProbeContext): Promise<boolean> {
  const { status, redirected } = await fetch('/api/health', { method: 'HEAD', cache: 'no-store', signal });
  return status === 204 && !redirected;
}

async function load<T>(url: string, signal: AbortSignal): Promise<T> {
  const response = await ask(url, { signal });
  if (response.status === 404) return undefined as never;
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json() as Promise<T>;
}

/** Sends one edit to the object of its profile. Rejects if there is no answer of the API: then the edit is not taken. */
async function deliver(
  { key, value }: PendingWrite<EditableProfile>,
  signal: AbortSignal,
): Promise<WriteOutcome<EditableProfile>> {
  if (value === undefined) return { reject: 'Profiles are not deleted here' };
  const response = await ask(`/api/profiles/${key}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(changeOf(value)),
    signal,
  });
  if (response.ok) return 'ok';
  if (response.status === 409) {
    const { value: current } = (await response.json()) as { readonly value: Profile };
    return { conflict: current };
  }
  // Too many requests, or the server failed: it may take the edit later.
  if (response.status === 429 || response.status >= 500) return 'retry';
  const { error } = (await response.json()) as { readonly error?: { readonly message?: string } };
  return { reject: error?.message ?? `The server answered ${response.status}` };
}
