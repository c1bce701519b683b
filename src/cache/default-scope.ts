import type { Scope } from '../contracts.js';

let scope: 'shared' | Scope = 'shared';

/** The scope of caches that say nothing of it. */
export function defaultScope(): 'shared' | Scope {
  return scope;
}

/** Called once, by the entry points for plain Workers, before there is any cache. */
export function setDefaultScope(next: Scope): void {
  scope = next;
}
