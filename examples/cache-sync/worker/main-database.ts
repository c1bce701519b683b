import type { PendingWrite, WriteOutcome } from 'soloflight/writes';

import type { Profile } from '../profile.js';

/** The ids of all profiles. */
export async function fetchIds(base: string, signal: AbortSignal): Promise<string[]> {
  const response = await fetch(`${base}/profiles`, { signal });
  if (!response.ok) throw new Error(`The main database answered ${response.status}`);
  return response.json();
}

/** The profile; `undefined` if there is none. */
export async function fetchProfile(base: string, id: string, signal: AbortSignal): Promise<Profile> {
  const response = await fetch(`${base}/profiles/${encodeURIComponent(id)}`, { signal });
  if (response.status === 404) return undefined as never;
  if (!response.ok) throw new Error(`The main database answered ${response.status}`);
  return response.json();
}

/** Brings writes to the database; what it says of each. A failure leaves all of them to be tried again. */
export async function deliver(
  base: string,
  writes: readonly PendingWrite<Profile>[],
  signal: AbortSignal,
): Promise<WriteOutcome<Profile>[]> {
  const body = JSON.stringify(writes);
  const response = await fetch(`${base}/batches`, { method: 'POST', body, signal });
  if (!response.ok) throw new Error(`The main database answered ${response.status}`);
  return response.json();
}
