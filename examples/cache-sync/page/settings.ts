import type { ConflictPolicy } from '../profile.js';

/* What this browser remembers beside profiles and edits. All tabs share it. */

const POLICIES: readonly string[] = ['newest', 'mine', 'theirs'] satisfies ConflictPolicy[];

/** Tells edits of this browser from those of others. */
export const author: string = remembered('author', () => crypto.randomUUID());

export function conflictPolicy(): ConflictPolicy {
  const policy = read('conflicts');
  return policy !== null && POLICIES.includes(policy) ? (policy as ConflictPolicy) : 'newest';
}

export function setConflictPolicy(policy: string): void {
  write('conflicts', policy);
}

/** When the last edit was delivered, epoch milliseconds. */
export function lastSync(): number | undefined {
  const at = Number(read('last-sync') ?? Number.NaN);
  return Number.isNaN(at) ? undefined : at;
}

export function noteSync(at: number): void {
  write('last-sync', String(at));
}

/** The user that this tab shows, also after a reload. */
export function shownUser(): string | null {
  return sessionStorage.getItem('cache-sync:user');
}

export function setShownUser(id: string): void {
  sessionStorage.setItem('cache-sync:user', id);
}

function remembered(name: string, make: () => string): string {
  const known = read(name);
  if (known !== null) return known;
  const made = make();
  write(name, made);
  return made;
}

function read(name: string): string | null {
  return localStorage.getItem(`cache-sync:${name}`);
}

function write(name: string, text: string): void {
  try {
    localStorage.setItem(`cache-sync:${name}`, text);
  } catch {
    // It is full, and edits need the room more.
  }
}
