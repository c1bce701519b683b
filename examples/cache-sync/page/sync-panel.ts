import { element, say } from './elements.js';
import { connection, edits, profiles } from './profiles.js';
import { conflictPolicy, lastSync, setConflictPolicy } from './settings.js';

const CONNECTIONS = { online: 'online', offline: 'offline', unreachable: 'server not reachable' } as const;

/** Lets the user choose who wins a conflict. */
export function startPolicyChoice(): void {
  const policy = element('policy', HTMLSelectElement);
  policy.value = conflictPolicy();
  policy.addEventListener('change', () => setConflictPolicy(policy.value));
  // Another tab may have chosen.
  addEventListener('storage', () => (policy.value = conflictPolicy()));
}

/** Shows how many edits wait, when the last one was delivered, and what the cache spares. */
export function showSync(pending: number): void {
  const { hits, staleHits, fallbacks, misses } = profiles.getStats();
  const cached = hits + staleHits + fallbacks;
  const synced = lastSync();
  show('connection', CONNECTIONS[connection.state]);
  show('pending', String(pending));
  show('last-sync', synced === undefined ? 'never' : new Date(synced).toLocaleTimeString());
  show('hits', `${cached} of ${cached + misses} reads`);
  show('leading', edits.leading ? 'this one' : 'another one');
}

function show(id: string, text: string): void {
  say(element(id, HTMLElement), text);
}
